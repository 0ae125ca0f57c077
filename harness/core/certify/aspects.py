"""Aspects of a training: the parts of its work that some cases have and others lack.

A run is certified by cases that have all its aspects (:mod:`harness.core.certify.run_cases`). The aspects of
optimizers are the parts in their entries: :mod:`harness.core.reference.optimizers`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from harness.core.certify.cases import Case
from harness.core.reference.optimizers import OPTIMIZERS, Part, entry_of
from harness.spec.schedules import ConstantRate
from harness.spec.task import LOSSES, Classification, Task


class Aspect(NamedTuple):
    """A part of the work of some trainings."""

    name: str
    applies: Callable[[Task], bool]
    shows: tuple[str, ...] = ()
    """Further aspects that a case with this one proves."""
    replaces: str = ""
    """An aspect that a case with this one does not prove, although it has that aspect, too."""


def _of_optimizers() -> Iterator[Aspect]:
    for entry in OPTIMIZERS.values():
        for part in entry.parts:
            yield Aspect(part.name, _has_part(part), replaces=part.replaces)


def _has_part(part: Part) -> Callable[[Task], bool]:
    return lambda task: part in entry_of(task.optimizer).parts and part.applies(task.optimizer)


def _has_loss(loss: str) -> Callable[[Task], bool]:
    return lambda task: task.special_loss() == loss


def _weighs_classes(task: Task) -> bool:
    balanced = task.imbalance is not None and task.imbalance.rebalance == "weights"
    return balanced or bool(getattr(task.objective, "class_weights", ()))


#: The aspect of cases whose data makes poolings tie; it belongs to no task.
FLAT = Aspect("flat", lambda _task: False)
ASPECTS = (
    Aspect("l1", lambda task: bool(task.penalty.l1)),
    Aspect("l2", lambda task: bool(task.penalty.l2)),
    Aspect("weight_decay", lambda task: bool(task.weight_decay)),
    Aspect("class_weights", _weighs_classes),
    Aspect(
        "crop_and_flip",
        lambda task: task.augmentation.flip and task.augmentation.crop > 0,
        shows=("crop", "flip"),
    ),
    Aspect("crop", lambda task: task.augmentation.crop > 0 and not task.augmentation.flip),
    Aspect("flip", lambda task: task.augmentation.flip and not task.augmentation.crop > 0),
    *_of_optimizers(),
    Aspect("full_batch", lambda task: task.batch_size is None),
    Aspect(
        "smoothing",
        lambda task: isinstance(task.objective, Classification) and task.objective.label_smoothing > 0,
    ),
    Aspect("tables", lambda task: task.decay_embeddings and task.weight_decay > 0),
    Aspect("schedule", lambda task: task.schedule != ConstantRate()),
    *(Aspect(loss, _has_loss(loss)) for loss in LOSSES),
    Aspect("clipping", lambda task: task.clip_norm > 0),
    Aspect("privacy", lambda task: task.privacy is not None),
    FLAT,
)


def aspects(case: Case) -> set[Aspect]:
    """Return the aspects of a case's task and data."""
    return aspects_of_task(case.task) | ({FLAT} if case.flat_square is not msgspec.UNSET else set())


def aspects_of_task(task: Task) -> set[Aspect]:
    """Return the aspects of a task, whatever the data."""
    return {aspect for aspect in ASPECTS if aspect.applies(task)}
