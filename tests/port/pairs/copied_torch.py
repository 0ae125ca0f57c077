"""Models in PyTorch with raw arrays whose numbers their ports have, too, as after a copy of weights."""

import numpy as np
import torch
from pairs_torch import Net
from torch import nn


def numbers(place, *shape):
    """Numbers that both sides make."""
    return (0.5 * np.random.default_rng([7, place]).standard_normal(shape)).astype(np.float32)


def raw(place, *shape):
    return nn.Parameter(torch.tensor(numbers(place, *shape)))


def chain():
    """Two layers of one shape, one after the other."""

    def run(net, x):
        return net.head(torch.tanh(net.two(torch.relu(net.one(x)))))

    net = Net(run, one=nn.Linear(5, 5), two=nn.Linear(5, 5), head=nn.Linear(5, 3))
    with torch.no_grad():
        for place, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.tensor(numbers(place, *parameter.shape)))
    return net


def attention():
    def run(net, x):
        weights = ((x @ net.query) @ (x @ net.key).transpose(-1, -2)).softmax(-1)
        return weights @ (x @ net.value) @ net.head

    parts = {name: raw(place, 6, 6) for place, name in enumerate(("query", "key", "value"))}
    return Net(run, head=raw(3, 6, 3), **parts)


def echo():
    """An encoder and a decoder of one shape, each with two biases."""

    def step(net, part, x, h):
        w, u, b, c = (getattr(net, f"{part}_{name}") for name in ("w", "u", "b", "c"))
        return torch.tanh(x @ w + b + h @ u + c)

    def run(net, x):
        h = x.new_zeros(len(x), 4)
        for t in range(x.shape[1]):
            h = step(net, "encoder", x[:, t], h)
        y = x[:, -1]
        for _ in range(2):
            h = step(net, "decoder", y, h)
            y = h @ net.head
        return y

    parts = {
        f"{part}_{name}": raw(10 * half + place, *((4, 4) if name in "wu" else (4,)))
        for half, part in enumerate(("encoder", "decoder"))
        for place, name in enumerate("wubc")
    }
    return Net(run, head=raw(30, 4, 4), **parts)


def experts():
    def run(net, x):
        gates = (x @ net.router).softmax(-1)
        made = [torch.relu(x @ getattr(net, f"up{n}")) @ getattr(net, f"down{n}") for n in range(3)]
        return (torch.stack(made, -1) * gates[..., None, :]).sum(-1)

    parts = {f"up{n}": raw(1 + n, 6, 5) for n in range(3)} | {f"down{n}": raw(5 + n, 5, 4) for n in range(3)}
    return Net(run, router=raw(0, 6, 3), **parts)


def gates():
    """A recurrence with an array for each gate."""

    def run(net, x):
        def gate(name, now, h):
            w, u, b = (getattr(net, f"{part}_{name}") for part in "wub")
            return now @ w + h @ u + b

        h = x.new_zeros(len(x), 5)
        for t in range(x.shape[1]):
            update, reset = (torch.sigmoid(gate(name, x[:, t], h)) for name in ("update", "reset"))
            h = (1 - update) * h + update * torch.tanh(gate("new", x[:, t], reset * h))
        return h @ net.head

    parts = {
        f"{part}_{name}": raw(first + place, *shape)
        for part, first, shape in (("w", 0, (3, 5)), ("u", 4, (5, 5)), ("b", 8, (5,)))
        for place, name in enumerate(("update", "reset", "new"))
    }
    return Net(run, head=raw(20, 5, 2), **parts)
