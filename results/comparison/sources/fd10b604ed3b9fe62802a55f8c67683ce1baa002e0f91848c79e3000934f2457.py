"""A small CNN in PyTorch; `faults` names what is planted."""

import torch
from torch import nn


def make(faults=()):
    return Cnn(set(faults))


class Cnn(nn.Module):
    def __init__(self, faults):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.hidden = nn.Linear(12 * 4 * 4, 32)
        self.gelu = nn.GELU()
        self.dropout = nn.Dropout(0.25)
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.first(x)), 2)
        x = self.pool(nn.functional.leaky_relu(self.second(x), 0.1))
        x = self.dropout(self.gelu(self.hidden(torch.flatten(x, 1))))
        return self.last(x)
