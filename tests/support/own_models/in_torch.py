"""The models of :mod:`support.own_models.in_keras` in PyTorch."""

import math

import torch
from torch import nn
from torch.nn import functional


class BatchNorm(nn.BatchNorm2d):
    """With Keras's running variance, which is not the unbiased one."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (variance - self.running_var)
        return functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        BatchNorm(5, eps=1e-4, momentum=0.2),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(5 * 3 * 2, 4),
    )


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 8)
        self.norm = nn.LayerNorm(8, eps=1e-4)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, tokens):
        x = self.table(tokens)
        q, k, v = (
            part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, dim=-1)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(4), -1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return self.down(functional.silu(self.up(x)).mean(1))


class Lstm(nn.Module):
    """With one bias, as Keras has it."""

    def __init__(self):
        super().__init__()
        self.kernel, self.recurrent = nn.Linear(3, 16), nn.Linear(4, 16, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            i, f, g, o = (self.kernel(step) + self.recurrent(h)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h)


def partly_frozen():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    model[0].requires_grad_(False)
    return model
