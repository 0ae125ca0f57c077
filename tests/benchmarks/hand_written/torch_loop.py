"""Tasks as an expert writes them by hand in PyTorch: resident data, given batches, nothing of the harness.

The yardstick for what training through the harness may cost. Threads must have been set before.
"""

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class FlattenHeightWidthChannels(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``: a view where memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def cnn(flatten: nn.Module) -> nn.Module:
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


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(40, 100),
        nn.ReLU(inplace=True),
        nn.Linear(100, 100),
        nn.ReLU(inplace=True),
        nn.Linear(100, 10),
    )


class Rnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 6, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(480, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.gru(x)[0].flatten(1))


def model_of(task: str, *, channels_last: bool) -> nn.Module:
    match task:
        case "cnn":
            return cnn(FlattenHeightWidthChannels() if channels_last else nn.Flatten())
        case "mlp":
            return mlp()
        case _:
            return Rnn()


# --- Weights, from canonical layout -------------------------------------------------------------


def _by_channel(array: np.ndarray, axis: int) -> np.ndarray:
    """An axis that stands for a picture from (height, width, channel) order to (channel, height, width)."""
    if array.shape[axis] != 2304:
        return array
    order = np.arange(2304).reshape(6, 6, 64).transpose(2, 0, 1).ravel()
    return array.take(order, axis)


def _to_torch(module: nn.Module, arrays: Iterator[np.ndarray], *, channels_last: bool) -> list[np.ndarray]:
    """The arrays of a module's parameters, in their order."""
    match module:
        case nn.Conv2d():
            return [next(arrays).transpose(3, 2, 0, 1), next(arrays)]
        case nn.Linear():
            kernel, bias = next(arrays), next(arrays)
            if not channels_last:
                kernel, bias = _by_channel(_by_channel(kernel, 0), 1), _by_channel(bias, 0)
            return [kernel.T, bias]
        case nn.GRU():
            made = [[next(arrays) for _ in range(4)] for _ in range(2)]
            return [part.T for direction in made for part in direction]
        case _:
            return []


def _load(network: nn.Module, weights: list[np.ndarray], *, channels_last: bool) -> None:
    arrays = iter(weights)
    with torch.no_grad():
        for module in network.modules():
            made = _to_torch(module, arrays, channels_last=channels_last)
            for parameter, array in zip(module.parameters(recurse=False) if made else (), made, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


# --- Loops --------------------------------------------------------------------------------------


def _step(task: str, model: nn.Module, *, compiled: bool) -> Callable[..., torch.Tensor]:
    if task == "cnn":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-7)
    loss_of = lambda x, y: functional.cross_entropy(model(x), y)  # noqa: E731
    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = loss_of(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


class Loop:
    """A training in progress."""

    def __init__(
        self,
        task: str,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: Mapping[str, np.ndarray],
        mode: str = "eager",
        device: str = "cpu",
    ) -> None:
        """Take canonical inputs ``(n, *input)``, targets and weights, layer after layer."""
        self._device = torch.device(device)
        pictures = inputs.ndim == 4
        self._channels_last = pictures and mode == "channels_last"
        model = model_of(task, channels_last=self._channels_last)
        _load(model, list(weights.values()), channels_last=self._channels_last)
        model.to(device, memory_format=torch.channels_last if self._channels_last else torch.preserve_format)
        tensor = torch.tensor(inputs, device=device)
        # Rows of (n, H, W, C) are picked as whole pictures, and seen as NCHW in channels-last memory.
        plain = pictures and not self._channels_last
        self._inputs = tensor.permute(0, 3, 1, 2).contiguous() if plain else tensor
        self._targets = torch.from_numpy(targets).to(device)
        self._step = _step(task, model, compiled=mode == "compile")

    def block(self, indices: np.ndarray) -> tuple[float, float]:
        """Seconds of steps ``(steps, batch)``, and their mean loss."""
        start = time.perf_counter()
        losses = []
        for batch in torch.from_numpy(indices).to(self._device):
            x = self._inputs[batch]
            x = x.permute(0, 3, 1, 2) if self._channels_last else x
            losses.append(self._step(x, self._targets[batch]))
        mean = float(torch.stack(losses).mean())
        return time.perf_counter() - start, mean
