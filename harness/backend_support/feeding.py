"""What passes between the harness and a program: draws of steps, windows of pictures, batches, states.

Functions that take the arrays of a framework use only what NumPy, JAX, PyTorch, MLX and Keras have in common.
"""

import contextlib
import dataclasses
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.errors import HarnessError
from harness.layers import Embedding, Native, NativeArray, NativeModel
from harness.network import Network
from harness.spec import Steps, Task, Unsupported

#: An array of a framework.
Array = Any


def draws(steps: Steps, task: Task) -> dict[str, np.ndarray]:
    """Return the arrays of ``steps`` by field name, one row for each step; fields that are None are left out.

    ``learning_rates`` are always included: where ``steps`` has none, the optimizer's own rate at each step.
    """
    fields = {field.name: getattr(steps, field.name) for field in dataclasses.fields(steps)}
    if (noise := fields.pop("noise")) is not None:
        fields["noise_seeds"] = None
        fields |= {noise_name(name): array for name, array in noise.items()}
    if steps.learning_rates is None:
        fields["learning_rates"] = np.full(len(steps.indices), task.optimizer.learning_rate)
    return {name: array for name, array in fields.items() if array is not None}


def noise_name(parameter: str) -> str:
    """Return the name under which :func:`draws` has the noise of ``parameter``, a full name."""
    return f"noise of {parameter}"


def without_padding(step: Mapping[str, Array]) -> dict[str, Array]:
    """Drop most of the padding from the draws of a step of DP-SGD; an empty step keeps one row of padding."""
    rows = max(1, int(step["included"].sum()))
    padded_ones = {"indices", "included", "flips", "offsets", "augmented"}
    return {name: array[:rows] if name in padded_ones else array for name, array in step.items()}


# Pictures that are cropped and flipped.


def padded_pictures(inputs: np.ndarray, crop: int) -> np.ndarray:
    """Pad pictures ``(n, height, width, channels)`` by ``crop`` zeros on each side, to cut windows from.

    Without ``crop`` the inputs, of any shape, are returned unchanged.
    """
    return np.pad(inputs, ((0, 0), (crop, crop), (crop, crop), (0, 0))) if crop else inputs


def is_augmented(step: Mapping[str, Array]) -> bool:
    """Check that the draws of a step change its pictures."""
    return "flips" in step or "offsets" in step


def by_rows(convert: Callable[[np.ndarray], Array], arrays: np.ndarray) -> Array:
    """Apply ``convert``, a function of rows ``(n, ...)``, to the rows of ``arrays (steps, batch, ...)``."""
    rows = convert(arrays.reshape(-1, *arrays.shape[2:]))
    return rows.reshape(*arrays.shape[:2], *rows.shape[1:])


def windows(
    where: Callable[[Array, Array, Array], Array], step: Mapping[str, Array], y: Array, x: Array
) -> tuple[Array, Array, Array]:
    """Compute the sample, row and column of each pixel of an augmented batch in the padded pictures.

    ``where`` is the framework's function of this name, ``step`` has the draws of one step, and ``y
    (height,)`` and ``x (width,)`` count the rows and columns of a picture without padding. Returns three
    arrays that broadcast to ``(batch, height, width)``: ``padded[windows(...)]`` is the batch.
    """
    rows, y, x = step["indices"], y[None], x[None]
    if "flips" in step:
        x = where(step["flips"][:, None], x.shape[1] - 1 - x, x)
    if "offsets" in step:
        y, x = y + step["offsets"][:, :1], x + step["offsets"][:, 1:]
    return rows[:, None, None], y[:, :, None], x[:, None, :]


# Batches of one size, for functions that are compiled for each.


def padded(array: np.ndarray, length: int) -> np.ndarray:
    """Extend ``array`` by rows of zeros to ``length``; an array of this length is returned unchanged."""
    if len(array) == length:
        return array
    whole = np.zeros((length, *array.shape[1:]), array.dtype)
    whole[: len(array)] = array
    return whole


def predicted(
    predict: Callable[[np.ndarray], Array], inputs: np.ndarray, sizes: Sequence[int], *, pad: bool = True
) -> np.ndarray:
    """Compute the outputs ``(n, ...)`` of all inputs, by one call of ``predict`` for each batch.

    ``sizes`` are the possible numbers of rows of a call, in ascending order. The first size that holds all
    inputs is used, else the last. With ``pad`` the last batch is extended by zeros, so that one compilation
    serves each size. Every call is made before the first output is converted to NumPy, so that a device need
    not wait.
    """
    outputs = [predict(part) for (part,) in _batches((inputs,), sizes, pad=pad)]
    return _joined(outputs, len(inputs))


def _batches(arrays: Sequence[np.ndarray], sizes: Sequence[int], *, pad: bool) -> Iterator[list[np.ndarray]]:
    """Yield the same rows of all arrays, one batch each time."""
    rows, (*smaller, largest) = len(arrays[0]), sizes
    size = next((size for size in smaller if rows <= size), largest)
    for start in range(0, rows, size):
        parts = [array[start : start + size] for array in arrays]
        yield [padded(part, size) for part in parts] if pad else parts


def _joined(outputs: Sequence[Array], rows: int) -> np.ndarray:
    return np.concatenate([np.asarray(output) for output in outputs])[:rows]


def differentiated(
    differentiate: Callable[[np.ndarray, np.ndarray], tuple[Array, Array]],
    inputs: np.ndarray,
    targets: np.ndarray,
    sizes: Sequence[int],
    *,
    pad: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute :meth:`harness.spec.Program.input_gradients` batch by batch, as :func:`predicted` does."""
    results = [differentiate(*parts) for parts in _batches((inputs, targets), sizes, pad=pad)]
    gradients, outputs = zip(*results, strict=True)
    return _joined(gradients, len(inputs)), _joined(outputs, len(inputs))


def begins_with_embedding(network: Network) -> bool:
    """Check that the network begins with an embedding: gradients are then taken by the rows of its table.

    Raises:
        Unsupported: a model of the user's own takes the tokens.
    """
    first = network.layers[0]
    if network.vocabulary() is not None and isinstance(first, Native):
        raise Unsupported("no gradients of the tokens of a model of the user's own")
    return isinstance(first, Embedding)


# The training state as a dictionary.


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries and tuples by their paths, such as ``moments/model/0``."""
    if isinstance(tree, Mapping):
        parts: Sequence[tuple[Any, Any]] = list(tree.items())
    elif isinstance(tree, tuple):
        parts = list(enumerate(tree))
    else:
        return {path: tree}
    leaves: dict[str, Any] = {}
    for name, part in parts:
        leaves |= flat(part, f"{path}/{name}" if path else str(name))
    return leaves


def nested(leaves: Mapping[str, Any], like: Any, path: str = "") -> Any:
    """Arrange ``leaves`` in the structure of ``like``; the inverse of :func:`flat`."""
    if isinstance(like, Mapping):
        return {
            name: nested(leaves, part, f"{path}/{name}" if path else str(name)) for name, part in like.items()
        }
    if isinstance(like, tuple):
        return tuple(nested(leaves, part, f"{path}/{number}") for number, part in enumerate(like))
    return leaves[path]


# Models of the user's own.


def code_of(layer: Native, framework: str) -> NativeModel:
    """Return the user's code for ``framework``.

    Raises:
        Unsupported: there is none.
    """
    code = layer.model_of(framework)
    if code is None:
        known = ", ".join(each.framework for each in layer.models)
        raise Unsupported(f"the model has code for {known} and none for {framework}")
    return code


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's and NumPy's generators for the user's code, and restore them afterwards."""
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002


def made_model(
    layer: Native, framework: str, make: Callable[..., Any], is_model: Callable[[Any], Any], wanted: str
) -> Any:
    """Call the user's code for ``framework`` by ``make(target, arguments)`` and return the model.

    Raises:
        Unsupported: there is no code, it fails, or it returns something else than a model of the kind
            ``wanted``.
    """
    code = code_of(layer, framework)
    try:
        made = make(code.target, code.arguments)
    except HarnessError as error:
        raise Unsupported(str(error)) from error
    if not is_model(made):
        raise Unsupported(f"{code.target} returned {type(made).__name__}{wanted}")
    return made


def own_part(task: Task, part: str, find: Callable[[str], Callable[..., Any]]) -> Callable[..., Any] | None:
    """Return the user's callable for a field of :class:`harness.spec.OwnCode`, by ``find(target)``, if any.

    Raises:
        Unsupported: there is no such callable, or its file cannot be imported.
    """
    target = getattr(task.own_code, part) if task.own_code else ""
    try:
        return find(target) if target else None
    except HarnessError as error:
        raise Unsupported(str(error)) from error


def made_optimizer(target: str, make: Callable[[], Any], kind: type) -> Any:
    """Return the optimizer that the user's code makes.

    Raises:
        Unsupported: the code fails, or returns something else than a ``kind``.
    """
    try:
        made = make()
    except Exception as error:
        raise Unsupported(f"{target} raised {type(error).__name__}: {error}") from error
    if not isinstance(made, kind):
        raise Unsupported(f"{target} returned {type(made).__name__}, which is no {kind.__name__}")
    return made


def stored_in(array: NativeArray, framework: str) -> Any:
    """Return the place of ``array`` in the model of ``framework``.

    Raises:
        Unsupported: the task does not name the place.
    """
    stored = array.stored.get(framework)
    if stored is None:
        raise Unsupported(f"the model does not say where {framework} stores {array.name}")
    return stored


def refuse_changed(
    layer: Native, framework: str, arrays: Mapping[str, Array], trained: Collection[str]
) -> None:
    """Refuse a model whose code has changed since the task was written.

    ``arrays`` are all arrays of the model by name; a shared array is listed under each of its names.
    ``trained`` are the names of the arrays that gradients change.

    Raises:
        Unsupported: the message names the arrays that are new, missing or of another shape, and the command
            that writes the task again.
    """
    wanted = [(array, stored_in(array, framework)) for array in (*layer.trained, *layer.held)]
    known = {id(arrays[stored.name]) for _, stored in wanted if stored.name in arrays}
    other_shapes = {
        stored.name: f"{stored.name} {tuple(arrays[stored.name].shape)}"
        for array, stored in wanted
        if stored.name in arrays and not _holds(tuple(arrays[stored.name].shape), stored, array)
    }
    changes = {
        "new": [f"{name} {tuple(arrays[name].shape)}" for name in trained if id(arrays[name]) not in known],
        "missing": list(dict.fromkeys(stored.name for _, stored in wanted if stored.name not in arrays)),
        "of another shape": list(other_shapes.values()),
    }
    if not any(changes.values()):
        return
    texts = []
    for change, names in changes.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        texts += [f"{change}: {', '.join(names[:_NAMED])}{more}"] * bool(names)
    again = layer.saved_by or "harness port MODEL --dataset NAME --save-task FILE"
    raise Unsupported(
        f"{code_of(layer, framework).target} has other parameters than the task that was saved of it "
        f"({'; '.join(texts)}). Write the task again: {again}"
    )


#: So many arrays of a kind of change are named.
_NAMED = 4


def _holds(shape: tuple[int, ...], stored: Any, array: NativeArray) -> bool:
    """Check that an array can be taken from an array stored in this shape."""
    try:
        taken: np.ndarray = stored.canonical(np.broadcast_to(np.int8(0), shape))
    except (ValueError, IndexError):
        return False
    return taken.shape == tuple(array.shape)
