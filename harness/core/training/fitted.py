"""A data set checked against the contract before training, and its targets converted to one type."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.machine.encoding import recorded
from harness.core.plugins.programs import ContractBroken
from harness.errors import DataError
from harness.spec.data import Dataset, Samples, Series
from harness.spec.task import Adversarial, BinaryClassification, Classification, Task


def fitted(dataset: Dataset, task: Task) -> Dataset:
    """Convert targets to the type that the contract promises to backends: int64 classes, or floats.

    Without the check, frameworks would broadcast mismatched shapes and train on something else.
    """
    adversarial = isinstance(task.objective, Adversarial)
    network = task.networks["discriminator" if adversarial else "model"]
    shapes = network.input_shape, network.output_shape()
    vocabulary = network.vocabulary()

    def split(name: str, samples: Samples) -> Samples:
        where = f"data set {dataset.name}, {name}"
        inputs, targets = np.asarray(samples.inputs), np.asarray(samples.targets)
        if vocabulary is None:
            _expect(where, "inputs", inputs, shapes[0], "biuf", "numbers")
        else:
            why = f"because its vocabulary has {vocabulary}"
            inputs = _places(where, ("inputs", "tokens"), inputs, shapes[0], vocabulary, why)
        if len(inputs) != len(targets):
            raise _broken(where, f"{len(inputs)} inputs and {len(targets)} targets", "equal numbers")
        if isinstance(task.objective, Classification | BinaryClassification):
            classes = 2 if isinstance(task.objective, BinaryClassification) else shapes[1][-1]
            targets = _classes(where, targets, shapes[1], classes)
        elif not adversarial:
            _expect(where, "targets", targets, shapes[1], "biuf", "numbers")
            targets = targets if targets.dtype.kind == "f" else targets.astype(np.float64)
        return Samples(inputs, targets)

    return dataclasses.replace(
        described(dataset),
        train=split("train", dataset.train),
        test=split("test", dataset.test),
        validation=None if dataset.validation is None else split("validation", dataset.validation),
    )


class _Facts(msgspec.Struct, frozen=True):
    """The fields of a data set that enter records."""

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    series: Series | None
    input_divisor: float


def described(dataset: Dataset) -> Dataset:
    """Return the data set with its facts as records hold them."""
    facts: dict[str, Any] = {name: getattr(dataset, name) for name in _Facts.__struct_fields__}
    try:
        if not isinstance(facts["classes"], str):
            facts["classes"] = tuple(facts["classes"])  # an array, too
        fitted = dataclasses.replace(dataset, **msgspec.structs.asdict(recorded(facts, _Facts)))
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        raise DataError(
            f"data set {dataset.name!a} cannot be recorded: {error}; expected: name, fingerprint, origin and "
            "classes of text, and a series and an input_divisor of text and finite numbers"
        ) from error
    if not fitted.input_divisor:
        raise DataError(f"data set {dataset.name!a}: no input can be divided by its input_divisor, 0")
    return fitted


def _classes(
    where: str, targets: npt.NDArray[np.generic], output: tuple[int, ...], count: int
) -> npt.NDArray[np.int64]:
    """Require a class for each position of the network's ``output``, all but its last axis."""
    *positions, outputs = output
    if targets.ndim == 1 and positions:
        raise _broken(
            where,
            f"targets of shape {targets.shape}, and the network's output is {output}",
            f"a network with one output axis, ({outputs},)",
        )
    why = f"because the network has {outputs} output{'s' * (outputs != 1)}"
    return _places(where, ("targets", "classes"), targets, tuple(positions), count, why)


def _places(
    where: str,
    names: tuple[str, str],
    array: npt.NDArray[np.generic],
    shape: tuple[int, ...],
    count: int,
    why: str,
) -> npt.NDArray[np.int64]:
    """Require integers ``(n, *shape)`` below ``count``; ``names`` are the array's and the numbers'."""
    part, numbers = names
    _expect(where, part, array, shape, "biu", "integers")
    places = array.astype(np.int64)
    if places.size and not (places.min() >= 0 and places.max() < count):
        raise _broken(
            where, f"{part} from {places.min()} to {places.max()}", f"{numbers} from 0 to {count - 1}, {why}"
        )
    return places


def _expect(
    where: str, part: str, array: npt.NDArray[np.generic], shape: tuple[int, ...], kinds: str, numbers: str
) -> None:
    """Require an array ``(n, *shape)`` whose ``dtype.kind`` is among ``kinds``, in words ``numbers``."""
    if array.dtype.kind not in kinds:
        raise _broken(where, f"{part} of {array.dtype}", numbers)
    if array.shape[1:] != shape or not array.ndim:
        axes = ", ".join(map(str, ("n", *shape)))
        raise _broken(where, f"{part} of shape {array.shape}", f"({axes}{',' * (not shape)})")


def _broken(where: str, violation: str, right: str) -> ContractBroken:
    return ContractBroken(f"{where} has {violation}; expected: {right}")
