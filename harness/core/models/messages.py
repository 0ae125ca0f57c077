"""Requests to the process of a side, and its replies."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from harness.core.models.arguments import Signature
from harness.tracing.calls import InputShape, Loss, Trace, Value
from harness.tracing.side import Gradients, Override, Trained, Updates


class Build(msgspec.Struct, frozen=True, tag=True):
    """Make the model of ``target``, ``FILE.py:NAME`` or ``package.module:NAME``, with ``arguments``."""

    target: str
    arguments: dict[str, Any]
    inputs: list[InputShape]


class Inspect(msgspec.Struct, frozen=True, tag=True):
    """Read the arguments of the callable ``target``, which is not called; the reply is a ``Signature``."""

    target: str


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Describe the parameters and the optimizer."""


class Load(msgspec.Struct, frozen=True, tag=True):
    """Replace the values of ``parameters``."""

    parameters: dict[str, Any]


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Trace one evaluation; with ``outputs_only`` the trace in the reply has no calls.

    Parameters that both ends know have no array in the reply.
    """

    inputs: list[Any]
    training: bool
    overrides: list[Override] = []
    outputs_only: bool = False


class Differentiate(msgspec.Struct, frozen=True, tag=True):
    """Return gradients of ``loss`` of the output ``output``, or of the side's ``own`` loss, if it has one."""

    inputs: list[Any]
    targets: Any
    loss: Loss
    output: str
    own: bool


class Train(msgspec.Struct, frozen=True, tag=True):
    """Make a training step on each of ``batches``; ``aligned`` and ``held`` as in :class:`Side`."""

    batches: list[tuple[list[Any], Any]]
    loss: Loss
    output: str
    aligned: bool
    held: dict[str, Any]


Request = Build | Inspect | Describe | Load | Evaluate | Differentiate | Train


class Built(msgspec.Struct, frozen=True, tag=True):
    """Reply to :class:`Build`; ``plugin`` is the name of the plugin that knows the model's framework.

    ``draws`` and ``seeded`` as in :class:`harness.tracing.side.Side`.
    """

    framework: str
    versions: dict[str, str]
    own_optimizer: bool
    own_loss: bool
    plugin: str
    backend: str
    draws: bool = False
    seeded: bool = False


class Description(msgspec.Struct, frozen=True, tag=True):
    """Reply to :class:`Describe`; ``trained`` are names, ``updates`` are the rules of the optimizer."""

    parameters: dict[str, Any]
    trained: list[str]
    updates: Updates | None


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Reply to :class:`Load`."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Reply to a request that raised; ``message`` is for the user."""

    message: str


#: The reply to a request to trace, differentiate or train is the result of the side.
Reply = Built | Signature | Description | Loaded | Trace | Gradients | Trained | Failed


class Sent:
    """Marks by which the side recognises the parameters that the harness has."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[str, tuple[int, ...], bytes]] = {}

    def add(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._marks |= {name: _mark(array) for name, array in parameters.items()}

    def left_out(self, trace: Trace) -> Trace:
        """Remove from ``trace`` the arrays of parameters that the harness knows, and return it."""
        for value in trace.values:
            if value.source == "parameter" and self._marks.get(value.name) == _mark(value.array):
                value.array = None
        return trace


def _mark(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Return type, shape and norm of ``array``: a model that changes its parameters changes their norm."""
    flat = np.ascontiguousarray(array).reshape(-1)
    norm = np.vdot(flat, flat) if flat.dtype.kind == "f" else flat
    return array.dtype.str, array.shape, norm.tobytes()


def filled_in(trace: Trace, parameters: Mapping[str, np.ndarray]) -> Trace:
    """Put the arrays of ``parameters`` that the side left out back into ``trace``, and return it."""
    for value in trace.values:
        if value.array is None:
            value.array = parameters[value.name]
    return trace


def outputs_of(trace: Trace) -> Trace:
    """Return a trace that has the outputs of ``trace`` alone."""
    outputs = [trace.values[place] for place in trace.outputs]
    return Trace([Value("call", each.array, each.name) for each in outputs], [], [], [*range(len(outputs))])
