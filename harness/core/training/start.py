"""Initial weights from a safetensors file, by full names or by those of a framework's model."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from harness.core.machine.files import without_home
from harness.errors import UsageError
from harness.layers import Native
from harness.spec.task import Start, Task
from harness.tracing.calls import Stored

#: So many names are listed.
_NAMED = 4


def start_of(path: Path) -> Start:
    """Return the start from the present content of a file."""
    return Start(without_home(str(path.resolve())), hashlib.sha256(_content(path)).hexdigest())


def started(task: Task, start: Start) -> dict[str, npt.NDArray[np.float64]]:
    """Return the weights that a task starts from, by full name; those that the file lacks are left out.

    An array of the file belongs to the weight of its name, or to the weight that the user's model holds under
    this name in its framework. Its shape must be that of the weight.
    """
    content = _content(Path(start.path).expanduser())
    if hashlib.sha256(content).hexdigest() != start.sha256:
        raise UsageError(f"{start.path} has changed since the run was planned; start the command again")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{start.path} is no safetensors file that NumPy reads: {error}") from error
    expected = {name: parameter.shape for name, parameter in task.weights().items()}
    found = {}
    for name, in_file, stored in _names(task):
        if in_file not in arrays or name in found:
            continue
        array = _canonical(arrays[in_file], stored)
        if array is not None and array.shape == expected[name]:
            found[name] = array.astype(np.float64)
    if not found:
        wanted = [in_file for _, in_file, stored in _names(task) if stored is not None] or [*expected]
        raise UsageError(
            f"{start.path} has no array of the name and shape of one of the model's. It has "
            f"{_some([*arrays])}; the model has {_some(wanted)}"
        )
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the weights {path} cannot be read: {error.strerror}") from error


def _names(task: Task) -> Iterator[tuple[str, str, Stored | None]]:
    """Yield each weight with its names in files, and how the array of a framework's name becomes it."""
    for name in task.weights():
        yield name, name, None
    for network_name, network in task.networks.items():
        for place in network.leaves():
            if not isinstance(place.layer, Native):
                continue
            for array in (*place.layer.trained, *place.layer.held):
                for stored in array.stored.values():
                    yield f"{network_name}/{place.name}/{array.name}", stored.name, stored


def _canonical(array: np.ndarray, stored: Stored | None) -> np.ndarray | None:
    """Return the weight that an array of a file is; None if the array has another shape."""
    try:
        return array if stored is None else stored.canonical(array)
    except (ValueError, IndexError):
        return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "none") + more
