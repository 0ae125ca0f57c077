"""Weights as a file in the format of safetensors: canonical names and shapes, and what they are of.

The arrays are those of :meth:`harness.spec.Task.weights`, in float32 or float64. The description, a
dictionary of text, is the file's metadata: any program that reads safetensors reads both.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from harness.errors import UsageError
from harness.spec.description import description_sha256
from harness.spec.task import Task

#: The value of ``format`` in the metadata.
FORMAT = "dl-harness weights 1"
_LENGTH_BYTES = 8


class UnusableWeights(UsageError):
    """A file of weights that is damaged, or of another task; says what is wrong without naming the file."""


class Weights(NamedTuple):
    """The content of a file."""

    arrays: dict[str, np.ndarray]
    description: dict[str, str]


class _Header(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


def encoded(arrays: Mapping[str, np.ndarray], description: Mapping[str, str]) -> bytes:
    """Encode these arrays as the content of a file."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content: bytes = save(contiguous, metadata={"format": FORMAT, **description})
    return content


def decoded(content: bytes) -> Weights:
    """Decode the result of :func:`encoded`."""
    try:
        arrays = load(content)
        length = int.from_bytes(content[:_LENGTH_BYTES], "little")
        header = msgspec.json.decode(content[_LENGTH_BYTES : _LENGTH_BYTES + length], type=_Header)
    except (SafetensorError, msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UnusableWeights(f"is damaged: {error}") from error
    if header.metadata.get("format") != FORMAT:
        raise UnusableWeights("is no file of weights that harness has written")
    return Weights(arrays, header.metadata)


def decoded_for(task: Task, content: bytes) -> dict[str, np.ndarray]:
    """Decode the result of :func:`encoded`, in the order of the task's weights."""
    arrays, description = decoded(content)
    expected = task.weights()
    if description.get("task_sha256") != description_sha256(task):
        of = description.get("record", "another run")
        raise UnusableWeights(f"is of another task: it was written by {of}")
    for name in (*expected, *arrays):
        if name not in arrays or name not in expected:
            raise UnusableWeights(
                f"is of another task: {name} is {'missing' if name in expected else 'unknown'}"
            )
        if arrays[name].shape != expected[name].shape:
            raise UnusableWeights(
                f"is of another task: {name} has the shape {arrays[name].shape}, not {expected[name].shape}"
            )
    return {name: arrays[name] for name in expected}
