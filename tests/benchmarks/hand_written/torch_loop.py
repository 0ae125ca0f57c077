"""The cnn as an expert writes it by hand in PyTorch: resident data, given batches, nothing of the harness.

The yardstick for what training through the harness may cost. Threads must have been set before.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LEARNING_RATE = 0.01
Mode = Literal["eager", "channels_last", "compile"]


class FlattenHeightWidthChannels(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``: a view where memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _cnn(flatten: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        flatten,
        nn.Linear(2304, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, 10),
    )


def _to_torch(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """A canonical kernel in torch's layout; the first dense one's rows follow the order of the flattening."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)  # (H, W, in, out) -> (out, in, H, W)
    if array.ndim == 2 and len(array) == 2304 and not channels_last:
        array = array.reshape(6, 6, 64, -1).transpose(2, 0, 1, 3).reshape(2304, -1)
    return array.T


class Loop:
    """A training in progress; ``losses`` holds every loss so far, as float32 scalars on the device."""

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: Mapping[str, np.ndarray],
        mode: Mode = "eager",
        device: str = "cpu",
    ) -> None:
        """Take pictures ``(n, 32, 32, 3)``, targets ``(n,)`` and canonical weights, layer after layer."""
        channels_last = mode == "channels_last"
        memory = torch.channels_last if channels_last else torch.contiguous_format
        model = _cnn(FlattenHeightWidthChannels() if channels_last else nn.Flatten())
        with torch.no_grad():
            for parameter, array in zip(model.parameters(), weights.values(), strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(_to_torch(array, channels_last))))
        model = model.to(device, memory_format=memory)
        self._device = torch.device(device)
        pictures = torch.from_numpy(inputs).to(device)
        # Rows of (n, H, W, C) are picked as whole pictures, and seen as NCHW in channels-last memory.
        self._inputs = pictures if channels_last else pictures.permute(0, 3, 1, 2).contiguous()
        self._channels_last = channels_last
        self._targets = torch.from_numpy(targets).to(device)
        self._optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        self._loss = torch.compile(self._loss_of(model)) if mode == "compile" else self._loss_of(model)
        self.losses: list[torch.Tensor] = []

    @staticmethod
    def _loss_of(model: nn.Module):
        return lambda x, y: functional.cross_entropy(model(x), y)

    def block_seconds(self, blocks: Iterable[np.ndarray]) -> list[float]:
        """Seconds of each block of steps, given as indices ``(steps, batch)``."""
        return [self._timed(indices) for indices in blocks]

    def _timed(self, indices: np.ndarray) -> float:
        start = time.perf_counter()
        self._train(torch.from_numpy(indices).to(self._device))
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start

    def _train(self, batches: torch.Tensor) -> None:
        inputs, targets, optimizer, loss_of = self._inputs, self._targets, self._optimizer, self._loss
        for batch in batches:
            x, y = inputs[batch], targets[batch]
            loss = loss_of(x.permute(0, 3, 1, 2) if self._channels_last else x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.losses.append(loss.detach())
