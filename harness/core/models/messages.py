"""Requests to the process of a side, and its replies."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from harness.tracing.calls import InputShape, Loss, Trace, Value
from harness.tracing.side import Gradients, Override, Trained, Update


class Build(msgspec.Struct, frozen=True, tag=True):
    """Make the model of a target, ``FILE.py:NAME`` or ``package.module:NAME``, with arguments.

    Unless ``exact`` it is as its code is, in float32 where that names no other type. It can then only be
    loaded, and evaluated in evaluation mode.
    """

    target: str
    arguments: dict[str, Any]
    inputs: list[InputShape]
    exact: bool = True


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Parameters, and what trains them."""


class Load(msgspec.Struct, frozen=True, tag=True):
    """Replace parameters."""

    parameters: dict[str, Any]


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Trace one evaluation; with ``outputs_only`` the trace that is sent has no calls.

    Parameters that both ends know have no array in the reply.
    """

    inputs: list[Any]
    training: bool
    overrides: list[Override] = []
    outputs_only: bool = False


class Differentiate(msgspec.Struct, frozen=True, tag=True):
    """Gradients of a loss of the output of this name, or of the side's ``own`` loss if it gives one."""

    inputs: list[Any]
    targets: Any
    loss: Loss
    output: str
    own: bool


class Train(msgspec.Struct, frozen=True, tag=True):
    """A step on each batch of inputs and targets."""

    batches: list[tuple[list[Any], Any]]
    loss: Loss
    learning_rate: float
    output: str


Request = Build | Describe | Load | Evaluate | Differentiate | Train


class Built(msgspec.Struct, frozen=True, tag=True):
    """The model is made; ``plugin`` is the name of the plugin that knows its framework.

    ``draws`` as in :class:`harness.tracing.side.Side`.
    """

    framework: str
    versions: dict[str, str]
    own_optimizer: bool
    own_loss: bool
    plugin: str
    backend: str
    draws: bool = False


class Description(msgspec.Struct, frozen=True, tag=True):
    """See :class:`Describe`."""

    parameters: dict[str, Any]
    trained: list[str]
    update: Update | None


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The parameters are replaced."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request raised; ``message`` is for the user."""

    message: str


#: To a request to trace, differentiate or train the reply is what the side returns.
Reply = Built | Description | Loaded | Trace | Gradients | Trained | Failed


class Sent:
    """At the side's end: how to recognise the parameters that the harness has."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[str, tuple[int, ...], bytes]] = {}

    def add(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._marks |= {name: _mark(array) for name, array in parameters.items()}

    def left_out(self, trace: Trace) -> Trace:
        """The trace without the arrays of parameters that are as the harness knows them."""
        for value in trace.values:
            if value.source == "parameter" and self._marks.get(value.name) == _mark(value.array):
                value.array = None
        return trace


def _mark(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and norm: a model that changes its own parameters, as to limit them, changes the norm."""
    flat = np.ascontiguousarray(array).reshape(-1)
    norm = np.vdot(flat, flat) if flat.dtype.kind == "f" else flat
    return array.dtype.str, array.shape, norm.tobytes()


def filled_in(trace: Trace, parameters: Mapping[str, np.ndarray]) -> Trace:
    """At the harness's end: the trace with the arrays that were left out."""
    for value in trace.values:
        if value.array is None:
            value.array = parameters[value.name]
    return trace


def outputs_of(trace: Trace) -> Trace:
    """A trace of the outputs alone."""
    outputs = [trace.values[place] for place in trace.outputs]
    return Trace([Value("call", each.array, each.name) for each in outputs], [], [], [*range(len(outputs))])
