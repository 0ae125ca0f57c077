"""Small modules of PyTorch, one for each kind of call, and the inputs they take (channels last)."""

import math

import torch
from torch import nn
from torch.nn import functional

from harness.tracing.calls import InputShape

PICTURE = [InputShape((9, 9, 4))]
VOLUME = [InputShape((5, 5, 5, 4))]
SEQUENCE = [InputShape((7, 6))]
VECTOR = [InputShape((6,))]
TOKENS = [InputShape((7,), integer=True, maximum=11)]


class Of(nn.Module):
    """A function of the input, with modules and parameters to use."""

    def __init__(self, function, modules=(), **parameters):
        super().__init__()
        self.function = function
        self.modules_ = nn.ModuleList(modules)
        for name, parameter in parameters.items():
            setattr(self, name, nn.Parameter(parameter))

    def forward(self, *inputs):
        return self.function(self, *inputs)


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class ShortConvolution(nn.Module):
    """Wants sequences channels first."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(6, 3, 3, padding="same", dilation=2)

    def forward(self, x):
        return self.layer(x)


class SharedMemory(nn.Module):
    """Changes values in place, directly and through views."""

    def forward(self, x):
        y = x * 2
        z = y + 1
        y.add_(z)
        y[:, 0] = 3.0
        y[:, 1:3] += x[:, 1:3]
        return functional.relu(y, inplace=True) - z


class Decoder(nn.Module):
    """A causal transformer with a mask of its own and tied weights."""

    def __init__(self, mask):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.positions = nn.Parameter(random(7, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", mask)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        return self.head(self.layer(x, src_mask=self.mask))


def eager_attention(model, x):
    query, key, value = model.modules_[0](x).view(*x.shape[:2], 3, 2, 3).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-2, -1) / math.sqrt(3)
    seen = torch.tril(torch.ones(x.shape[1], x.shape[1])).bool()
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def recurrent(kind, **options):
    layer = kind(6, 5, **options)
    return Of(lambda model, x: model.modules_[0](x)[0], [layer])


def cells(kind):
    def forward(model, x):
        state = None
        for step in range(x.shape[1]):
            state = model.modules_[0](x[:, step], state)
        return state[0] if isinstance(state, tuple) else state

    return Of(forward, [kind(6, 5)])


def heads(**options):
    def forward(model, x):
        q = model.modules_[0](x).unflatten(-1, (2, 3)).transpose(1, 2)
        return functional.scaled_dot_product_attention(q, q * 2, q + 1, **options)

    return Of(forward, [nn.Linear(6, 6)])


def function(call):
    return Of(lambda _, x: call(x))


ACTIVATIONS = {
    name: function(call)
    for name, call in {
        "relu": functional.relu,
        "tensor relu": lambda x: x.relu(),
        "relu module": nn.ReLU(inplace=True),
        "relu6": functional.relu6,
        "leaky_relu": lambda x: functional.leaky_relu(x, 0.3),
        "elu": lambda x: functional.elu(x, 0.7),
        "celu": lambda x: functional.celu(x, 0.7),
        "selu": functional.selu,
        "gelu": functional.gelu,
        "gelu tanh": nn.GELU("tanh"),
        "silu": functional.silu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": functional.softplus,
        "hardsigmoid": functional.hardsigmoid,
        "hardswish": functional.hardswish,
        "mish": functional.mish,
        "clamp": lambda x: torch.clamp(x, -0.5, 0.5).clamp(min=0),
        "hardtanh": nn.Hardtanh(-0.3, 0.4),
        "glu": nn.GLU(),
        "softsign": nn.Softsign(),
        "tanhshrink": nn.Tanhshrink(),
        "softmin": nn.Softmin(-1),
        "softmax": lambda x: x.softmax(1) + functional.log_softmax(x, -1) + torch.softmax(x, dim=2),
        "powers": lambda x: torch.exp(-x.abs()).sqrt() + x.square().add(1).rsqrt() + x**2 + x.abs().log(),
    }.items()
}

CONVOLUTIONS = {
    "linear": (nn.Linear(6, 3), VECTOR),
    "linear without bias": (nn.Linear(6, 3, bias=False), SEQUENCE),
    "convolution": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)), PICTURE),
    "dilated groups": (nn.Conv2d(4, 6, 3, dilation=2, groups=2, bias=False), PICTURE),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding="same"), PICTURE),
    "even same": (nn.Conv2d(4, 2, 4, padding="same"), PICTURE),
    "reflect": (nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), PICTURE),
    "circular": (nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"), PICTURE),
    "volume": (nn.Conv3d(4, 2, 3, stride=2, padding=1), VOLUME),
    "short": (ShortConvolution(), SEQUENCE),
    "transposed": (nn.ConvTranspose2d(4, 3, 3, 2, padding=1, output_padding=1), PICTURE),
    "transposed groups": (nn.ConvTranspose2d(4, 6, 3, 2, padding=1, groups=2, dilation=2), PICTURE),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), VECTOR),
    "convolution of weight norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 3)), PICTURE),
    "raw kernel": (Of(lambda m, x: x @ m.kernel + m.bias, kernel=random(6, 3), bias=random(3)), SEQUENCE),
    "transposed kernel": (Of(lambda m, x: x @ m.kernel.T, kernel=random(3, 6)), SEQUENCE),
    "part of a kernel": (
        Of(
            lambda m, x: functional.linear(x, m.kernel[2:5], m.bias[1:4]), kernel=random(9, 6), bias=random(9)
        ),
        VECTOR,
    ),
    "addmm": (Of(lambda m, x: torch.addmm(m.bias, x, m.kernel), kernel=random(6, 3), bias=random(3)), VECTOR),
    "embedding": (nn.Embedding(11, 3, padding_idx=0), TOKENS),
    "scale": (Of(lambda m, x: x * m.scale - m.shift, scale=random(6), shift=random(6)), SEQUENCE),
}

NORMALIZATIONS = {
    "batch": (nn.BatchNorm2d(4, eps=1e-3, momentum=0.2), PICTURE),
    "batch of vectors": (nn.BatchNorm1d(6), VECTOR),
    "cumulative batch": (nn.BatchNorm2d(4, momentum=None, affine=False), PICTURE),
    "untracked batch": (nn.BatchNorm2d(4, track_running_stats=False), PICTURE),
    "layer": (nn.LayerNorm(6), SEQUENCE),
    "layer over two axes": (nn.LayerNorm((7, 6), elementwise_affine=False), SEQUENCE),
    "group": (nn.GroupNorm(2, 4), PICTURE),
    "instance": (nn.InstanceNorm2d(4, affine=True), PICTURE),
    "root mean square": (nn.RMSNorm(6), SEQUENCE),
    "manual": (function(lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)), SEQUENCE),
    "normalize": (function(lambda x: functional.normalize(x, dim=-1)), SEQUENCE),
}

POOLINGS = {
    "max": (nn.MaxPool2d(3, 2, padding=1), PICTURE),
    "max with indices": (function(lambda x: functional.max_pool2d(x, 2, return_indices=True)[0]), PICTURE),
    "max ceil": (nn.MaxPool2d(2, ceil_mode=True), PICTURE),
    "max dilated": (nn.MaxPool2d(2, 1, dilation=2), PICTURE),
    "mean": (nn.AvgPool2d(3, 2, padding=1), PICTURE),
    "mean not counting": (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), PICTURE),
    "mean ceil": (nn.AvgPool2d(2, ceil_mode=True), PICTURE),
    "adaptive mean": (nn.AdaptiveAvgPool2d((3, 1)), PICTURE),
    "adaptive max": (nn.AdaptiveMaxPool2d(2), PICTURE),
    "global": (function(lambda x: x.mean((2, 3))), PICTURE),
    "short": (function(lambda x: functional.avg_pool1d(x, 2)), SEQUENCE),
    "nearest": (nn.Upsample(scale_factor=2), PICTURE),
    "bilinear": (nn.Upsample(size=(13, 5), mode="bilinear"), PICTURE),
    "corners": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), PICTURE),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), PICTURE),
    "shuffle": (nn.PixelShuffle(2), PICTURE),
}

SHAPES = {
    "flatten": (function(lambda x: torch.flatten(x, 1)), PICTURE),
    "views": (function(lambda x: x.view(len(x), -1).reshape(len(x), 6, 7).unsqueeze(1).squeeze(1)), SEQUENCE),
    "transpositions": (function(lambda x: x.permute(0, 2, 1).mT.transpose(1, 2).movedim(1, -1)), SEQUENCE),
    "concatenation": (function(lambda x: torch.cat([x, x * 2], -1)), SEQUENCE),
    "stack": (function(lambda x: torch.stack([x, -x], 1)), SEQUENCE),
    "chunks": (function(lambda x: sum(x.chunk(3, -1)) + sum(x.split([2, 2, 2], 2))), SEQUENCE),
    "slices": (
        function(lambda x: x[:, 1:][:, None].sum(1) + x[:, 1:, -2:].mean(-1, keepdim=True) + x[:, 0:1]),
        SEQUENCE,
    ),
    "narrow": (function(lambda x: x.narrow(1, 2, 3) + x.select(2, 0)[:, 2:5].unsqueeze(-1)), SEQUENCE),
    "iteration": (function(lambda x: sum(step for step in x.unbind(1))), SEQUENCE),
    "padding": (function(lambda x: functional.pad(x, (1, 2, 0, 1), value=0.5)), SEQUENCE),
    "edge": (nn.ReplicationPad2d(2), PICTURE),
    "expansion": (
        Of(lambda m, x: torch.cat([m.token.expand(len(x), -1, -1), x], 1), token=random(1, 1, 6)),
        SEQUENCE,
    ),
    "repetition": (function(lambda x: x.repeat(1, 2, 1).flip(1).roll(2, 1)), SEQUENCE),
    "in place": (SharedMemory(), SEQUENCE),
    "reductions": (
        function(lambda x: x.sum(1) + x.amax(1) + x.max(1)[0] + x.min(1).values + x.var(1, unbiased=False)),
        SEQUENCE,
    ),
    "arithmetic": (
        function(lambda x: 1 - x / 3 + 2 / (x * x + 1) + torch.maximum(x, -x) - 0.5 * x.pow(3)),
        SEQUENCE,
    ),
    "alpha": (function(lambda x: torch.add(x, x, alpha=3).sub_(1).mul_(2).div(5)), SEQUENCE),
    "lower types": (function(lambda x: x.float().to(torch.float16).pow(2).type_as(x).contiguous()), SEQUENCE),
    "products": (function(lambda x: torch.bmm(x, x.transpose(1, 2)) @ x), SEQUENCE),
    "einsum": (
        Of(lambda m, x: torch.einsum("...i,ijk->...jk", x, m.kernel).flatten(-2), kernel=random(6, 2, 3)),
        SEQUENCE,
    ),
    "einsum of attention": (
        function(lambda x: torch.einsum("bqk,bkd->bqd", torch.einsum("bqd,bkd->bqk", x, x).softmax(-1), x)),
        SEQUENCE,
    ),
    "prelu": (nn.PReLU(4), PICTURE),
    "copy": (function(lambda x: torch.empty(x.shape).copy_(x * 2) + x), SEQUENCE),
    "lateral shift": (function(lambda x: x.roll(-2, -1).repeat_interleave(2, 1)), SEQUENCE),
    "query heads of groups": (
        function(
            lambda x: functional.scaled_dot_product_attention(
                x.unflatten(-1, (6, 1)).transpose(1, 2),
                x[..., :2].unflatten(-1, (2, 1)).transpose(1, 2),
                x[..., 2:4].unflatten(-1, (2, 1)).transpose(1, 2),
                enable_gqa=True,
            )
        ),
        SEQUENCE,
    ),
}

SEQUENCES = {
    "gru": (recurrent(nn.GRU, batch_first=True), SEQUENCE),
    "gru time first": (recurrent(nn.GRU), SEQUENCE),
    "deep gru": (recurrent(nn.GRU, num_layers=2, bidirectional=True, batch_first=True), SEQUENCE),
    "lstm": (recurrent(nn.LSTM, batch_first=True), SEQUENCE),
    "lstm without bias": (recurrent(nn.LSTM, batch_first=True, bias=False), SEQUENCE),
    "deep lstm": (
        recurrent(nn.LSTM, num_layers=2, bidirectional=True, dropout=0.3, batch_first=True),
        SEQUENCE,
    ),
    "rnn": (recurrent(nn.RNN, batch_first=True, nonlinearity="relu"), SEQUENCE),
    "last state": (Of(lambda m, x: m.modules_[0](x)[1][-1], [nn.GRU(6, 5, batch_first=True)]), SEQUENCE),
    "gru cell": (cells(nn.GRUCell), SEQUENCE),
    "lstm cell": (cells(nn.LSTMCell), SEQUENCE),
    "attention": (heads(), SEQUENCE),
    "causal attention": (heads(is_causal=True), SEQUENCE),
    "scaled attention": (heads(scale=0.3, dropout_p=0.2), SEQUENCE),
    "masked attention": (heads(attn_mask=random(7, 7)), SEQUENCE),
    "triangular mask": (heads(attn_mask=torch.ones(7, 7).tril(1).bool()), SEQUENCE),
    "eager attention": (Of(eager_attention, [nn.Linear(6, 18)]), SEQUENCE),
    "multi-head": (
        Of(lambda m, x: m.modules_[0](x, x, x)[0], [nn.MultiheadAttention(6, 2, batch_first=True)]),
        SEQUENCE,
    ),
    "cross attention": (
        Of(
            lambda m, x: m.modules_[0](x[:, :3], x, x, need_weights=False)[0],
            [nn.MultiheadAttention(6, 3, batch_first=True, bias=False, dropout=0.1)],
        ),
        SEQUENCE,
    ),
    "length first": (Of(lambda m, x: m.modules_[0](x, x, x)[0], [nn.MultiheadAttention(6, 2)]), SEQUENCE),
    "decoder": (Decoder(nn.Transformer.generate_square_subsequent_mask(7)), TOKENS),
    "decoder of booleans": (Decoder(torch.ones(7, 7).triu(1).bool()), TOKENS),
    "dropout": (nn.Sequential(nn.Dropout(0.4), nn.Linear(6, 2), nn.AlphaDropout(0.1)), VECTOR),
}

ALL = {
    **{f"activation {name}": (module, SEQUENCE) for name, module in ACTIVATIONS.items()},
    **{f"convolution {name}": case for name, case in CONVOLUTIONS.items()},
    **{f"normalization {name}": case for name, case in NORMALIZATIONS.items()},
    **{f"pooling {name}": case for name, case in POOLINGS.items()},
    **{f"shape {name}": case for name, case in SHAPES.items()},
    **{f"sequence {name}": case for name, case in SEQUENCES.items()},
}
