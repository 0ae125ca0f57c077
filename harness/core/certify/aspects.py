"""Aspects of a training: the parts of its work that some cases have and others lack.

A fault is attributed to the aspects that only failing cases have (:mod:`harness.core.certify.diagnosis`), and
a run is certified by cases that have all its aspects (:mod:`harness.core.certify.run_cases`). The aspects of
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
    cause: str
    """Where to look if only cases with this aspect deviate."""
    applies: Callable[[Task], bool]
    shows: tuple[str, ...] = ()
    """Further aspects that a case with this one proves."""
    replaces: str = ""
    """An aspect that a case with this one does not prove, although it has that aspect, too."""


def _of_optimizers() -> Iterator[Aspect]:
    for entry in OPTIMIZERS.values():
        for part in entry.parts:
            yield Aspect(part.name, part.cause, _has_part(part), replaces=part.replaces)


def _has_part(part: Part) -> Callable[[Task], bool]:
    return lambda task: part in entry_of(task.optimizer).parts and part.applies(task.optimizer)


_CAUSES_OF_LOSSES = {
    "mse_softmax": "the mean squared error of the softmax: its divisor is the number of targets times that "
    "of classes",
    "mse_logits": "the mean squared error of the logits against the one-hot class: its divisor is the number "
    "of targets times that of classes",
    "mse_sigmoid": "the mean squared error of the sigmoid: the mean over the batch of (sigmoid - target)²",
    "mae": "the mean absolute error: the mean over batch and outputs, with a gradient of 0 at an error of 0",
    "huber": "the Huber loss: e²/2 up to an error of 1, |e| - 1/2 from there on, mean over batch and outputs",
}


def _has_loss(loss: str) -> Callable[[Task], bool]:
    return lambda task: task.special_loss() == loss


def _weighs_classes(task: Task) -> bool:
    balanced = task.imbalance is not None and task.imbalance.rebalance == "weights"
    return balanced or bool(getattr(task.objective, "class_weights", ()))


#: The aspect of cases whose data makes poolings tie; it belongs to no task.
FLAT = Aspect(
    "flat", "the gradient of pooling where values are equal: only one of them gets it", lambda _task: False
)
#: In the order in which a diagnosis names them.
ASPECTS = (
    Aspect(
        "l1",
        "the L1 penalty: its factor (l1 * sum of |kernel|), and which parameters it covers (kernels only)",
        lambda task: bool(task.penalty.l1),
    ),
    Aspect(
        "l2",
        "the L2 factor: the loss gets l2 * sum of kernel², and the gradient 2 * l2 * kernel, of kernels only",
        lambda task: bool(task.penalty.l2),
    ),
    Aspect(
        "weight_decay",
        "the weight decay: before the update a kernel is multiplied by 1 - learning_rate * weight_decay",
        lambda task: bool(task.weight_decay),
    ),
    Aspect(
        "class_weights",
        "the divisor of the class weights: the weighted losses are divided by the number of samples, not by "
        "the sum of their weights",
        _weighs_classes,
    ),
    Aspect(
        "crop_and_flip",
        "the order of crops and flips: an image is cropped first and then flipped",
        lambda task: task.augmentation.flip and task.augmentation.crop > 0,
        shows=("crop", "flip"),
    ),
    Aspect(
        "crop",
        "the crops: an offset is the row and column of the window in the zero-padded image",
        lambda task: task.augmentation.crop > 0 and not task.augmentation.flip,
    ),
    Aspect(
        "flip",
        "the flips: left to right",
        lambda task: task.augmentation.flip and not task.augmentation.crop > 0,
    ),
    *_of_optimizers(),
    Aspect("full_batch", "batches of all samples", lambda task: task.batch_size is None),
    Aspect(
        "smoothing",
        "the label smoothing: the target is 1 - s at the class plus s / classes everywhere, and each term is "
        "multiplied by the weight of its class",
        lambda task: isinstance(task.objective, Classification) and task.objective.label_smoothing > 0,
    ),
    Aspect(
        "tables",
        "the weight decay of embeddings: decay_embeddings says whether their tables shrink as kernels do",
        lambda task: task.decay_embeddings and task.weight_decay > 0,
    ),
    Aspect(
        "schedule",
        "the learning rates: each step, and its weight decay, uses its own of steps.learning_rates",
        lambda task: task.schedule != ConstantRate(),
    ),
    *(Aspect(loss, _CAUSES_OF_LOSSES[loss], _has_loss(loss)) for loss in LOSSES),
    Aspect(
        "clipping",
        "the clipping: by the norm of all gradients of a network together, penalty included",
        lambda task: task.clip_norm > 0,
    ),
    Aspect(
        "privacy",
        "DP-SGD: the gradient of each sample is clipped by the norm of all parameters together, the sum gets "
        "noise * clip * N(0, 1) and is divided by the task's batch size",
        lambda task: task.privacy is not None,
    ),
    FLAT,
)


def aspects(case: Case) -> set[Aspect]:
    """Return the aspects of a case's task and data."""
    return aspects_of_task(case.task) | ({FLAT} if case.flat_square is not msgspec.UNSET else set())


def aspects_of_task(task: Task) -> set[Aspect]:
    """Return the aspects of a task, whatever the data."""
    return {aspect for aspect in ASPECTS if aspect.applies(task)}
