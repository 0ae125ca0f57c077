"""A training step with a known fault, named by the variable PLANTED: nothing, slower, memory or value."""

import os

import torch
from torch import nn

FAULT = os.environ.get("PLANTED", "nothing")
EPSILON, OTHER_EPSILON = 1e-8, 1e-4
#: Pictures of a batch, and those of them that the slower step passes through the network once more.
BATCH, AGAIN = 64, 16
#: Elements of the array that the step with more memory keeps: 256 MiB of float32.
KEPT = 1 << 26


def make_step():
    """Build a small CNN with Adam, and return one step of its training."""
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2048, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), eps=OTHER_EPSILON if FAULT == "value" else EPSILON)
    kept = torch.ones(KEPT) if FAULT == "memory" else None

    def step():
        pictures, classes = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
        if FAULT == "slower":
            with torch.no_grad():
                model(pictures[:AGAIN])
        loss = nn.functional.cross_entropy(model(pictures), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss if kept is None else loss * kept[0]

    return step
