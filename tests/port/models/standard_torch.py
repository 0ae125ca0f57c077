"""A model that standardises its features by hand in PyTorch, whose deviation is the unbiased one."""

from torch import nn


def make(faults=()):
    return Standard()


class Standard(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(20, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = self.first(x)
        x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)
        return self.last(x)
