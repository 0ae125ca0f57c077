"""Models in PyTorch whose ports have another order, or write the same function otherwise."""

import math

import torch
from pairs_torch import Net, raw
from torch import nn
from torch.nn import functional


def attended(q, k, v, scale):
    return (scale * q @ k.transpose(-1, -2)).softmax(-1) @ v


def registers():
    """Learned tokens after the sequence, which all tokens may read."""

    def run(net, x):
        h = torch.cat([net.inner(x) + net.places, net.memory.expand(len(x), -1, -1)], 1)
        h = h + attended(net.q(h), net.k(h), net.v(h), 8**-0.5)
        return net.head(h[:, :5].mean(1))

    parts = {name: nn.Linear(8, 8) for name in ("q", "k", "v")}
    return Net(
        run, inner=nn.Linear(4, 8), head=nn.Linear(8, 3), places=raw(5, 8), memory=raw(1, 2, 8), **parts
    )


def skew():
    """Scores of relative distances, shifted by a border and a reshape (Huang et al. 2018)."""

    def run(net, x):
        batch, length, _ = x.shape
        q, k, v = (part.view(batch, length, 2, 4).transpose(1, 2) for part in net.qkv(x).chunk(3, dim=-1))
        far = q @ net.distances.T
        far = functional.pad(far, (1, 0)).view(batch, 2, 1 + length, length)[:, :, 1:]
        mask = torch.ones(length, length, dtype=torch.bool).tril()
        scores = ((q @ k.transpose(-1, -2) + far) / 2).masked_fill(~mask, -math.inf)
        return net.head((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, 8))

    return Net(run, qkv=nn.Linear(8, 24), head=nn.Linear(8, 3), distances=raw(6, 4))


def windows():
    """A table of biases for distances in a picture, by a buffer of indices (Liu et al. 2021)."""

    def run(net, x):
        batch, length, _ = x.shape
        q, k, v = net.qkv(x).view(batch, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        bias = net.table[net.index.view(-1)].view(length, length, 2).permute(2, 0, 1)
        shares = (q @ k.transpose(-1, -2) * 4**-0.5 + bias).softmax(-1)
        return net.head((shares @ v).transpose(1, 2).flatten(2))

    net = Net(run, qkv=nn.Linear(8, 24), head=nn.Linear(8, 3), table=raw(25, 2))
    places = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")).flatten(1)
    far = (places[:, :, None] - places[:, None]) + 2
    net.register_buffer("index", far[0] * 5 + far[1])
    return net


def fourier():
    """Random features that do not train."""

    def run(net, x):
        angles = 2 * math.pi * x @ net.frequencies
        return net.head(torch.relu(net.inner(torch.cat([angles.sin(), angles.cos()], -1))))

    net = Net(run, inner=nn.Linear(12, 7), head=nn.Linear(7, 2))
    net.register_buffer("frequencies", torch.randn(3, 6) / 3)
    return net


class Adapted(nn.Module):
    """A frozen layer with an adapter of low rank, whose second factor begins at zero (Hu et al. 2021)."""

    def __init__(self, inputs, outputs, rank, alpha):
        super().__init__()
        self.base, self.scaling = nn.Linear(inputs, outputs), alpha / rank
        self.base.requires_grad_(False)
        self.lora_a, self.lora_b = raw(rank, inputs), nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        return self.base(x) + functional.linear(functional.linear(x, self.lora_a), self.lora_b) * self.scaling


def adapted_attention():
    """Attention with adapters of the queries and the values."""

    def run(net, x):
        h = net.norm(x)
        return net.head(x + attended(net.q(h), net.k(h), net.v(h), 8**-0.5))

    k = nn.Linear(8, 8)
    k.requires_grad_(False)
    parts = {"q": Adapted(8, 8, 2, 6.0), "k": k, "v": Adapted(8, 8, 2, 6.0)}
    return Net(run, norm=nn.LayerNorm(8), head=nn.Linear(8, 3), **parts)


def dueling():
    """A value and advantages (Wang et al. 2016)."""

    def run(net, x):
        h = torch.relu(net.body(x))
        advantage = net.advantage(h)
        return net.value(h) + advantage - advantage.mean(-1, keepdim=True)

    return Net(run, body=nn.Linear(5, 8), value=nn.Linear(8, 1), advantage=nn.Linear(8, 4))


def compositing():
    """Colours along a ray, each behind the opacity of those before it."""

    def run(net, x):
        h = torch.relu(net.body(x))
        opacity = 1 - torch.exp(-functional.softplus(net.density(h)))
        through = torch.cumprod(1 - opacity, 1)
        through = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1)
        return (opacity * through * torch.sigmoid(net.colour(h))).sum(1)

    return Net(run, body=nn.Linear(4, 8), density=nn.Linear(8, 1), colour=nn.Linear(8, 3))


def sampler():
    """A picture at places that a layer chooses."""

    def run(net, x):
        features = net.conv(x)
        places = torch.tanh(net.places(features.mean((2, 3)))).view(len(x), 1, 4, 2)
        found = functional.grid_sample(features, places, align_corners=False, padding_mode="border")
        return net.head(found.flatten(1))

    return Net(run, conv=nn.Conv2d(3, 4, 3, padding=1), places=nn.Linear(4, 8), head=nn.Linear(16, 3))


def capped():
    """Grouped queries, a cap of the scores and a window."""

    def run(net, x):
        batch, length, _ = x.shape
        q = net.q(x).view(batch, length, 4, 4).transpose(1, 2)
        k, v = (
            layer(x).view(batch, length, 2, 4).transpose(1, 2).repeat_interleave(2, dim=1)
            for layer in (net.k, net.v)
        )
        scores = 3 * torch.tanh(q @ k.transpose(-1, -2) / 2 / 3)
        far = torch.arange(length)[:, None] - torch.arange(length)
        scores = scores.masked_fill((far < 0) | (far > 2), -1e30)
        return net.head((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    parts = {"q": nn.Linear(8, 16, bias=False), "k": nn.Linear(8, 8, bias=False)}
    return Net(run, v=nn.Linear(8, 8, bias=False), head=nn.Linear(16, 3, bias=False), **parts)


def turned():
    """Norms of queries and keys, then rotary positions."""

    def rotated(x):
        angles = torch.arange(x.shape[1])[:, None] / 100 ** (torch.arange(4) / 4)
        one, two = x.chunk(2, dim=-1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([one * cos - two * sin, two * cos + one * sin], -1)

    def run(net, x):
        q, k = (rotated(norm(layer(x))) for norm, layer in ((net.q_norm, net.q), (net.k_norm, net.k)))
        return net.head(attended(q, k, net.v(x), 8**-0.5))

    parts = {name: nn.Linear(8, 8, bias=False) for name in ("q", "k", "v")}
    norms = {name: nn.RMSNorm(8, eps=1e-3) for name in ("q_norm", "k_norm")}
    return Net(run, head=nn.Linear(8, 3), **parts, **norms)


def directions():
    """Both directions of a recurrence, summed."""

    def run(net, x):
        _, (h, _) = net.rnn(x)
        return net.head(h[0] + h[1])

    return Net(run, rnn=nn.LSTM(4, 5, batch_first=True, bidirectional=True), head=nn.Linear(5, 3))


def gated_filters():
    """Dilated convolutions whose channels are filters and their gates (WaveNet: van den Oord et al. 2016)."""

    def run(net, x):
        h = x.transpose(1, 2)
        for place, conv in enumerate((net.first, net.second)):
            own, gate = conv(functional.pad(h, (2 * 2**place, 0))).chunk(2, 1)
            h = (h + torch.tanh(own) * torch.sigmoid(gate)) * 0.5**0.5
        return net.head(h.transpose(1, 2))

    first, second = (nn.Conv1d(6, 12, 3, dilation=dilation) for dilation in (1, 2))
    return Net(run, first=first, second=second, head=nn.Linear(6, 4))


def decoder():
    """Attention to what was before, then to all, in layers whose arrays are packed."""

    def run(net, x):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        h = net.before(x)
        h = x + net.own(h, h, h, attn_mask=later, need_weights=False)[0]
        return net.head(h + net.all(net.between(h), x, x, need_weights=False)[0])

    own, everything = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
    norms = {"before": nn.LayerNorm(8), "between": nn.LayerNorm(8)}
    return Net(run, own=own, all=everything, head=nn.Linear(8, 3), **norms)


def noisy():
    """Noise in training alone."""

    def run(net, x):
        h = torch.relu(net.inner(x))
        h = h + 0.1 * torch.randn_like(h) if net.training else h
        return net.head(h)

    return Net(run, inner=nn.Linear(5, 8), head=nn.Linear(8, 3))


def tracking():
    """A filter with a learned transition, observation and noise (Kalman 1960)."""

    def run(net, x):
        state, spread = x.new_zeros(len(x), 2), torch.eye(2)
        noise = net.root @ net.root.T
        for t in range(x.shape[1]):
            state, spread = state @ net.move.T, net.move @ spread @ net.move.T + noise
            gain = spread @ net.seen / (net.seen @ spread @ net.seen + 0.5)
            state = state + (x[:, t] - state @ net.seen[:, None]) * gain
            spread = spread - torch.outer(gain, net.seen @ spread)
        return net.head(state)

    arrays = {"move": raw(2, 2, scale=0.6), "root": raw(2, 2, scale=0.7), "seen": raw(2, scale=1.0)}
    return Net(run, head=nn.Linear(2, 2), **arrays)


def gates():
    """A recurrence without biases."""

    def run(net, x):
        h = x.new_zeros(len(x), 6)
        for t in range(x.shape[1]):
            r, z, n = (x[:, t] @ net.w.T).chunk(3, -1)
            s, y, m = (h @ net.u.T).chunk(3, -1)
            r, z = torch.sigmoid(r + s), torch.sigmoid(z + y)
            h = (1 - z) * torch.tanh(n + r * m) + z * h
        return net.head(h)

    return Net(run, w=raw(18, 4, scale=0.5), u=raw(18, 6, scale=0.5), head=nn.Linear(6, 3, bias=False))


def last_step():
    """The norm of all steps, of which the last one counts."""

    def run(net, x):
        h = x + net.down(functional.gelu(net.up(net.before(x))))
        return net.head(net.after(h)[:, -1])

    return Net(
        run,
        before=nn.LayerNorm(6),
        up=nn.Linear(6, 12, bias=False),
        down=nn.Linear(12, 6, bias=False),
        after=nn.LayerNorm(6),
        head=nn.Linear(6, 3, bias=False),
    )


def bilinear():
    """A matrix between two towers, which also makes features."""

    def run(net, x):
        left, right = torch.tanh(net.left(x)), torch.tanh(net.right(x))
        scores = (left @ net.between * right).sum(-1, keepdim=True)
        return net.head(torch.cat([scores, torch.relu(left @ net.between)], -1))

    return Net(
        run, left=nn.Linear(5, 6), right=nn.Linear(5, 6), between=raw(6, 6, scale=0.5), head=nn.Linear(7, 2)
    )
