"""From a data set to what a program sees: training, validation and test samples as floats."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.training import draws
from harness.spec.backend import Plan, Precision, Unsupported
from harness.spec.data import Dataset, Samples, Split
from harness.spec.task import BinaryClassification, Classification, Imbalance, Task

VALIDATION_FRACTION = 0.1


def split_samples(
    dataset: Dataset,
    precision: Precision,
    imbalance: Imbalance | None = None,
    train_fraction: float = 1.0,
    *,
    tokens: bool = False,
) -> dict[Split, Samples]:
    """Make the three splits, inputs divided by ``input_divisor``, as float32 (float64 for that precision).

    With ``tokens`` the inputs are those of an embedding: int64, and not scaled. The splits are copies that
    NumPy does not let be written.

    Unless the data set provides validation data, a tenth of the training data is held out for validation: the
    same samples for every seed, so that curves of different seeds are scored on the same data. Test data is
    passed through. Only the training data is reduced to a fraction and made imbalanced.
    """
    train_rows, held_out = _split_rows(dataset)
    if train_fraction < 1:
        train_rows = _fraction(train_rows, train_fraction)
    if imbalance is not None:
        train_rows = _imbalanced(train_rows, dataset.train.targets, len(dataset.classes), imbalance)
    dtype = np.float64 if precision == "float64" else np.float32

    def floats(samples: Samples, rows: npt.NDArray[np.int64] | slice) -> Samples:
        inputs, targets = np.asarray(samples.inputs[rows]), np.asarray(samples.targets[rows])
        scaled = inputs.astype(np.int64) if tokens else np.divide(inputs, dataset.input_divisor, dtype=dtype)
        target_dtype = targets.dtype if targets.dtype.kind == "i" else dtype
        return _read_only(Samples(scaled, targets.astype(target_dtype)))

    validation = dataset.train if dataset.validation is None else dataset.validation
    return {
        "train": floats(dataset.train, train_rows),
        "validation": floats(validation, held_out),
        "test": floats(dataset.test, slice(None)),
    }


def at_most(samples: Samples, count: int | None) -> Samples:
    """Choose ``count`` samples at random, the same at every call, in order; all if there are no more."""
    if count is None or len(samples) <= count:
        return samples
    return _taken(samples, np.sort(draws.permutation(len(samples), "scored samples")[:count]))


def _taken(samples: Samples, rows: npt.NDArray[np.int64]) -> Samples:
    """Copy these rows, which NumPy does not let be written, like the splits."""
    return _read_only(Samples(samples.inputs[rows], samples.targets[rows]))


def _read_only(samples: Samples) -> Samples:
    samples.inputs.flags.writeable = samples.targets.flags.writeable = False
    return samples


def training_count(samples: Mapping[Split, int]) -> int:
    """Count the training samples of a data set with these rows in each split, all classes kept."""
    count = samples["train"]
    return count if "validation" in samples else count - round(count * VALIDATION_FRACTION)


def share_count(count: int, fraction: float) -> int:
    """Count the samples of a ``fraction`` of ``count`` training samples: at least one."""
    return max(1, round(count * fraction))


def _split_rows(dataset: Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | slice]:
    """Divide the rows of the training data into training rows and validation rows."""
    count = len(dataset.train)
    if dataset.validation is not None:
        return np.arange(count), slice(None)
    shuffled = draws.permutation(count, "validation split")
    held_out = round(count * VALIDATION_FRACTION)
    return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])


def _fraction(rows: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Choose a share of the rows that contains every smaller share."""
    order = draws.permutation(len(rows), "training fraction")
    return np.sort(rows[order[: share_count(len(rows), fraction)]])


def _imbalanced(
    rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], classes: int, imbalance: Imbalance
) -> npt.NDArray[np.int64]:
    """Choose the rows that are kept, repeated if oversampled; see :class:`Imbalance`."""
    by_class = [rows[targets[rows] == label] for label in range(classes)]
    for label in range(classes // 2, classes):
        kept = max(1, round(len(by_class[label]) * imbalance.keep))
        order = draws.permutation(len(by_class[label]), "imbalance", label)
        by_class[label] = by_class[label][order[:kept]]
    if imbalance.rebalance == "oversample":
        most = max(len(members) for members in by_class)
        # np.resize would fill an empty array with zeros, that is with row 0.
        by_class = [np.resize(members, most) if len(members) else members for members in by_class]
    return np.sort(np.concatenate(by_class))


class Canaries(NamedTuple):
    """Samples with wrong classes, and which of them ``(n,)`` bool take part in the training."""

    samples: Samples
    included: npt.NDArray[np.bool_]


_CANARY_CHANCE = 0.5


def with_canaries(train: Samples, task: Task, seed: int) -> tuple[Samples, Canaries | None]:
    """Add the canaries that take part to the training samples; return all, too; see :class:`Privacy`.

    The same samples are canaries, with the same wrong classes, for every seed; coins depend on the seed.
    """
    count = 0 if task.privacy is None else task.privacy.canaries
    if not count:
        return train, None
    if count > len(train):
        raise Unsupported(f"{count:,} canaries are more than the {len(train):,} training samples")
    rows = draws.permutation(len(train), "canaries")[:count]
    classes = max(2, task.networks["model"].output_shape()[-1])
    further = 1 + draws.uniform((count, *train.targets.shape[1:]), "canary classes") * (classes - 1)
    targets = train.targets.copy()
    targets[rows] = (targets[rows] + further.astype(np.int64)) % classes
    included = draws.uniform((count,), seed, "canary coins") < _CANARY_CHANCE
    kept = np.ones(len(train), bool)
    kept[rows[~included]] = False
    canaries = Canaries(Samples(train.inputs[rows], targets[rows]), included)
    return _taken(Samples(train.inputs, targets), np.flatnonzero(kept)), canaries


def balancing_weights(targets: npt.NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Weigh each class by ``n / (classes * n_class)``, ``(classes,)``, so that classes count equally."""
    counts = np.bincount(targets, minlength=classes)
    return tuple((len(targets) / (classes * np.maximum(counts, 1))).tolist())


def with_class_weights(plan: Plan, train: Samples, classes: int) -> Plan:
    """Add the class weights of ``rebalance=weights``, which follow from the training data, to the plan."""
    task = plan.task
    if task.imbalance is None or task.imbalance.rebalance != "weights":
        return plan
    if not isinstance(task.objective, Classification | BinaryClassification):
        return plan
    outputs = task.networks["model"].output_shape()[-1]
    wanted = 2 if isinstance(task.objective, BinaryClassification) else outputs
    weights = balancing_weights(train.targets, classes)
    unused = (1.0,) * (wanted - len(weights))  # a network may have more outputs than the data has classes
    objective = msgspec.structs.replace(task.objective, class_weights=weights + unused)
    return msgspec.structs.replace(plan, task=msgspec.structs.replace(task, objective=objective))
