"""Inputs and outputs: channels last outside, as the model wants them inside.

A model with pictures has channels first. Sequences (batch, length, width) have channels first for
convolutions and last for everything else, so both are tried.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.errors import UsageError
from harness.tracing.side import InputShape

Tensor = torch.Tensor
_SEQUENCE, _PICTURE = 3, 4
_BATCH, _SEED = 2, 0


def channels_last(array: Tensor) -> Tensor:
    """Channels of axis 1 on the last axis."""
    return array.movedim(1, -1)


def channels_first(array: Tensor) -> Tensor:
    """Channels of the last axis on axis 1."""
    return array.movedim(-1, 1)


def candidates(shapes: Sequence[InputShape]) -> Iterator[tuple[bool | None, ...]]:
    """For each input whether it has channels first, the likely ones first; None where there is no choice."""
    options: list[tuple[bool | None, ...]] = []
    for shape in shapes:
        dimensions = len(shape.shape) + 1
        if shape.integer or dimensions < _SEQUENCE:
            options.append((None,))
        else:
            options.append((True, False) if dimensions >= _PICTURE else (False, True))
    # Inputs of one model mostly agree, so that the combinations near the first one come first.
    return iter(sorted(itertools.product(*options), key=lambda each: _distance(each, options)))


def _distance(choice: tuple[bool | None, ...], options: Sequence[tuple[bool | None, ...]]) -> int:
    return sum(option.index(each) for each, option in zip(choice, options, strict=True))


def find_layouts(
    evaluate: Callable[[list[Tensor]], Any], shapes: Sequence[InputShape]
) -> tuple[bool | None, ...]:
    """The first layouts with which the model can be evaluated.

    Raises:
        UsageError: there are none.
    """
    first: Exception | None = None
    for layouts in candidates(shapes):
        try:
            evaluate(to_tensors(trial_inputs(shapes), layouts))
        except Exception as error:  # noqa: BLE001  a model may raise anything
            first = first or error
        else:
            return layouts
    given = " ".join("x".join(map(str, (_BATCH, *shape.shape))) for shape in shapes)
    raise UsageError(f"the model cannot be evaluated with inputs {given}: {type(first).__name__}: {first}")


def trial_inputs(shapes: Sequence[InputShape]) -> list[np.ndarray]:
    """Any numbers, or integers below the maximum."""
    rng = np.random.default_rng(_SEED)
    return [
        rng.integers(0, max(1, shape.maximum), (_BATCH, *shape.shape))
        if shape.integer
        else rng.standard_normal((_BATCH, *shape.shape))
        for shape in shapes
    ]


def to_tensors(inputs: Sequence[np.ndarray], layouts: Sequence[bool | None]) -> list[Tensor]:
    """Tensors for the model, of float64 and int64."""
    tensors = []
    for array, first in zip(inputs, layouts, strict=True):
        kind = np.float64 if np.asarray(array).dtype.kind == "f" else np.int64
        tensor = torch.from_numpy(np.array(array, dtype=kind))
        tensors.append(channels_first(tensor).contiguous() if first else tensor)
    return tensors


def named_outputs(outputs: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors that a model returns, named by position, key or field; what is no tensor is left out.

    Those of a dictionary come in alphabetical order, in which every framework gives them.
    """
    if isinstance(outputs, Tensor):
        yield name, outputs
        return
    for key, each in _items(outputs):
        yield from named_outputs(each, f"{name}.{key}" if name else str(key))


def _items(outputs: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(outputs, Mapping):
        return iter(sorted(outputs.items(), key=lambda item: str(item[0])))
    if isinstance(outputs, tuple) and hasattr(outputs, "_fields"):
        return zip(outputs._fields, outputs, strict=True)
    if isinstance(outputs, list | tuple):
        return iter(enumerate(outputs))
    if dataclasses.is_dataclass(outputs):
        return ((field.name, getattr(outputs, field.name)) for field in dataclasses.fields(outputs))
    return iter(())


def outside(output: Tensor) -> Tensor:
    """An output with channels last, if it has channels."""
    return channels_last(output) if output.dim() >= _PICTURE else output
