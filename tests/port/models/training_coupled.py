"""The model with the decay in the gradient: Adam in place of AdamW."""

import torch
from training_torch import make, make_loss

__all__ = ["make", "make_loss", "make_optimizer"]


def make_optimizer(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, weight_decay=0.1)
