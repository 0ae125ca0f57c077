"""Steps in PyTorch: small networks, and the changes of the table of pairs."""

import numpy as np
import torch
from together import together
from torch import nn
from torch.nn import functional


class Dense(nn.Linear):
    """A dense layer, computed in one of several forms."""

    form = "linear"

    def forward(self, x):
        if self.form == "addmm":
            return torch.addmm(self.bias, x, self.weight.t())
        if self.form == "matmul":
            return x @ self.weight.t() + self.bias
        if self.form == "split":
            return torch.cat(
                [
                    functional.linear(x, w, b)
                    for w, b in zip(self.weight.chunk(2), self.bias.chunk(2), strict=True)
                ],
                -1,
            )
        return super().forward(x)


class Conv(nn.Conv2d):
    """A convolution, with its bias added in one operation or in two."""

    form = "conv"

    def forward(self, x):
        if self.form == "conv+bias":
            return self._conv_forward(x, self.weight, None) + self.bias[:, None, None]
        return super().forward(x)


class Norm(nn.Module):
    """A normalisation by the root of the mean square."""

    def __init__(self, width, form, eps):
        super().__init__()
        self.weight, self.form, self.eps = nn.Parameter(torch.ones(width)), form, eps

    def forward(self, x):
        square = x * x if self.form == "x*x" else x**2
        mean = square.mean(-1, keepdim=True) + self.eps
        return x / mean.sqrt() * self.weight if self.form == "1/sqrt" else x * mean.rsqrt() * self.weight


class Block(nn.Module):
    """An embedding, a block of a transformer, and the logits of the next token."""

    def __init__(self, attention="sdpa", norm="rsqrt", dropout=0.1, norm_eps=1e-6, width=32, tokens=27):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.first, self.second = Norm(width, norm, norm_eps), Norm(width, norm, norm_eps)
        self.head = nn.Linear(width, tokens)
        self.attention, self.dropout, self.width = attention, dropout, width

    def attend(self, x):
        if self.attention == "q, k, v":
            parts = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
            projected = [functional.linear(x, weight, bias) for weight, bias in parts]
        else:
            projected = self.qkv(x).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (4, -1)).transpose(1, 2) for each in projected)
        if self.attention == "einsum":
            scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        elif self.attention == "matmul":
            scores = (q / q.shape[-1] ** 0.5) @ k.mT
        else:
            return self.out(
                functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            )
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        scores = scores.masked_fill(~mask, float("-inf")).softmax(-1)
        return self.out((scores @ v).transpose(1, 2).flatten(2))

    def forward(self, x):
        x = self.embedding(x)
        x = x + functional.dropout(self.attend(self.first(x)), self.dropout)
        x = x + functional.dropout(self.down(functional.gelu(self.up(self.second(x)))), self.dropout)
        return self.head(x)


class Recurrent(nn.Module):
    """A GRU over a row of vectors, by the framework or written out."""

    def __init__(self, cells="framework"):
        super().__init__()
        self.gru, self.head, self.cells = nn.GRU(12, 32, batch_first=True), nn.Linear(32, 10), cells

    def forward(self, x):
        if self.cells == "framework":
            return self.head(self.gru(x)[0][:, -1])
        h = torch.zeros(len(x), 32)
        for t in range(x.shape[1]):
            a = functional.linear(x[:, t], self.gru.weight_ih_l0, self.gru.bias_ih_l0).chunk(3, -1)
            b = functional.linear(h, self.gru.weight_hh_l0, self.gru.bias_hh_l0).chunk(3, -1)
            r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
            n = torch.tanh(a[2] + r * b[2])
            h = (1 - z) * n + z * h
        return self.head(h)


def cnn(norm_eps=1e-5, norm_momentum=0.1, conv="conv"):
    layers = [Conv(3, 16, 3, padding=1), nn.BatchNorm2d(16, norm_eps, norm_momentum), nn.ReLU()]
    layers += [
        Conv(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(256, 10),
    ]
    layers[0].form = layers[3].form = conv
    return nn.Sequential(*layers)


def mlp(dense="linear"):
    layers = [Dense(64, 128), nn.Tanh(), Dense(128, 128), nn.ReLU(), Dense(128, 10)]
    for layer in layers:
        layer.form = dense
    return nn.Sequential(*layers)


NETWORKS = {"cnn": cnn, "mlp": mlp, "block": Block, "rnn": Recurrent}
SHAPES = {"cnn": (32, 3, 16, 16), "mlp": (64, 64), "block": (8, 24), "rnn": (32, 12, 12)}


def make(
    net,
    threads=1,
    layout="",
    compiled=False,
    loss="cross_entropy",
    smoothing=0.0,
    optimizer="adamw",
    implementation="foreach",
    decay=1e-2,
    eps=1e-8,
    beta=0.999,
    momentum=0.9,
    nesterov=False,
    clip=0.0,
    clip_late=False,
    first=0,
    gain=1.0,
    parts=1,
    order=1,
    double=False,
    **more,
):
    """Make a step of training a network with one of the changes of the table."""
    model = NETWORKS[net](**more)
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(gain)
    rows = np.random.default_rng(0)
    if net == "block":
        tokens = torch.from_numpy(rows.integers(0, 27, (8, 25)))
        x, y = tokens[:, :-1], tokens[:, 1:]
    else:
        x = torch.from_numpy(rows.normal(size=SHAPES[net]).astype(np.float32))
        y = torch.from_numpy(rows.integers(0, 10, SHAPES[net][0]))
    if order == -1:
        x, y = x.flip(0), y.flip(0)
    if double:
        model, x = model.double(), x.double()
    if layout:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if optimizer == "adamw":
        how = {"foreach": {"foreach": True}, "single": {"foreach": False}, "fused": {"fused": True}}[
            implementation
        ]
        updates = torch.optim.AdamW(
            model.parameters(), 1e-2, weight_decay=decay, eps=eps, betas=(0.9, beta), **how
        )
    else:
        updates = torch.optim.SGD(
            model.parameters(), 0.1, momentum=momentum, weight_decay=decay, nesterov=nesterov
        )
    schedule = torch.optim.lr_scheduler.LambdaLR(updates, lambda n: 1 / (1 + (n + first) / 1000))
    run = torch.compile(model) if compiled else model

    def loss_of(x, y):
        logits, wanted = run(x).flatten(0, -2), y.flatten()
        if loss == "nll":
            return functional.nll_loss(functional.log_softmax(logits, -1), wanted)
        if loss == "logsumexp":
            return (logits.logsumexp(-1) - logits.gather(-1, wanted[:, None])[:, 0]).mean()
        if loss == "sum":
            return functional.cross_entropy(logits, wanted, reduction="none").flip(0).sum() / len(wanted)
        return functional.cross_entropy(logits, wanted, label_smoothing=smoothing)

    def step():
        torch.set_num_threads(threads)
        updates.zero_grad()
        total = 0.0
        for xs, ys in zip(x.chunk(parts), y.chunk(parts), strict=False):
            value = loss_of(xs, ys) / parts
            value.backward()
            total = total + value.detach()
        if clip and not clip_late:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        updates.step()
        if clip and clip_late:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        schedule.step()
        torch.set_num_threads(1)
        return {"loss": total}

    step.state = model.state_dict
    return step


def seed(number):
    torch.manual_seed(number)


make_steps = together(make, seed)
