"""The kind of task that follows from the labels of a file: classes, numbers or tokens."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from harness.core.data_files.content import Part, type_text
from harness.errors import UsageError

Kind = Literal["classes", "numbers", "tokens"]
#: Integers with more different values than this, and than one in ten samples, are numbers.
_MOST_CLASSES_OF_FEW = 20
_FEWEST_OF_A_CLASS = 10
_SHOWN = 3


class Targets(NamedTuple):
    """Labels as the contract has them, by part, and the names of the classes or tokens."""

    kind: Kind
    classes: tuple[str, ...]
    arrays: dict[Part, np.ndarray]


def understood(labels: Mapping[Part, np.ndarray], inputs: np.ndarray, wanted: str, name: str) -> Targets:
    """Derive the kind of task from the labels of each part, and convert them.

    ``inputs`` are those of one part, ``wanted`` is the setting ``labels``, ``name`` that of the labels.
    """
    flat = {part: each[:, 0] if each.shape[1:] == (1,) else each for part, each in labels.items()}
    try:
        joined = np.concatenate([*flat.values()])
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} has different types in its parts ({error})") from error
    is_next = joined.ndim == 2 and inputs.dtype.kind == "i" and joined.shape[1:] == inputs.shape[1:]  # noqa: PLR2004
    kind = _kind(joined, name, is_next=is_next) if wanted == "auto" else wanted
    if kind == "tokens":
        if not is_next or joined.dtype.kind not in "iu" or joined.min() < 0:
            raise UsageError(
                f"{name} is no array of tokens: integers from 0 in the shape of the inputs, (n, steps)"
            )
        size = 1 + max(int(joined.max()), int(inputs.max()))
        return Targets(
            "tokens",
            tuple(map(str, range(size))),
            {part: each.astype(np.int64) for part, each in flat.items()},
        )
    if kind == "numbers":
        if joined.dtype.kind not in "iuf" or joined.ndim > 2:  # noqa: PLR2004
            raise UsageError(
                f"{name} has {type_text(joined)} of shape {joined.shape}; expected numbers (n, outputs)"
            )
        return Targets(
            "numbers",
            (),
            {part: each.reshape(len(each), -1).astype(np.float64) for part, each in flat.items()},
        )
    return _classes(flat, joined, name)


def _kind(joined: np.ndarray, name: str, *, is_next: bool) -> Kind:
    if joined.dtype.kind == "f":
        return "numbers"
    if is_next and joined.dtype.kind in "iu":
        return "tokens"
    if joined.dtype.kind in "iu" and joined.ndim == 1:
        different = len(np.unique(joined))
        is_many = different > max(_MOST_CLASSES_OF_FEW, len(joined) // _FEWEST_OF_A_CLASS)
        return "numbers" if is_many else "classes"
    if joined.ndim > 1 and joined.dtype.kind in "iu":
        raise UsageError(
            f"{name} has integers of shape {joined.shape}; expected classes (n,), where one-hot rows become "
            "classes by argmax(axis=1), numbers as floats (n, outputs), or tokens in the shape of x"
        )
    return "classes"


def _classes(labels: Mapping[Part, np.ndarray], joined: np.ndarray, name: str) -> Targets:
    if joined.ndim != 1 or joined.dtype.kind not in "biufUS":
        raise UsageError(f"{name} has {type_text(joined)} of shape {joined.shape}; expected classes (n,)")
    values = np.unique(joined)
    if len(values) == 1:
        raise UsageError(f"{name} has one class, {_text(values[0])}; expected two or more")
    for part, each in labels.items():
        if part != "train" and "train" in labels and (unseen := np.setdiff1d(each, labels["train"])).size:
            shown = ", ".join(map(_text, unseen[:_SHOWN]))
            raise UsageError(f"{name} of the {part} data has classes that the training data lacks: {shown}")
    arrays = {part: np.searchsorted(values, each).astype(np.int64) for part, each in labels.items()}
    return Targets("classes", tuple(map(_text, values)), arrays)


def _text(value: np.generic) -> str:
    plain = value.item()
    return plain.decode(errors="replace") if isinstance(plain, bytes) else str(plain)
