"""Small models in PyTorch: a CNN with batch normalisation, a transformer and a dense network."""

import torch
from torch import nn
from torch.nn import functional

VOCABULARY, LENGTH, WIDTH, HEADS = 11, 6, 8, 2


class BatchNorm(nn.BatchNorm2d):
    """Keeps the biased variance, as flax does."""

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean((0, 2, 3)), 0.1)
                self.running_var.lerp_(x.var((0, 2, 3), unbiased=False), 0.1)
            return functional.batch_norm(x, None, None, self.weight, self.bias, training=True)
        return super().forward(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), BatchNorm(4)
        self.strided, self.dense = nn.Conv2d(4, 3, 2, stride=2), nn.Linear(12, 5)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.norm(self.conv(x))), 2)
        x = functional.silu(self.strided(x)).permute(0, 2, 3, 1)
        return self.dense(x.flatten(1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out, self.up = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.down, self.head = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return self.head(x + self.down(functional.gelu(self.up(x))))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.dropout, self.last = nn.Linear(9, 16), nn.Dropout(0.5), nn.Linear(16, 5)

    def forward(self, x):
        return self.last(self.dropout(torch.tanh(self.first(x))))
