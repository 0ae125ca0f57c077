"""Models in PyTorch with a loop over time, layers or iterations, as A of the pairs."""

import torch
from pairs_torch import Net, raw
from torch import nn
from torch.nn import functional as F  # noqa: N812  the name that everybody gives it


def minimal_gate():
    """A minimal gated unit (Zhou et al. 2016)."""

    def run(net, x):
        h = x.new_zeros(len(x), 5)
        for t in range(x.shape[1]):
            now = x[:, t]
            f = torch.sigmoid(net.w_f(torch.cat([h, now], -1)))
            new = torch.tanh(net.w_h(torch.cat([f * h, now], -1)))
            h = (1 - f) * h + f * new
        return net.head(h)

    return Net(run, w_f=nn.Linear(8, 5), w_h=nn.Linear(8, 5), head=nn.Linear(5, 2))


def normal_gru():
    """A GRU with layer normalisation of both products (Ba et al. 2016)."""

    def run(net, x):
        h, outs = x.new_zeros(len(x), 5), []
        for t in range(x.shape[1]):
            of_x, of_h = net.norm_x(net.of_x(x[:, t])), net.norm_h(net.of_h(h))
            x_r, x_z, x_n = of_x.chunk(3, -1)
            h_r, h_z, h_n = of_h.chunk(3, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            h = z * h + (1 - z) * torch.tanh(x_n + r * h_n)
            outs.append(h)
        return net.head(torch.stack(outs, 1))

    parts = {"of_x": nn.Linear(3, 15, bias=False), "of_h": nn.Linear(5, 15, bias=False)}
    return Net(run, **parts, norm_x=nn.LayerNorm(15), norm_h=nn.LayerNorm(15), head=nn.Linear(5, 2))


def leaky():
    """Leaky units that are driven by an input and their own states."""

    def run(net, x):
        h, outs = x.new_zeros(len(x), 6), []
        for t in range(x.shape[1]):
            h = 0.7 * h + 0.3 * torch.tanh(net.drive(x[:, t]) + net.echo(h))
            outs.append(h)
        return net.head(torch.cat([x, torch.stack(outs, 1)], -1))

    return Net(run, drive=nn.Linear(3, 6), echo=nn.Linear(6, 6, bias=False), head=nn.Linear(9, 2))


def state_space():
    """A diagonal linear recurrence, discretised by a zero-order hold (Gu et al. 2022)."""

    def run(net, x):
        u = net.into(x)
        rate = -torch.exp(net.log_rate)
        step = F.softplus(net.step)
        keep = torch.exp(rate * step)
        gain = (keep - 1) / rate * net.b
        h, outs = x.new_zeros(len(x), 6), []
        for t in range(x.shape[1]):
            h = keep * h + gain * u[:, t]
            outs.append(h * net.c + net.skip * u[:, t])
        return net.head(F.gelu(torch.stack(outs, 1)))

    raws = {name: raw(6, scale=0.5) for name in ("log_rate", "step", "b", "c", "skip")}
    return Net(run, into=nn.Linear(3, 6), head=nn.Linear(6, 2), **raws)


def runge_kutta():
    """A field that is integrated by four steps of the classical method."""

    def field(net, y):
        return net.two(torch.tanh(net.one(y)))

    def run(net, x):
        y, h = net.lift(x), 0.25
        for _ in range(4):
            k1 = field(net, y)
            k2 = field(net, y + h / 2 * k1)
            k3 = field(net, y + h / 2 * k2)
            k4 = field(net, y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return net.head(y)

    return Net(run, lift=nn.Linear(4, 6), one=nn.Linear(6, 8), two=nn.Linear(8, 6), head=nn.Linear(6, 2))


def recursive_filter():
    """A recursive filter of second order in each channel."""

    def run(net, x):
        y = net.into(x)
        y1 = y2 = u1 = torch.zeros_like(y[:, 0])
        outs = []
        for t in range(y.shape[1]):
            u = y[:, t]
            out = net.b0 * u + net.b1 * u1 - net.a1 * y1 - net.a2 * y2
            y2, y1, u1 = y1, out, u
            outs.append(out)
        return net.head(torch.relu(torch.stack(outs, 1)))

    raws = {name: raw(5, scale=0.4) for name in ("b0", "b1", "a1", "a2")}
    return Net(run, into=nn.Linear(3, 5), head=nn.Linear(5, 2), **raws)


def coverage():
    """A decoder that attends to its input and remembers where it has looked (See et al. 2017)."""

    def run(net, x):
        keys = net.key(x)
        h = torch.tanh(net.start(x.mean(1)))
        seen = x.new_zeros(x.shape[:2])
        outs = []
        for _ in range(3):
            scores = net.score(torch.tanh(keys + net.query(h)[:, None] + seen[..., None] * net.again))[..., 0]
            shares = torch.softmax(scores, -1)
            seen = seen + shares
            context = (shares[:, None] @ x)[:, 0]
            h = net.cell(context, h)
            outs.append(net.head(torch.cat([h, context], -1)))
        return torch.stack(outs, 1)

    parts = {
        "key": nn.Linear(4, 6),
        "query": nn.Linear(5, 6, bias=False),
        "score": nn.Linear(6, 1, bias=False),
    }
    parts |= {"start": nn.Linear(4, 5), "cell": nn.GRUCell(4, 5), "head": nn.Linear(9, 2)}
    return Net(run, again=raw(6, scale=0.5), **parts)


def dilated():
    """Causal convolutions, each twice as wide as the one before, with residuals."""

    def run(net, x):
        y, total = net.into(x.transpose(1, 2)), 0
        for n, conv in enumerate(net.convs):
            wide = F.pad(y, (2 * 2**n, 0))
            made = torch.tanh(conv(wide))
            total = total + made
            y = y + net.mixes[n](made)
        return net.head(torch.relu(total).transpose(1, 2))

    convs = nn.ModuleList(nn.Conv1d(4, 4, 3, dilation=2**n) for n in range(3))
    mixes = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))
    return Net(run, into=nn.Conv1d(3, 4, 1), convs=convs, mixes=mixes, head=nn.Linear(4, 2))


def equilibrium():
    """A layer that is repeated on its own output, damped (Bai et al. 2019)."""

    def run(net, x):
        u, z = net.into(x), x.new_zeros(len(x), 5)
        for _ in range(6):
            z = 0.5 * z + 0.5 * torch.tanh(net.norm(net.back(z) + u))
        return net.head(z)

    parts = {"into": nn.Linear(4, 5), "back": nn.Linear(5, 5, bias=False), "norm": nn.LayerNorm(5)}
    return Net(run, **parts, head=nn.Linear(5, 2))


def stacked():
    """Residual layers that are alike."""

    def run(net, x):
        y = net.into(x)
        for norm, up, down in zip(net.norms, net.ups, net.downs, strict=True):
            y = y + down(F.silu(up(norm(y))))
        return net.head(y)

    norms = nn.ModuleList(nn.LayerNorm(4, eps=1e-6) for _ in range(3))
    ups = nn.ModuleList(nn.Linear(4, 6) for _ in range(3))
    downs = nn.ModuleList(nn.Linear(6, 4) for _ in range(3))
    return Net(run, into=nn.Linear(3, 4), norms=norms, ups=ups, downs=downs, head=nn.Linear(4, 2))


def fused_gru():
    """A fused GRU over all steps."""

    def run(net, x):
        return net.head(net.gru(x)[0])

    return Net(run, gru=nn.GRU(3, 5, batch_first=True), head=nn.Linear(5, 2))


def fused_lstm():
    """Two fused layers."""

    def run(net, x):
        return net.head(net.lstm(x)[0][:, -1])

    return Net(run, lstm=nn.LSTM(3, 5, num_layers=2, batch_first=True), head=nn.Linear(5, 2))


def cell_loop():
    """An LSTM cell in a loop backwards in time."""

    def run(net, x):
        state = None
        for t in reversed(range(x.shape[1])):
            state = net.cell(x[:, t], state)
        return net.head(state[0])

    return Net(run, cell=nn.LSTMCell(3, 5), head=nn.Linear(5, 2))


def per_sample():
    """Scores of pairs of positions, for each sample."""

    def run(net, x):
        q, k = net.query(x), net.key(x)
        scores = torch.softmax(q @ k.transpose(1, 2) / 2, -1)
        return net.head(torch.tanh(scores @ net.value(x)) + x)

    parts = {name: nn.Linear(4, 4) for name in ("query", "key", "value")}
    return Net(run, **parts, head=nn.Linear(4, 2))
