"""A dense network with batch normalisation and dropout in PyTorch."""

from torch import nn


def make(faults=()):
    return nn.Sequential(
        nn.Linear(20, 32),
        nn.BatchNorm1d(32),
        nn.SiLU(),
        nn.Dropout(0.2),
        nn.Linear(32, 16),
        nn.ELU(),
        nn.Linear(16, 4),
    )
