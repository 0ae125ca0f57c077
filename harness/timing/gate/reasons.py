"""Why a verdict of a gate is what it is: one class for each reason, with the numbers that belong to it.

Reasons are data. :mod:`harness.timing.gate.page` renders them, and nothing reads the text again. In a
record each is an object whose ``kind`` is the class's name in lower-case words, such as ``"pairs lost"``.
Shares are fractions: 0.05 is 5 %.
"""

import re
from typing import TYPE_CHECKING, Literal, Union

import msgspec

from harness.core.plugins.options import Value
from harness.core.stats.estimate import Estimate
from harness.spec.backend import Precision
from harness.timing.engine.steps.findings import ValueDiffers, WorkComparison


def _kind(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", class_name).lower()


class BaseReason(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """A reason without numbers; in a record its ``kind`` is the class's name in lower-case words."""


# Reasons for the verdict on a benchmark that was not measured or ended early.


class Removed(BaseReason, frozen=True, kw_only=True):
    """FAIL: base's suite has the benchmark and head's does not."""


class Replaced(BaseReason, frozen=True, kw_only=True):
    """FAIL: base's suite has other work under the same name. Both are descriptions of the work."""

    base: str
    head: str


class Failed(BaseReason, frozen=True, kw_only=True):
    """A configuration could not do it: FAIL where it is head, INVALID where it is base."""

    label: str
    message: str


class FailedBesideBase(BaseReason, frozen=True, kw_only=True):
    """INVALID: head failed while base was in memory too, and did the same work alone."""

    message: str


class BudgetSpent(BaseReason, frozen=True, kw_only=True):
    """INVALID: the budget was spent before the first pair."""


class ProcessTooLong(BaseReason, frozen=True, kw_only=True):
    """INVALID: a process would take ``seconds`` for its ``turns`` turns, more than ``limit_seconds``."""

    seconds: float
    limit_seconds: float
    turns: int


class NoWorkers(BaseReason, frozen=True, kw_only=True):
    """INVALID: no worker process can be started on this machine."""

    message: str


class NotComparable(BaseReason, frozen=True, kw_only=True):
    """FAIL: base and head cannot be compared, as with different splits of the data."""

    message: str


class HarnessFault(BaseReason, frozen=True, kw_only=True):
    """INVALID: an error of the harness itself."""

    message: str


class NewBenchmark(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: base has no such step and cannot run head's, so there is nothing to compare with."""

    message: str


# Reasons for the verdict on the quality, from the first steps of base and head.


class OtherPrecisions(BaseReason, frozen=True, kw_only=True):
    """FAIL: head runs in other precisions than base."""

    base: list[Precision]
    head: list[Precision]


class OtherData(BaseReason, frozen=True, kw_only=True):
    """FAIL: head reads other data. Both are SHA-256 sums. Nothing that the two learn can be compared."""

    base: str
    head: str


class OtherLossCount(BaseReason, frozen=True, kw_only=True):
    """FAIL: head's training steps return another number of losses than base's."""

    precision: Precision


class LossDiffers(BaseReason, frozen=True, kw_only=True):
    """FAIL: the first loss that rounding does not explain. None: the loss is not finite."""

    precision: Precision
    step: int
    base: float | None
    head: float | None
    deviation: float | None
    """Relative. None where only one of the two is finite."""


class ScoreDiffers(BaseReason, frozen=True, kw_only=True):
    """FAIL: all losses agree, and a validation score after ``steps`` steps does not: evaluation differs."""

    score: str
    steps: int
    base: float | None
    head: float | None


class TaskChanged(BaseReason, frozen=True, kw_only=True):
    """FAIL: head's task is another. Alone where the first steps agree, else after what deviates.

    ``options`` are the values of base and head; ``fields``, where no option differs, those of the task.
    """

    options: dict[str, tuple[Value, Value]] = msgspec.field(default_factory=dict)
    fields: list[str] = msgspec.field(default_factory=list)


class ValuesDiffer(BaseReason, frozen=True, kw_only=True):
    """FAIL: a value of a step of the user's own differs."""

    difference: ValueDiffers


class SharedCode(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: only the step's file is of each checkout; what it imports is the same for both."""


class WorkNotCompared(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: the work of a step was not compared, or only to the tolerance of other versions."""

    comparison: WorkComparison


class LossesNotFinite(BaseReason, frozen=True, kw_only=True):
    """INVALID: from ``step`` on no loss of either is finite, so nothing is compared."""

    precision: Precision
    step: int


class MemoryRanOut(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: memory ran out in these precisions, which were not compared."""

    precisions: list[Precision]


# Reasons for the verdict on one metric.


class LimitNotShown(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE after the look: its few pairs do not show that head is within the limit."""


class ProvenWorse(BaseReason, frozen=True, kw_only=True):
    """FAIL: head is proven worse than base, and not proven to be within the limit."""


class NotDecided(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: neither a loss nor being within the limit is proven."""


class BeyondLimit(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: the whole interval is beyond the limit, but a loss is not proven. Never becomes PASS."""


class PairsLost(BaseReason, frozen=True, kw_only=True):
    """INVALID: other work on the machine disturbed ``lost`` of ``pairs`` pairs, too many to use the rest."""

    lost: int
    pairs: int


class MachineChanged(BaseReason, frozen=True, kw_only=True):
    """INVALID: a fixed computation took longer before the turns of one configuration than of the other."""


class ImplausibleSpeedup(BaseReason, frozen=True, kw_only=True):
    """INVALID: head saves the share ``saved`` of the step time, more than ``max_speedup`` allows."""

    saved: float
    max_speedup: float


class TooFewPairs(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: with ``made`` usable pairs no head could have failed, which takes ``needed``.

    ``pair_seconds`` is what a pair takes. Never becomes PASS.
    """

    needed: int
    made: int
    pair_seconds: float


# Reasons for the verdict on the quality, from trainings of base and head over seeds.

Label = Literal["base", "head"]


class TooFewEpochs(BaseReason, frozen=True, kw_only=True):
    """INVALID: trainings of ``epochs`` epochs show no steps to a target, which takes ``needed``."""

    epochs: int
    needed: int


class TooFewSeeds(BaseReason, frozen=True, kw_only=True):
    """INVALID: the budget was spent after ``seeds`` seeds, too few to compare."""

    seeds: int


class Diverged(BaseReason, frozen=True, kw_only=True):
    """A training diverged: INVALID where it is base's; FAIL where it is head's and base's did not."""

    label: Label
    seed: int


class ScoreLost(BaseReason, frozen=True, kw_only=True):
    """FAIL or INCONCLUSIVE: what head loses of the ``measure`` is not shown to be below ``limit``.

    ``lost`` is positive where head is worse; its interval has the level at which PASS is decided.
    """

    measure: str
    lost: Estimate
    limit: float


class ExtraSteps(BaseReason, frozen=True, kw_only=True):
    """FAIL or INCONCLUSIVE: the extra steps to the target are not shown to be below ``limit``.

    ``extra`` is a share of base's steps; its interval is as of :class:`ScoreLost`.
    """

    extra: Estimate
    limit: float


class TargetMissed(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: head did not reach the target on ``missed`` of ``seeds`` seeds. Never becomes PASS."""

    missed: int
    seeds: int


class TargetAtFirstScore(BaseReason, frozen=True, kw_only=True):
    """INVALID: the target was reached by the first score, so how soon is unknown. Takes longer trainings."""

    label: Label
    reached: int
    seeds: int


class TargetRarelyReached(BaseReason, frozen=True, kw_only=True):
    """INVALID: base reached a target on ``seeds`` seeds only."""

    seeds: int


if TYPE_CHECKING:
    Reason = BaseReason
else:
    Reason = Union[tuple(BaseReason.__subclasses__())]  # noqa: UP007  of all classes above


def speaks_against_head(reason: Reason) -> bool:
    """Whether INCONCLUSIVE is no PASS: head is probably beyond a limit, or could not have failed at all."""
    match reason:
        case BeyondLimit() | TargetMissed() | TooFewPairs():
            return True
        case _:
            return False
