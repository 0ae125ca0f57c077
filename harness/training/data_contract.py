"""A data set held to the contract before anything learns from it, and its targets brought to one type."""

import numpy as np
import numpy.typing as npt

from harness.plugins.program_contract import ContractBroken
from harness.spec.data import Dataset, Samples
from harness.spec.task import Adversarial, Classification, Task


def fitted(dataset: Dataset, task: Task) -> Dataset:
    """The same, with targets of the type that backends are promised: int64 classes, or floats.

    Frameworks broadcast what does not fit, and would train on something else, all alike.

    Raises:
        ContractBroken: it does not fit the task; says what, and what would be right.
    """
    of_adversaries = isinstance(task.objective, Adversarial)
    network = task.networks["discriminator" if of_adversaries else "model"]
    shapes = network.input_shape, network.output_shape()

    def split(name: str, samples: Samples) -> Samples:
        where = f"data set {dataset.name}, {name}"
        inputs, targets = np.asarray(samples.inputs), np.asarray(samples.targets)
        _expect(where, "inputs", inputs, shapes[0], "biuf", "numbers")
        if len(inputs) != len(targets):
            raise _broken(where, f"{len(inputs)} inputs and {len(targets)} targets", "as many of each")
        if isinstance(task.objective, Classification):
            targets = _classes(where, targets, shapes[1][-1])
        elif not of_adversaries:
            _expect(where, "targets", targets, shapes[1], "biuf", "numbers")
            targets = targets if targets.dtype.kind == "f" else targets.astype(np.float64)
        return Samples(inputs, targets)

    return Dataset(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        origin=dataset.origin,
        classes=dataset.classes,
        train=split("train", dataset.train),
        test=split("test", dataset.test),
        input_divisor=dataset.input_divisor,
        validation=None if dataset.validation is None else split("validation", dataset.validation),
    )


def _classes(where: str, targets: npt.NDArray[np.generic], count: int) -> npt.NDArray[np.int64]:
    _expect(where, "targets", targets, (), "biu", "whole numbers")
    classes = targets.astype(np.int64)
    if len(classes) and not (classes.min() >= 0 and classes.max() < count):
        raise _broken(
            where,
            f"targets from {classes.min()} to {classes.max()}",
            f"classes from 0 to {count - 1}, for the network has {count} outputs",
        )
    return classes


def _expect(
    where: str, what: str, found: npt.NDArray[np.generic], shape: tuple[int, ...], kinds: str, named: str
) -> None:
    """``found`` must be an array ``(n, *shape)`` of one of the kinds of ``numpy.dtype.kind``."""
    if found.dtype.kind not in kinds:
        raise _broken(where, f"{what} of {found.dtype}", named)
    if found.shape[1:] != shape or not found.ndim:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise _broken(where, f"{what} of shape {found.shape}", f"({wanted}{',' * (not shape)})")


def _broken(where: str, what: str, right: str) -> ContractBroken:
    return ContractBroken(f"{where} has {what}; expected: {right}")
