"""Models in PyTorch, as A of the pairs; each factory is one architecture, written as people write it."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  the name that everybody gives it


class Net(nn.Module):
    """Named parts, and a function of them and the input."""

    def __init__(self, run, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def raw(*shape, scale=0.1):
    return nn.Parameter(scale * torch.randn(*shape))


# Dense layers.


def branches():
    def run(net, x):
        left, right = torch.relu(net.left(x)), torch.tanh(net.right(x))
        return net.head(torch.cat([left, right], dim=-1))

    return Net(run, left=nn.Linear(6, 5), right=nn.Linear(6, 5), head=nn.Linear(10, 3))


def swiglu():
    def run(net, x):
        gate, value = net.up(x).chunk(2, dim=-1)
        return net.head(x + net.down(F.silu(gate) * value))

    return Net(run, up=nn.Linear(8, 32), down=nn.Linear(16, 8), head=nn.Linear(8, 3))


def clipped():
    """Few inputs reach the limit."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU6(), nn.Linear(8, 3))


def gated_steps():
    """As many steps as features, so that shapes do not tell one from the other."""

    def run(net, x):
        return net.head(F.glu(net.conv(x.transpose(1, 2)), dim=1).transpose(1, 2))

    return Net(run, conv=nn.Conv1d(4, 12, 3, padding=1), head=nn.Linear(6, 3))


def squeeze():
    """Squeeze and excitation."""

    def run(net, x):
        x = net.conv(x)
        share = F.hardsigmoid(net.expand(torch.relu(net.reduce(x.mean((2, 3))))))
        return net.head((x * share[:, :, None, None]).mean((2, 3)))

    return Net(
        run, conv=nn.Conv2d(3, 8, 3), reduce=nn.Linear(8, 4), expand=nn.Linear(4, 8), head=nn.Linear(8, 3)
    )


def prenorm():
    def run(net, x):
        x = x + net.one(net.norm1(x))
        return net.head(x + net.two(net.norm2(x)))

    norms = {f"norm{n}": nn.LayerNorm(8, eps=1e-6) for n in (1, 2)}
    return Net(run, one=nn.Linear(8, 8), two=nn.Linear(8, 8), head=nn.Linear(8, 3), **norms)


def gemma_norm():
    def run(net, x):
        root = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return net.head(net.dense(x * root * (1 + net.weight)))

    return Net(run, weight=raw(8), dense=nn.Linear(8, 8), head=nn.Linear(8, 3))


def heads():
    """Two heads of one shape in a dictionary."""

    def run(net, x):
        h = torch.relu(net.body(x))
        return {"start": net.start(h), "end": net.end(h)}

    return Net(run, body=nn.Linear(6, 8), start=nn.Linear(8, 4), end=nn.Linear(8, 4))


def nested():
    """Lists in a dictionary."""

    def run(net, x):
        h = torch.relu(net.body(x))
        return {"scores": [net.a(h), net.b(h)], "boxes": {"left": net.c(h)}}

    return Net(run, body=nn.Linear(6, 8), a=nn.Linear(8, 4), b=nn.Linear(8, 4), c=nn.Linear(8, 4))


def two_faults():
    def run(net, x):
        return net.head(F.gelu(net.norm(net.dense(x))))

    return Net(run, dense=nn.Linear(8, 8), norm=nn.LayerNorm(8), head=nn.Linear(8, 3))


# Sequences.


def scaled_embedding():
    def run(net, x):
        h = net.tokens(x) * math.sqrt(16) + net.places.weight[: x.shape[1]]
        return net.head(torch.relu(net.dense(h)))

    return Net(
        run,
        tokens=nn.Embedding(11, 16),
        places=nn.Embedding(8, 16),
        dense=nn.Linear(16, 16),
        head=nn.Linear(16, 3),
    )


def offset_positions():
    """Positions that start at 2, as in OPT."""

    def run(net, x):
        places = torch.arange(x.shape[1], device=x.device) + 2
        return net.head(torch.relu(net.dense(net.tokens(x) + net.places(places))))

    return Net(
        run,
        tokens=nn.Embedding(11, 16),
        places=nn.Embedding(10, 16),
        dense=nn.Linear(16, 16),
        head=nn.Linear(16, 3),
    )


def sinusoids():
    """Sines, then cosines, of positions; frequencies over the half."""
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(8) / 8)

    def run(net, x):
        angles = torch.arange(x.shape[1])[:, None] * frequencies.to(net.head.weight.dtype)
        h = net.tokens(x) + torch.cat([angles.sin(), angles.cos()], -1)
        return net.head(torch.relu(net.dense(h)))

    return Net(run, tokens=nn.Embedding(11, 16), dense=nn.Linear(16, 16), head=nn.Linear(16, 3))


def timestep():
    """The embedding of a diffusion step: angles of a number that is an input."""
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(8) / 8)

    def run(net, x):
        angles = x[:, :1] * 100 * frequencies.to(x.dtype)
        return net.head(F.silu(net.dense(torch.cat([angles.cos(), angles.sin()], -1))))

    return Net(run, dense=nn.Linear(16, 16), head=nn.Linear(16, 3))


def split_heads(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def merge_heads(x):
    return x.transpose(1, 2).flatten(2)


def attend(q, k, v, mask=None, scale=None):
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ v


def packed(heads=4, width=16, **more):
    return {
        "tokens": nn.Embedding(11, width),
        "qkv": nn.Linear(width, 3 * width),
        "out": nn.Linear(width, width),
        "head": nn.Linear(width, 3),
        **more,
    }


def attention():
    """Packed query, key and value; a causal mask; everything by hand."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in net.qkv(h).chunk(3, -1))
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        return net.head(h + net.out(merge_heads(attend(q, k, v, mask))))

    return Net(run, **packed())


def fused_attention():
    """The same with the function of PyTorch."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in net.qkv(h).chunk(3, -1))
        return net.head(h + net.out(merge_heads(F.scaled_dot_product_attention(q, k, v, is_causal=True))))

    return Net(run, **packed())


def separate():
    """The same with a layer for each of query, key and value."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each(h), 4) for each in (net.q, net.k, net.v))
        return net.head(h + net.out(merge_heads(F.scaled_dot_product_attention(q, k, v, is_causal=True))))

    parts = packed()
    del parts["qkv"]
    return Net(run, **{name: nn.Linear(16, 16) for name in "qkv"}, **parts)


def window():
    """A position sees itself and the two before it."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in net.qkv(h).chunk(3, -1))
        far = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])
        return net.head(h + net.out(merge_heads(attend(q, k, v, (far >= 0) & (far < 3)))))

    return Net(run, **packed())


def rotated(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def rotary():
    """Pairs half apart."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 2) for each in net.qkv(h).chunk(3, -1))
        frequencies = 1.0 / 10000 ** (torch.arange(0, 8, 2).to(h.dtype) / 8)
        angles = torch.arange(x.shape[1])[:, None] * frequencies
        angles = torch.cat([angles, angles], -1)
        q, k = (rotated(each, angles.cos(), angles.sin()) for each in (q, k))
        return net.head(h + net.out(merge_heads(attend(q, k, v))))

    return Net(run, **packed())


def buckets(length, count=8, most=16):
    """Of T5, both directions."""
    far = torch.arange(length)[None] - torch.arange(length)[:, None]
    count //= 2
    found = (far > 0).long() * count
    far, exact = far.abs(), count // 2
    large = exact + (torch.log(far.clamp(min=1) / exact) / math.log(most / exact) * (count - exact)).long()
    return found + torch.where(far < exact, far, large.clamp(max=count - 1))


def t5():
    """Scores that are not scaled, with a bias for each bucket of distances."""

    def run(net, x):
        h = net.tokens(x)
        q, k, v = (split_heads(each, 4) for each in net.qkv(h).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) + net.bias(buckets(x.shape[1])).permute(2, 0, 1)
        return net.head(h + net.out(merge_heads(scores.softmax(-1) @ v)))

    return Net(run, **packed(bias=nn.Embedding(8, 4)))


def tied():
    def run(net, x):
        h = torch.relu(net.dense(net.tokens(x)))
        return h @ net.tokens.weight.T

    return Net(run, tokens=nn.Embedding(11, 16), dense=nn.Linear(16, 16))


def both_ways():
    """Two GRUs by hand, the second one backwards in time."""

    def run(net, x):
        forward, _ = net.forward_gru(x)
        backward, _ = net.backward_gru(x.flip(1))
        return net.head(torch.cat([forward, backward.flip(1)], -1))

    return Net(
        run,
        forward_gru=nn.GRU(4, 5, batch_first=True),
        backward_gru=nn.GRU(4, 5, batch_first=True),
        head=nn.Linear(10, 3),
    )


def last_state():
    """The layer that :func:`cell` writes by hand."""
    return Net(
        lambda net, x: net.head(net.lstm(x)[0][:, -1]),
        lstm=nn.LSTM(4, 5, batch_first=True),
        head=nn.Linear(5, 3),
    )


def recurrent(fault=""):
    """``batch_first`` was forgotten."""

    def run(net, x):
        return net.head(net.lstm(x)[0])

    return Net(run, lstm=nn.LSTM(4, 5, batch_first=fault != "batch for time"), head=nn.Linear(5, 3))


def cell():
    """An LSTM by hand on packed raw arrays."""

    def run(net, x):
        h = c = torch.zeros(len(x), 5, dtype=x.dtype)
        for step in range(x.shape[1]):
            gates = x[:, step] @ net.kernel + h @ net.recurrent + net.bias
            i, f, g, o = gates.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return net.head(h)

    return Net(
        run, kernel=raw(4, 20, scale=0.4), recurrent=raw(5, 20, scale=0.4), bias=raw(20), head=nn.Linear(5, 3)
    )


# Pictures.


def picture_positions():
    """A table (1, C, H, W) of positions."""

    def run(net, x):
        return net.head(torch.relu(net.conv(x) + net.places).mean((2, 3)))

    return Net(run, conv=nn.Conv2d(3, 6, 3, padding=1), places=raw(1, 6, 8, 8), head=nn.Linear(6, 3))


def pooled():
    """The border of a max pooling is minus infinity."""

    def run(net, x):
        return net.head(F.max_pool2d(net.conv(x), 3, 2, 1).flatten(2).mean(-1))

    return Net(run, conv=nn.Conv2d(3, 6, 3), head=nn.Linear(6, 3))


def prelu():
    """A slope for each channel."""

    def run(net, x):
        return net.head(net.prelu(net.conv(x)).mean((2, 3)))

    return Net(run, conv=nn.Conv2d(3, 6, 3), prelu=nn.PReLU(6), head=nn.Linear(6, 3))


def resized(mode="bilinear", size=12, antialias=False):
    def run(net, x):
        x = F.interpolate(net.conv(x), (size, size), mode=mode, align_corners=False, antialias=antialias)
        return net.head(torch.tanh(x).mean((2, 3)))

    return Net(run, conv=nn.Conv2d(3, 6, 3, padding=1), head=nn.Linear(6, 3))


def shuffled_pixels():
    def run(net, x):
        return net.last(torch.relu(F.pixel_shuffle(net.conv(x), 2)))

    return Net(run, conv=nn.Conv2d(3, 16, 3, padding=1), last=nn.Conv2d(4, 3, 3))


def shuffled_channels():
    def run(net, x):
        x = torch.relu(net.one(x))
        x = x.view(x.shape[0], 2, 4, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        return net.head(net.two(x).mean((2, 3)))

    return Net(run, one=nn.Conv2d(3, 8, 3), two=nn.Conv2d(8, 8, 3, groups=2), head=nn.Linear(8, 3))


def mirrored():
    """A picture and its mirror image, from left to right."""

    def run(net, x):
        return net.head((net.conv(x) + net.conv(x.flip(3)).flip(3)).flatten(1))

    return Net(run, conv=nn.Conv2d(3, 4, 3), head=nn.Linear(4 * 36, 3))


def upsampled():
    def run(net, x):
        return net.last(torch.relu(net.up(x)))

    return Net(run, up=nn.ConvTranspose2d(3, 6, 3, 2, 1, 1), last=nn.Conv2d(6, 3, 3))


def grouped():
    def run(net, x):
        return net.head(torch.relu(net.conv(x)).mean((2, 3)))

    return Net(run, conv=nn.Conv2d(4, 8, 3, stride=2, groups=4), head=nn.Linear(8, 3))


def flattened():
    """Height, width and channels become a vector, channels first."""

    def run(net, x):
        return net.head(torch.relu(net.conv(x)).flatten(1))

    return Net(run, conv=nn.Conv2d(3, 4, 3), head=nn.Linear(4 * 36, 3))


def patches():
    """A picture as a sequence of 4 × 4 patches."""

    def run(net, x):
        x = net.patch(x).flatten(2).transpose(1, 2)
        return net.head(net.norm(x).mean(1))

    return Net(run, patch=nn.Conv2d(3, 8, 4, 4), norm=nn.LayerNorm(8), head=nn.Linear(8, 3))


def mlp():
    """For the optimizers."""
    return Net(lambda net, x: net.two(torch.tanh(net.one(x))), one=nn.Linear(6, 8), two=nn.Linear(8, 3))
