"""Calls of a model: what each computed, from which values and parameters, with its results."""

from typing import Any, Literal

import msgspec

from harness.tracing import semantics as kinds
from harness.tracing.stored import Stored

__all__ = ["Call", "Role", "Stored", "Trace", "Value"]

Role = str


class Value(msgspec.Struct):
    """An array of a trace. ``name`` is that of a parameter, or of a model's input or output."""

    source: Literal["input", "parameter", "constant", "call"]
    array: Any
    name: str = ""


class Call(msgspec.Struct, kw_only=True):
    """One call. ``inputs`` and ``outputs`` are places in :attr:`Trace.values`.

    ``path`` is the layer's own name in the model (``layer1.0.conv1``), empty in the model's own code;
    ``function`` is what the framework calls it (``torch.nn.functional.conv2d``).
    """

    path: str
    function: str
    does: kinds.AnySemantics
    inputs: list[int]
    outputs: list[int]
    parameters: dict[Role, Stored] = {}


class Trace(msgspec.Struct):
    """All calls of one evaluation of a model, in their order.

    ``inputs`` and ``outputs`` are places in ``values``; outputs have names where the model returns a
    dictionary. ``state_after`` are the parameters that the evaluation changed, such as running statistics.
    """

    values: list[Value]
    calls: list[Call]
    inputs: list[int]
    outputs: list[int]
    state_after: dict[str, Any] = {}
