"""What a module is given and holds: inputs and outputs, parameters and state, losses and optimizers."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.module import register_module_forward_pre_hook

from harness.errors import UsageError
from harness.tracing.calls import InputShape, Loss
from harness.tracing.recorder import named_tensors
from harness.tracing.side import LEARNING_RATE, RATED_STEPS, OwnTraining, Update, Updates

# Inputs and outputs: channels last outside, as the model wants them inside.
#
# A model with pictures has channels first. Sequences (batch, length, width) have channels first for
# convolutions and last for everything else, so both are tried.

Tensor = torch.Tensor
_SEQUENCE, _PICTURE = 3, 4
_BATCH, _SEED = 2, 0


def channels_first(array: Tensor) -> Tensor:
    """Move channels from the last axis to axis 1."""
    return array.movedim(-1, 1)


def candidates(shapes: Sequence[InputShape]) -> list[tuple[bool | None, ...]]:
    """List the layouts to try, likely ones first: True for channels first, None where there is no choice."""
    options: list[tuple[bool | None, ...]] = []
    for shape in shapes:
        dimensions = len(shape.shape) + 1
        if shape.integer or dimensions < _SEQUENCE:
            options.append((None,))
        else:
            options.append((True, False) if dimensions >= _PICTURE else (False, True))
    # Inputs of one model mostly agree, so that the combinations near the first one come first.
    return sorted(itertools.product(*options), key=lambda choice: sum(map(tuple.index, options, choice)))


def find_layouts(
    evaluate: Callable[[list[Tensor]], Any], shapes: Sequence[InputShape]
) -> tuple[bool | None, ...]:
    """Return the first layouts with which the model can be evaluated."""
    first, hint = None, ""
    for layouts in candidates(shapes):
        with _linear_inputs() as last:
            try:
                evaluate(to_tensors(trial_inputs(shapes), layouts))
            except Exception as error:  # noqa: BLE001  a model may raise anything
                first, hint = first or error, hint or _without_flatten(last)
            else:
                return layouts
    given = " ".join("x".join(map(str, (_BATCH, *shape.shape))) for shape in shapes)
    why = f"{type(first).__name__}: {first}"
    raise UsageError(f"the model cannot be evaluated with inputs {given}: {why}{hint}")


#: A linear layer and the shape of its input.
_LinearInput = tuple[torch.nn.Linear, tuple[int, ...]]


@contextlib.contextmanager
def _linear_inputs() -> Iterator[list[_LinearInput]]:
    """List the linear layers that are called, with the shapes of their inputs."""
    called: list[_LinearInput] = []

    def note(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, torch.nn.Linear) and inputs and isinstance(inputs[0], Tensor):
            called.append((module, tuple(inputs[0].shape)))

    hook = register_module_forward_pre_hook(note)
    try:
        yield called
    finally:
        hook.remove()


def _without_flatten(called: Sequence[_LinearInput]) -> str:
    """Return a hint if the last linear layer takes all numbers of a sample and received them unflattened."""
    if not called:
        return ""
    layer, shape = called[-1]
    if shape[-1] == layer.in_features or math.prod(shape[1:]) != layer.in_features:
        return ""
    received = "x".join(map(str, shape[1:]))
    return (
        f". A linear layer takes {layer.in_features} numbers and received {received}: put a Flatten before it"
    )


def trial_inputs(shapes: Sequence[InputShape]) -> list[np.ndarray]:
    """Make arbitrary numbers, or integers below the maximum."""
    rng = np.random.default_rng(_SEED)
    return [shape.sample(rng, _BATCH) for shape in shapes]


def to_tensors(inputs: Sequence[np.ndarray], layouts: Sequence[bool | None]) -> list[Tensor]:
    """Convert inputs to tensors for the model, of float64 and int64."""
    pairs = zip(map(to_tensor, inputs), layouts, strict=True)
    return [channels_first(tensor).contiguous() if first else tensor for tensor, first in pairs]


def to_tensor(array: np.ndarray) -> Tensor:
    """Convert inputs or targets to float64 or int64."""
    kind = np.float64 if np.asarray(array).dtype.kind == "f" else np.int64
    return torch.from_numpy(np.array(array, dtype=kind))


def array_of(tensor: Tensor) -> np.ndarray:
    """Copy the numbers of a tensor."""
    return np.array(tensor.detach().numpy())


def named_outputs(outputs: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a model returns, by name."""
    return named_tensors(outputs, lambda each: isinstance(each, Tensor))


def outside(output: Tensor) -> Tensor:
    """Move the channels of an output last, if it has channels."""
    return output.movedim(1, -1) if output.dim() >= _PICTURE else output


# Parameters and state, kept as they were while a module is evaluated or trained.


class Holding:
    """What a module holds, by name: parameters in their order, then buffers of floating type."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def tensors(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = dict(self._module.named_parameters())
        buffers = self._module.named_buffers()
        return found | {name: buffer for name, buffer in buffers if buffer.dtype.is_floating_point}

    def statistics(self) -> set[str]:
        """Return the names of the buffers of normalisations."""
        return {
            f"{path}.{key}" if path else key
            for path, module in self._module.named_modules()
            if isinstance(module, _NormBase) or type(module).__name__ == "FrozenBatchNorm2d"
            for key, _ in module.named_buffers(recurse=False)
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy the numbers of the tensors by name."""
        return {name: array_of(tensor) for name, tensor in self.tensors().items()}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Replace the numbers of tensors; the old arrays stay unchanged for other users."""
        tensors = self.tensors()
        for name, array in parameters.items():
            if tuple(array.shape) != tuple(tensors[name].shape):
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(array.shape)}")
            numbers = torch.from_numpy(np.array(array, dtype=np.result_type(array, np.float64)))
            tensors[name].data = numbers.to(tensors[name].dtype)

    @contextlib.contextmanager
    def kept(self, *, parameters: bool) -> Iterator[dict[str, Tensor]]:
        """Work on copies of buffers and, with ``parameters``, of those; yields the old numbers by name."""
        buffers = [
            (owner, key, tensor, tensor.data)
            for owner in self._module.modules()
            for key, tensor in owner._buffers.items()  # noqa: SLF001  the only way to buffers of one module
            if tensor is not None
        ]
        trained = [(tensor, tensor.data) for tensor in self._module.parameters()] if parameters else []
        before = {name: tensor.data for name, tensor in self.tensors().items()}
        training = [(each, each.training) for each in self._module.modules()]
        for tensor, numbers in [(tensor, numbers) for _, _, tensor, numbers in buffers] + trained:
            tensor.data = numbers.clone()
        try:
            yield before
        finally:
            for owner, key, tensor, numbers in buffers:
                tensor.data = numbers
                owner._buffers[key] = tensor  # noqa: SLF001
            for tensor, numbers in trained:
                tensor.data = numbers
                tensor.grad = None
            for module, mode in training:
                module.training = mode

    def changes(self, before: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return the numbers that differ from ``before``."""
        return {
            name: array_of(tensor)
            for name, tensor in self.tensors().items()
            if tensor.data_ptr() != before[name].data_ptr() and not torch.equal(tensor.data, before[name])
        }


# Losses, optimizers and their rules.


def loss_of(name: Loss, output_name: str = "") -> Callable[[Any, Tensor], Tensor]:
    """Return a loss of an output, with classes on the last axis, averaged over everything."""

    def cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
        logits = outside(chosen(outputs, output_name))
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).long())

    def squared_error(outputs: Any, targets: Tensor) -> Tensor:
        output = outside(chosen(outputs, output_name))
        return functional.mse_loss(output, targets.to(output.dtype).reshape(output.shape))

    return cross_entropy if name == "cross-entropy" else squared_error


def chosen(outputs: Any, name: str) -> Tensor:
    """Return the tensor named ``name`` among a model's outputs, or else the first."""
    found = dict(named_outputs(outputs))
    if not found:
        raise ValueError("the model returns no tensor")
    return found.get(name, next(iter(found.values())))


def own_loss(own: OwnTraining, name: Loss, output_name: str) -> Callable[[Any, Tensor], Tensor]:
    """Return the user's loss of a model's outputs, or the named loss."""
    return loss_of(name, output_name) if own.make_loss is None else own.make_loss()


def own_optimizer(own: OwnTraining, parameters: Iterable[Tensor]) -> tuple[Any, Any | None]:
    """Return the user's optimizer, or gradient descent, and the user's scheduler."""
    if own.make_optimizer is None:
        return Descent(list(parameters)), None
    made = own.make_optimizer(parameters)
    optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
    return optimizer, scheduler


class Descent(NamedTuple):
    """Gradient descent. The one of torch imports the compiler, which takes seconds."""

    parameters: list[Tensor]

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-LEARNING_RATE)


#: The rules of optimizers, and the names of their options by those of :class:`Update`.
_RULES = {
    "SGD": ("sgd", {"momentum": "momentum", "nesterov": "nesterov"}),
    "Adam": ("adam", {"epsilon": "eps", "amsgrad": "amsgrad"}),
    "AdamW": ("adam", {"epsilon": "eps", "amsgrad": "amsgrad"}),
    "RMSprop": (
        "rmsprop",
        {"momentum": "momentum", "beta_2": "alpha", "epsilon": "eps", "centered": "centered"},
    ),
}


def rules_of(optimizer: Any, scheduler: Any, parameters: Mapping[str, Tensor]) -> Updates:
    """Read the rule of each of ``parameters`` from the groups of an optimizer; advances the scheduler."""
    kind, rules = type(optimizer), dict[int, Update]()
    known = kind.__module__.startswith("torch.optim") and kind.__name__ in _RULES
    rates = _rates(optimizer, scheduler) if known and scheduler is not None else None
    for place, group in enumerate(optimizer.param_groups):
        rule = _rule_of(kind.__name__ if known else "", group, () if rates is None else tuple(rates[place]))
        rules |= dict.fromkeys(map(id, group["params"]), rule)
    return {name: rules.get(id(parameter), Update("none")) for name, parameter in parameters.items()}


def _rule_of(kind: str, group: Mapping[str, Any], rates: tuple[float, ...]) -> Update:
    """Read the rule of a ``group`` of an optimizer of the class ``kind``, empty if it is not known."""
    rate = None if group.get("lr") is None else float(group["lr"])
    if not kind or group.get("dampening") or group.get("maximize"):
        return Update(rule="unknown", learning_rate=rate)
    rule, names = _RULES[kind]
    options: dict[str, Any] = {field: group[own] for field, own in names.items()}
    if "betas" in group:
        options["beta_1"], options["beta_2"] = map(float, group["betas"])
    return Update(
        rule=rule,
        learning_rate=rate,
        decay=float(group["weight_decay"]),
        decay_coupled=not group.get("decoupled_weight_decay", False),
        rates=rates,
        **options,
    )


def _rates(optimizer: Any, scheduler: Any) -> list[list[float]]:
    """Return the learning rates of each group at the rated steps, as far as the schedule goes."""
    rates: list[list[float]] = [[] for _ in optimizer.param_groups]
    optimizer.step()  # of no gradients; a scheduler warns without it
    for step in range(RATED_STEPS[-1] + 1):
        if step in RATED_STEPS:
            for own, group in zip(rates, optimizer.param_groups, strict=True):
                own.append(float(group["lr"]))
        try:
            scheduler.step()
        except Exception:  # noqa: BLE001  the end of a schedule, which the user's code may have made
            break
    return rates
