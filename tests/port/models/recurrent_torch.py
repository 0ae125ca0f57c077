"""A GRU and an LSTM in PyTorch: sequences of 10 steps of 4 numbers."""

import torch
from torch import nn


def make(faults=(), cell="gru"):
    return Recurrent(cell)


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = (nn.GRU if cell == "gru" else nn.LSTM)(4, 6, batch_first=True)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        steps, _ = self.cell(x)
        return self.head(torch.tanh(steps.mean(1)))
