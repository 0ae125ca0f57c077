"""A ``torch.nn.Module`` as a side, and as its code is."""

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from harness.tracing.calls import InputShape, Loss, Trace
from harness.tracing.side import (
    Batch,
    Gradients,
    Inputs,
    Override,
    OwnTraining,
    Trained,
    Updates,
)
from harness_torch.port import attention, elementwise, layers, rearranging  # noqa: F401  fill the table
from harness_torch.port.exact import Exact, run_eagerly, widened
from harness_torch.port.recorder import Recorder
from harness_torch.port.tracer import Tracer
from harness_torch.port.training import (
    Holding,
    array_of,
    channels_first,
    chosen,
    find_layouts,
    loss_of,
    named_outputs,
    outside,
    own_loss,
    own_optimizer,
    rules_of,
    to_tensor,
    to_tensors,
    trial_inputs,
)

Tensor = torch.Tensor


class TorchSide:
    """Implements :class:`harness.tracing.side.Side`.

    ``input_layouts`` says for each input whether the model has it channels first.
    """

    framework = backend = "torch"
    draws = False
    seeded = True

    def __init__(self, module: torch.nn.Module, shapes: Sequence[InputShape], own: OwnTraining) -> None:
        run_eagerly()
        self.versions = {"torch": str(torch.__version__)}
        self._module = widened(module.cpu())
        self._own = own
        self._holding = Holding(module)
        lazy = any(map(is_lazy, (*module.parameters(), *module.buffers())))
        # The first evaluation gives lazy modules their parameters, which cannot be kept before.
        with contextlib.nullcontext() if lazy else self._holding.kept(parameters=False):
            self._module.eval()
            with torch.no_grad():
                self.input_layouts = find_layouts(self._evaluate, shapes)
        widened(self._module)
        self._state = self._holding.statistics() | self._changing(shapes)

    def parameters(self) -> dict[str, np.ndarray]:
        return self._holding.arrays()

    def trained(self) -> set[str]:
        return {name for name, parameter in self._module.named_parameters() if parameter.requires_grad}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._holding.load(parameters)

    def trace(self, inputs: Inputs, *, training: bool, overrides: Sequence[Override] = ()) -> Trace:
        with self._holding.kept(parameters=False) as before, torch.no_grad():
            self._module.train(training)
            held = self._holding.tensors()
            learned = dict(self._module.named_parameters()).keys() | self._state
            known = {name: (held[name], numbers) for name, numbers in before.items() if name in learned}
            given = to_tensors(inputs, [None] * len(inputs))
            trace = recorded(self._module, given, self.input_layouts, Recorder(known, overrides))
            trace.state_after = self._holding.changes(before)
            return trace

    def gradients(
        self, inputs: Inputs, targets: np.ndarray, loss: Loss, *, output: str = "", own: bool = False
    ) -> Gradients:
        with self._holding.kept(parameters=True), torch.enable_grad():
            self._module.train()
            tensors = to_tensors(inputs, self.input_layouts)
            floats = [tensor.requires_grad_() for tensor in tensors if tensor.dtype.is_floating_point]
            criterion = own_loss(self._own, loss, output) if own else loss_of(loss, output)
            outputs = self._evaluate(tensors)
            value = criterion(outputs, to_tensor(targets))
            made = chosen(outputs, output)
            trained = {
                name: parameter
                for name, parameter in self._module.named_parameters()
                if parameter.requires_grad
            }
            wanted = [*trained.values(), *floats, made]
            found = torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)
        of_inputs = dict(zip(map(id, floats), found[len(trained) : -1], strict=True))
        return Gradients(
            loss=value.item(),
            parameters={name: array_of(gradient) for name, gradient in zip(trained, found, strict=False)},
            inputs=[
                array_of(of_inputs[id(tensor)].movedim(1, -1) if first else of_inputs[id(tensor)])
                for tensor, first in zip(tensors, self.input_layouts, strict=True)
                if id(tensor) in of_inputs
            ],
            output=array_of(outside(made)),
            of_output=array_of(outside(found[-1])),
        )

    def train(
        self,
        batches: Sequence[Batch],
        loss: Loss,
        *,
        output: str = "",
        aligned: bool = False,
        held: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Trained:
        with self._holding.kept(parameters=True), torch.enable_grad():
            self._module.train()
            optimizer, scheduler = own_optimizer(self._own, self._module.parameters())
            criterion = own_loss(self._own, loss, output)
            losses = []
            for inputs, targets in batches:
                optimizer.zero_grad()
                outputs = self._evaluate(to_tensors(inputs, self.input_layouts))
                value = criterion(outputs, to_tensor(targets))
                value.backward()
                for name, mask in held.items():
                    gradient = self._module.get_parameter(name).grad
                    if gradient is not None:
                        gradient[torch.from_numpy(mask)] = 0.0
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                losses.append(value.item())
            return Trained(losses, self._holding.arrays())

    def updates(self) -> Updates | None:
        if self._own.make_optimizer is None:
            return None
        made = own_optimizer(self._own, self._module.parameters())
        return rules_of(
            *made, {name: each for name, each in self._module.named_parameters() if each.requires_grad}
        )

    def _evaluate(self, tensors: list[Tensor]) -> Any:
        with Exact():
            return self._module(*tensors)

    def _changing(self, shapes: Sequence[InputShape]) -> set[str]:
        """Return the buffers that an evaluation in training mode changes; all others are constants."""
        with self._holding.kept(parameters=False) as before, torch.no_grad():
            self._module.train()
            try:
                self._evaluate(to_tensors(trial_inputs(shapes), self.input_layouts))
            except Exception:  # noqa: BLE001  some models need other inputs for training
                return set()
            return set(self._holding.changes(before))


def recorded(
    module: torch.nn.Module,
    given: Sequence[Tensor],
    layouts: Sequence[bool | None],
    recorder: Recorder,
) -> Trace:
    """Record the calls of one evaluation of a module, with channels-last inputs; see :class:`Tracer`."""
    for number, tensor in enumerate(given):
        recorder.add_input(tensor, f"input {number}")
    names = {id(each): name for name, each in module.named_modules()}
    with Tracer(recorder, names):
        laid_out = [
            channels_first(tensor) if first else tensor for tensor, first in zip(given, layouts, strict=True)
        ]
        outputs = [
            (name, outside(recorder.seen(output, given))) for name, output in named_outputs(module(*laid_out))
        ]
    for name, output in outputs:
        recorder.add_output(output, name)
    return recorder.trace
