"""Keras on PyTorch: what differs between engines, under the same names in each engine's file."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from harness.backend_support.feeding import is_augmented, without_padding
from harness.layers import LEAKY_RELU_SLOPE
from harness.spec import Precision, Unsupported
from harness_keras import layout, objectives, torch_optimizers
from harness_keras.objectives import OnDevice, TwoNetworks, windows

Tensor = Any

OPTIMIZERS = torch_optimizers.OPTIMIZERS
tanh = keras.activations.tanh
sigmoid = keras.activations.sigmoid
gelu = functional.gelu
gelu_tanh = functools.partial(functional.gelu, approximate="tanh")


def prepare(threads: int) -> dict[str, str]:
    """Set the thread count and the format of pictures, and describe this PyTorch."""
    torch.set_num_threads(threads)
    # PyTorch's own format: a cnn's step takes 20 % less time than in Keras's default.
    layout.put_channels_first()
    # NVIDIA's TF32 keeps only ten bits of the mantissa.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return {
        "engine": "torch",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda or "none"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "tf32": "off",
    }


def select(device: str, precision: Precision) -> str:
    """Return the name of PyTorch's device for ``device``, in any precision."""
    del precision
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        if (taken := keras.ops.zeros(()).device.type) != "cpu":
            raise Unsupported(f"Keras uses {taken} in this process; CUDA_VISIBLE_DEVICES=-1 hides it")
        return "cpu"
    if not torch.cuda.is_available():
        reason = "" if torch.version.cuda else " and was built without CUDA"
        raise Unsupported(f"device {device} was requested, but PyTorch sees no GPU{reason}")
    return f"cuda:0 ({torch.cuda.get_device_name(0)})"


class Dense(keras.layers.Dense):
    """Keras's Dense, except in float64, where Keras's product on PyTorch goes through float32."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Map ``(..., in)`` to ``(..., units)``."""
        if self.compute_dtype != "float64":
            return super().call(inputs, training)
        product = inputs @ self.kernel.value
        return self.activation(product if self.bias is None else product + self.bias.value)


def leaky_relu(x: Tensor) -> Tensor:
    """Compute ``x`` above zero, ``LEAKY_RELU_SLOPE * x`` elsewhere."""
    return functional.leaky_relu(x, LEAKY_RELU_SLOPE)


class SupervisedModel(OnDevice, keras.Model):
    """A model whose training step takes the rows of its batch in data that stays on the device.

    The step follows Keras's guide to custom training steps in PyTorch.
    """

    def train_step(self, step: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make one update on ``indices (batch,)``; returns the loss that it minimised."""
        _set_rate(self, self)
        if self.privacy is not None:
            return self._private_step(step)
        inputs = _inputs_of(self, step)
        targets = self.targets_on_device.index_select(0, step["indices"])
        terms = self.loss_terms(targets, self(inputs, training=True))
        return {"loss": _minimize(self, terms.mean() + sum(self.losses))}

    def _private_step(self, step: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make one step of DP-SGD; see :class:`harness.spec.Privacy`."""
        step = without_padding(step)
        targets = self.targets_on_device.index_select(0, step["indices"])
        values = [variable.value for variable in self.trainable_variables]
        others = [variable.value for variable in self.non_trainable_variables]

        def loss_of(values: list[Tensor], x: Tensor, target: Tensor) -> Tensor:
            outputs, _ = self.stateless_call(values, others, x[None], training=True)
            return self.loss_terms(target[None], outputs).mean()

        by_sample = torch.func.vmap(torch.func.grad_and_value(loss_of), (None, 0, 0))
        each, losses = by_sample([value.detach() for value in values], _inputs_of(self, step), targets)

        def drawn(count: int) -> Tensor:
            first, second = step["noise_seeds"].tolist()
            generator = torch.Generator(losses.device).manual_seed(first << 31 | second)
            return torch.randn(count, generator=generator, dtype=losses.dtype, device=losses.device)

        combined = objectives.private_gradients(torch, self, list(each), step, drawn, _squares)
        loss = (losses * step["included"]).sum() / self.batch_size
        return {
            "loss": _minimize(self, objectives.penalty(self.trainable_variables, values), combined) + loss
        }


def _squares(rows: Tensor) -> Tensor:
    """Sum the squares of each row, without a copy of the matrix."""
    return torch.linalg.vector_norm(rows, dim=1).square()


class AdversarialModel(TwoNetworks):
    """A generator and a discriminator, trained by the step of Keras's DCGAN example, written for PyTorch."""

    def train_step(self, step: dict[str, Tensor]) -> dict[str, Tensor]:
        """Update each network once; see :class:`harness.spec.Adversarial`."""
        pictures = _inputs_of(self, step)
        _set_rate(self, self.generator, self.discriminator)
        made = self.generator(step["latents"], training=True).to(pictures.dtype)
        logits = self.discriminator(torch.cat([pictures, made.detach()]), training=True)
        targets = torch.zeros_like(logits)
        targets[: len(pictures)] = 1
        loss = self.loss_terms(targets, logits).mean() + sum(self.discriminator.losses)
        discriminator_loss = _minimize(self.discriminator, loss)
        logits = self.discriminator(made, training=True)
        loss = self.loss_terms(torch.ones_like(logits), logits).mean() + sum(self.generator.losses)
        return {
            "discriminator_loss": discriminator_loss,
            "generator_loss": _minimize(self.generator, loss),
        }


def _set_rate(model: OnDevice, *networks: keras.Model) -> None:
    """Set the next of the model's learning rates, if there are any, for all networks."""
    if model.rates is not None:
        rate = next(model.rates)
        for network in networks:
            if isinstance(network.optimizer, torch_optimizers.OnTorch):
                network.optimizer.rate = rate
            else:  # one of the user's own
                network.optimizer.learning_rate = rate


def _minimize(network: keras.Model, loss: Tensor, further: list[Tensor] | None = None) -> Tensor:
    """Minimise this loss by one step of the network's weights; returns the loss, detached.

    ``further`` are gradients to add, by the position of the weight; the loss may be 0 with them.
    """
    network.zero_grad()
    weights = network.trainable_weights
    values = [variable.value for variable in weights]
    if isinstance(loss, torch.Tensor):
        loss.backward(inputs=values)
        loss = loss.detach()
    gradients = [value.grad for value in values]
    if further is not None:
        gradients = [
            further[place] if own is None else own + further[place] for place, own in enumerate(gradients)
        ]
    with torch.no_grad():
        network.optimizer.apply(gradients, weights)
    return loss


def _inputs_of(model: OnDevice, step: dict[str, Tensor]) -> Tensor:
    """Collect the inputs of a step by one gather, augmented if the draws ask for it."""
    if "augmented" in step:
        return step["augmented"]
    inputs = model.inputs_on_device
    if not is_augmented(step):
        return inputs.index_select(0, step["indices"])
    channels, height, width = inputs.shape[1:]
    rows, y, x = windows(step, height - 2 * model.crop, width - 2 * model.crop)
    every_channel = torch.arange(channels, device=inputs.device)[:, None, None]
    return inputs[rows[:, None], every_channel, y[:, None], x[:, None]]


def differentiator(
    model: keras.Model, picked: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[np.ndarray, np.ndarray], tuple[Tensor, Tensor]]:
    """Return a function that returns gradients of the ``picked`` outputs by the inputs, and the outputs."""
    device = model.variables[0].value.device if model.variables else None

    def differentiate(inputs: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        x = torch.tensor(inputs, device=device, requires_grad=True)
        chosen = picked(model(x, training=False), torch.tensor(targets, device=device).long())
        (gradient,) = torch.autograd.grad(chosen.sum(), x)
        return gradient.cpu(), chosen.detach().cpu()

    return differentiate


class _Batches(keras.utils.PyDataset):
    def __init__(self, steps: dict[str, Tensor]) -> None:
        super().__init__()
        self._steps = steps

    def __len__(self) -> int:
        return len(self._steps["indices"])

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return {name: tensor[step] for name, tensor in self._steps.items()}


def batches(model: OnDevice, steps: dict[str, np.ndarray]) -> keras.utils.PyDataset | DataLoader[Any]:
    """Return the argument of ``fit`` that makes these steps; each array has one row per step."""
    # As numbers: in a batch they would be moved to the device.
    rates = steps.pop("learning_rates", None)
    model.rates = None if rates is None else iter(rates.tolist())
    device = model.targets_on_device.device
    made = _Batches({name: torch.from_numpy(array).to(device) for name, array in steps.items()})
    if not model.draws_from_engine:
        return made
    # The loader that Keras makes draws from the generator of dropout, which would depend on the calls of fit.
    return DataLoader(made, batch_size=None, generator=torch.Generator())


def to_host(losses: list[Tensor]) -> np.ndarray:
    """Copy scalars on the device to one array ``(steps,)``, in one transfer."""
    return torch.stack(losses).cpu().numpy()


def synchronize(model: OnDevice) -> None:
    """Wait for the GPU, where there is one."""
    if model.targets_on_device.is_cuda:
        torch.cuda.synchronize()


def peak_memory_bytes() -> int:
    """Return the peak of the GPU's allocator in bytes."""
    return torch.cuda.max_memory_allocated()


def generator_state() -> dict[str, np.ndarray]:
    """Return the state of PyTorch's generators, from which Keras's dropout without a seed draws."""
    state = {"generator": torch.get_rng_state().numpy()}
    if torch.cuda.is_available():
        state["cuda_generator"] = torch.cuda.get_rng_state().numpy()
    return state


def load_generator_state(state: Mapping[str, np.ndarray]) -> None:
    """Restore the ``state`` that :func:`generator_state` returned."""
    torch.set_rng_state(torch.from_numpy(np.array(state["generator"])))
    if "cuda_generator" in state:
        torch.cuda.set_rng_state(torch.from_numpy(np.array(state["cuda_generator"])))
