"""ResNet-20 for CIFAR-10 as PyTorch's users write it: basic blocks, SGD with momentum, milestones."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

EPOCHS, RATE, DECAY = 182, 0.1, 1e-4


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        strides = outputs // inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, strides, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if strides > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, strides, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return functional.relu(out, inplace=True)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.blocks = nn.Sequential(*map(Block, widths, widths[1:]))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(self.blocks(x).mean((2, 3)))


def penalty(model: nn.Module) -> float:
    """What the decay of the optimizer amounts to in the loss, which the harness tells with it."""
    with torch.no_grad():
        return float(DECAY / 2 * sum(p.square().sum() for p in model.parameters() if p.ndim > 1))


def training_step(model: nn.Module, steps_per_epoch: int, *, compiled: bool) -> Callable[..., torch.Tensor]:
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": DECAY}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9)
    total = EPOCHS * steps_per_epoch
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [total // 2, 3 * total // 4])
    run = torch.compile(model) if compiled else model

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = functional.cross_entropy(run(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.detach()

    return step
