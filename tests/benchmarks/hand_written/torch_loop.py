"""Tasks as an expert writes them by hand in PyTorch: resident data, given batches, nothing of the harness.

The yardstick for what training through the harness may cost. Threads must have been set before.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
import torch_lm
from torch import nn
from torch.nn import functional

SLOPE = 0.2


class FlattenHeightWidthChannels(nn.Module):
    """``(batch, C, H, W)`` to ``(batch, H * W * C)``: a view where memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenHeightWidthChannels(nn.Module):
    """``(batch, 4 * 4 * 128)`` to ``(batch, 128, 4, 4)`` in channels-last memory: a view."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(-1, 4, 4, 128).permute(0, 3, 1, 2)


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


class Forecast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.dense = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.lstm(x)[1][0][0])


def generator(unflatten: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 2048),
        unflatten,
        nn.ConvTranspose2d(128, 64, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 3, 5, padding=2),
        nn.Sigmoid(),
    )


def discriminator(flatten: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(64, 128, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        flatten,
        nn.Linear(2048, 1),
    )


def networks(task: str, *, channels_last: bool) -> dict[str, nn.Module]:
    flatten = FlattenHeightWidthChannels() if channels_last else nn.Flatten()
    unflatten = UnflattenHeightWidthChannels() if channels_last else nn.Unflatten(1, (128, 4, 4))
    if task == "gan":
        return {"generator": generator(unflatten), "discriminator": discriminator(flatten)}
    made = {
        "cnn": lambda: cnn(flatten),
        "mlp": mlp,
        "rnn": Rnn,
        "forecast": Forecast,
        "lm": torch_lm.Gpt,
    }
    return {"model": made[task]()}


# --- Weights, from canonical layout -------------------------------------------------------------


def _by_channel(array: np.ndarray, axis: int) -> np.ndarray:
    """An axis that stands for a picture from (height, width, channel) order to (channel, height, width)."""
    pictures = {2304: (6, 6, 64), 2048: (4, 4, 128)}
    shape = pictures.get(array.shape[axis])
    if shape is None:
        return array
    order = np.arange(array.shape[axis]).reshape(shape).transpose(2, 0, 1).ravel()
    return array.take(order, axis)


def _to_torch(module: nn.Module, arrays: Iterator[np.ndarray], *, channels_last: bool) -> list[np.ndarray]:
    """The arrays of a module's parameters, in their order."""
    match module:
        case nn.ConvTranspose2d() | nn.Conv2d():
            axes = (2, 3, 0, 1) if isinstance(module, nn.ConvTranspose2d) else (3, 2, 0, 1)
            kernel, *bias = (next(arrays) for _ in module.parameters())
            return [kernel.transpose(axes), *bias]
        case nn.LayerNorm() | nn.Embedding():
            return [next(arrays) for _ in module.parameters()]
        case nn.Linear():
            kernel, bias = next(arrays), next(arrays)
            if not channels_last:
                kernel, bias = _by_channel(_by_channel(kernel, 0), 1), _by_channel(bias, 0)
            return [kernel.T, bias]
        case nn.GRU():
            made = [[next(arrays) for _ in range(4)] for _ in range(2)]
            return [part.T for direction in made for part in direction]
        case nn.LSTM():
            module.bias_hh_l0.requires_grad_(False)
            made = [next(arrays) for _ in range(3)]
            return [*(part.T for part in made), np.zeros_like(made[2])]
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


def _optimizer(task: str, network: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if task == "cnn":
        return torch.optim.SGD(parameters, lr=0.01)
    rates = {"mlp": 0.01, "rnn": 0.01, "forecast": 2e-3, "gan": 1e-3}
    return torch.optim.Adam(
        parameters, lr=rates[task], betas=(0.5 if task == "gan" else 0.9, 0.999), eps=1e-7
    )


def _supervised(task: str, model: nn.Module, *, compiled: bool) -> Callable[..., torch.Tensor]:
    optimizer = _optimizer(task, model)
    criterion = functional.mse_loss if task == "forecast" else functional.cross_entropy
    loss_of = lambda x, y: criterion(model(x), y)  # noqa: E731
    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = loss_of(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _adversarial(generate: nn.Module, judge: nn.Module, *, compiled: bool) -> Callable[..., torch.Tensor]:
    optimizers = [_optimizer("gan", network) for network in (generate, judge)]
    of_generator, of_judge = list(generate.parameters()), list(judge.parameters())
    bce = functional.binary_cross_entropy_with_logits
    if compiled:
        generate, judge = torch.compile(generate), torch.compile(judge)

    def step(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        fakes = generate(z)
        real, fake = judge(x), judge(fakes.detach())
        loss = (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2
        optimizers[1].zero_grad()
        loss.backward(inputs=of_judge)
        optimizers[1].step()
        fooled = judge(fakes)
        generator_loss = bce(fooled, torch.ones_like(fooled))
        optimizers[0].zero_grad()
        generator_loss.backward(inputs=of_generator)
        optimizers[0].step()
        return generator_loss.detach()

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
        nets = networks(task, channels_last=self._channels_last)
        for name, network in nets.items():
            own = [array for full, array in weights.items() if full.startswith(f"{name}/")]
            _load(network, own, channels_last=self._channels_last)
            memory = torch.channels_last if self._channels_last else torch.preserve_format
            network.to(device, memory_format=memory)
        tensor = torch.tensor(inputs, device=device)
        # Rows of (n, H, W, C) are picked as whole pictures, and seen as NCHW in channels-last memory.
        plain = pictures and not self._channels_last
        self._inputs = tensor.permute(0, 3, 1, 2).contiguous() if plain else tensor
        self._targets = torch.from_numpy(targets).to(device)
        if task == "gan":
            self._step = _adversarial(nets["generator"], nets["discriminator"], compiled=mode == "compile")
        elif task == "lm":
            self._step = torch_lm.training_step(nets["model"], compiled=mode == "compile")
        else:
            self._step = _supervised(task, nets["model"], compiled=mode == "compile")

    def block(self, indices: np.ndarray, latents: np.ndarray | None) -> tuple[float, float]:
        """Seconds of steps ``(steps, batch)``, and their mean loss (the generator's)."""
        start = time.perf_counter()
        rows = torch.from_numpy(indices).to(self._device)
        second = itertools.repeat(None) if latents is None else torch.from_numpy(latents).to(self._device)
        losses = []
        for batch, z in zip(rows, second, strict=False):
            x = self._inputs[batch]
            x = x.permute(0, 3, 1, 2) if self._channels_last else x
            losses.append(self._step(x, self._targets[batch] if z is None else z))
        mean = float(torch.stack(losses).mean())
        return time.perf_counter() - start, mean
