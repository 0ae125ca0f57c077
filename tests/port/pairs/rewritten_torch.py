"""Models in PyTorch that their ports write otherwise, with parts, stacks or sums of their arrays."""

import math

import torch
from pairs_torch import Net, raw
from torch import nn


def lstm_loop():
    """An LSTM as a loop over time, with packed gates and two biases."""

    def run(net, x):
        h = c = x.new_zeros(len(x), 5)
        for t in range(x.shape[1]):
            gates = x[:, t] @ net.w_ih.T + net.b_ih + h @ net.w_hh.T + net.b_hh
            i, f, g, o = gates.chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return net.head(h)

    parts = {"w_ih": raw(20, 3), "w_hh": raw(20, 5), "b_ih": raw(20), "b_hh": raw(20)}
    return Net(run, head=nn.Linear(5, 3), **parts)


def echo():
    """An encoder and a decoder of one shape, each with two biases."""

    def step(part, x, h):
        return torch.tanh(x @ part["w_ih"].T + part["b_ih"] + h @ part["w_hh"].T + part["b_hh"])

    def run(net, x):
        h = x.new_zeros(len(x), 4)
        for t in range(x.shape[1]):
            h = step(net.encoder, x[:, t], h)
        outs = []
        y = x[:, -1]
        for _ in range(3):
            h = step(net.decoder, y, h)
            y = net.head(h)
            outs.append(y)
        return torch.stack(outs, 1)

    def cell():
        return nn.ParameterDict(
            {"w_ih": raw(4, 4), "w_hh": raw(4, 4), "b_ih": raw(4), "b_hh": raw(4)},
        )

    return Net(run, encoder=cell(), decoder=cell(), head=nn.Linear(4, 4))


def causal_filter():
    """A causal convolution and its residual."""

    def run(net, x):
        y = net.conv(nn.functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        return net.head(torch.relu(y) + x)

    return Net(run, conv=nn.Conv1d(4, 4, 3), head=nn.Linear(4, 3))


def packed_heads():
    """Attention with one raw array for queries, keys and values."""

    def run(net, x):
        q, k, v = torch.einsum("btd,sdhe->sbhte", x, net.qkv)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(4)).softmax(-1)
        return net.head(torch.einsum("bhte,hed->btd", weights @ v, net.out))

    return Net(run, qkv=raw(3, 8, 2, 4, scale=0.4), out=raw(2, 4, 8), head=nn.Linear(8, 3))


def retrieval():
    """Scores of learned items for a query, by cosine."""

    def run(net, x):
        query = nn.functional.normalize(torch.tanh(net.tower(x)), dim=-1)
        items = nn.functional.normalize(net.items @ net.mix, dim=-1)
        return query @ items.T * net.scale

    return Net(run, tower=nn.Linear(6, 6), items=raw(9, 6), mix=raw(6, 6), scale=nn.Parameter(torch.ones(1)))


def adapters():
    """A layer that does not train, with adapters of low rank."""

    def run(net, x):
        for name in ("first", "second"):
            part = getattr(net, name)
            x = torch.relu(part["base"](x) + (x @ part["down"].weight.T @ part["up"].weight.T) * 8 / 2)
        return net.head(x)

    def part():
        base = nn.Linear(6, 6)
        base.weight.requires_grad_(False)
        down, up = nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)
        return nn.ModuleDict({"base": base, "down": down, "up": up})

    return Net(run, first=part(), second=part(), head=nn.Linear(6, 3))


def fixed_positions():
    """A buffer with a table of positions."""

    def run(net, x):
        return net.head(torch.tanh(net.dense(x) + net.table))

    net = Net(run, dense=nn.Linear(4, 8), head=nn.Linear(8, 3))
    angles = torch.arange(6)[:, None] / 10000 ** (torch.arange(4) / 4)
    net.register_buffer("table", torch.cat([angles.sin(), angles.cos()], -1))
    return net


def folded():
    """Weight normalisation, with weights that are copied from numbers that both sides know."""

    def run(net, x):
        kernel = net.g * net.v / net.v.norm(dim=1, keepdim=True)
        return net.head(torch.relu(x @ kernel.T + net.bias))

    net = Net(run, v=raw(5, 4), g=raw(5, 1), bias=raw(5), head=nn.Linear(5, 3))
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(
                torch.sin(torch.arange(p.numel(), dtype=torch.float64) + len(name)).float().reshape(p.shape)
            )
    return net
