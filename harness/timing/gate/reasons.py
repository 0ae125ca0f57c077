"""Reasons for the verdicts of a gate: a class for each, with its numbers, its clause and its remedy.

A new reason is one class here, and the place that gives it. In a record a reason is an object whose ``kind``
is the name of the class in lower-case words, such as ``"pairs lost"``. Reasons are data: their text is
rendered from the fields and never read again. Shares are fractions: 0.05 is 5 %.

In this order: a benchmark was not measured or ended early; the first steps of base and head; a metric; the
trainings of base and head over seeds.
"""

import enum
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Union

import msgspec

from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import estimate, percent
from harness.core.plugins.options import Value
from harness.core.stats.estimate import Estimate
from harness.spec.backend import Precision
from harness.timing.engine.steps.findings import (
    WorkComparison,
    comparison_text,
)

Label = Literal["base", "head"]
_FINGERPRINT_DIGITS = 12


class Step(enum.Enum):
    """A next step that depends on the benchmark; :mod:`harness.timing.gate.advice` words it."""

    MORE_EVIDENCE = "make more pairs, or measure on a quieter machine"
    MEASURE_AGAIN = "raise the limits, or measure the benchmark again"
    SHOW_VALUES = "accept other values, or look at those of head"
    RUN_BASE = "run base alone"
    RUN_HEAD = "run head alone"


class Check(NamedTuple):
    """The next step: find what deviates in head. ``accept`` accepts an intended difference."""

    accept: str = ""


#: The next step after a reason.
Remedy = str | Step | Check

_MORE_TIME = "Give the gate more time (--budget)."
_MORE_SEEDS = "Run the gate again with more seeds for this benchmark and more time (--budget)."
_ALLOW_OTHER_LOSSES = Check("set max_accuracy_loss")


def _kind(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", class_name).lower()


class BaseReason(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """A reason: its fields, the clause that states it, and the remedy."""

    clause: ClassVar[str]
    """Lower-case, without a full stop, with the names of fields in braces."""
    remedy: ClassVar[Remedy]

    def text(self) -> str:
        """Return the clause with the values of the fields."""
        fields = msgspec.structs.asdict(self)
        lists = {name: ", ".join(value) for name, value in fields.items() if isinstance(value, list)}
        return self.clause.format(**fields | lists)

    def remedy_for(self, _verdict: str) -> Remedy:
        """Return the remedy where the benchmark has this verdict."""
        return self.remedy


class Removed(BaseReason, frozen=True, kw_only=True):
    """FAIL: base's suite has the benchmark and head's does not."""

    clause = "base's suite has this benchmark, head's suite does not"
    remedy = "Restore it in head's suite. If the change is intended, use a base with the same change."


class Failed(BaseReason, frozen=True, kw_only=True):
    """A configuration failed: FAIL where it is head, INVALID where it is base."""

    clause = "{label} failed: {message}"

    label: str
    message: str

    def remedy_for(self, _verdict: str) -> Remedy:
        """Return the step that repeats the failure."""
        return Step.RUN_BASE if self.label == "base" else Step.RUN_HEAD


class NotInstalled(BaseReason, frozen=True, kw_only=True):
    """FAIL: pip installed base and could not install head."""

    clause = "{message}"
    remedy = "Base was installed. Install head alone with pip to see the whole error."

    message: str


class FailedBesideBase(BaseReason, frozen=True, kw_only=True):
    """INVALID: head failed while base was in memory too, and did the same work alone."""

    clause = "head failed next to base and did the same work alone: {message}"
    remedy = (
        "Run the gate again: the failure is occasional, or memory is too small for both. If memory is the "
        "cause, give the benchmark a smaller batch_size."
    )

    message: str


class BudgetSpent(BaseReason, frozen=True, kw_only=True):
    """INVALID: the budget was spent before the first pair."""

    clause = "the budget was spent before the first pair was made"
    remedy = _MORE_TIME


class NotMeasured(BaseReason, frozen=True, kw_only=True):
    """INVALID: the gate ended before the first pair."""

    clause = "the gate ended before the first pair was made"
    remedy = "Run the gate again."


class ProcessTooLong(BaseReason, frozen=True, kw_only=True):
    """INVALID: a process would take ``seconds`` for its ``turns`` turns, more than ``limit_seconds``."""

    clause = "a process would take about {seconds:.0f} s for {turns} turns, more than {limit_seconds:.0f} s"
    remedy = "Set fewer turns (--turns)."

    seconds: float
    limit_seconds: float
    turns: int


class NoWorkers(BaseReason, frozen=True, kw_only=True):
    """INVALID: no worker process can be started on this machine."""

    clause = "{message}"
    remedy = "Run the gate on a machine that can start worker processes."

    message: str


class NotComparable(BaseReason, frozen=True, kw_only=True):
    """FAIL: base and head cannot be compared, as with different splits of the data."""

    clause = "{message}"
    remedy = Step.RUN_HEAD

    message: str


class HarnessFault(BaseReason, frozen=True, kw_only=True):
    """INVALID: an error of the harness itself."""

    clause = "an error of the harness: {message}"
    remedy = "Please report this error together with the gate's record."

    message: str


class NewBenchmark(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: base cannot run a step that only head has, so there is nothing to compare with."""

    clause = "new: base has no such step, so head's was run alone ({message})"
    remedy = "It is compared from the next base on that has it."

    message: str


class OtherPrecisions(BaseReason, frozen=True, kw_only=True):
    """FAIL: head runs in other precisions than base."""

    clause = "head runs in {head}, base in {base}"
    remedy = _ALLOW_OTHER_LOSSES

    base: list[Precision]
    head: list[Precision]


class OtherData(BaseReason, frozen=True, kw_only=True):
    """FAIL: head reads other data, so nothing that base and head learn can be compared.

    ``base`` and ``head`` are SHA-256 sums.
    """

    remedy = "If this is intended, use a base that reads the same data."

    base: str
    head: str

    def text(self) -> str:
        """Return the clause with the beginnings of the sums."""
        base, head = (sha256[:_FINGERPRINT_DIGITS] for sha256 in (self.base, self.head))
        return f"head reads data with sha256 {head}…, base with sha256 {base}…"


class OtherLossCount(BaseReason, frozen=True, kw_only=True):
    """FAIL: the training steps of head return another number of losses than those of base."""

    clause = "in {precision} a training step returns another number of losses in head than in base"
    remedy = _ALLOW_OTHER_LOSSES

    precision: Precision


class LossDiffers(BaseReason, frozen=True, kw_only=True):
    """FAIL: the first loss that rounding does not explain. None: the loss is not finite."""

    remedy = _ALLOW_OTHER_LOSSES

    precision: Precision
    step: int
    base: float | None
    head: float | None
    deviation: float | None
    """Relative. None where only one of the two is finite."""

    def text(self) -> str:
        """Return the clause with the losses and their deviation."""
        size = "" if self.deviation is None else f" (relative deviation {self.deviation:.1e})"
        losses = _both(self.base, self.head)
        return f"in {self.precision} the loss of step {self.step} is {losses}{size}"


class ScoreDiffers(BaseReason, frozen=True, kw_only=True):
    """FAIL: all losses agree, and a validation score after ``steps`` steps does not: evaluation differs."""

    remedy = _ALLOW_OTHER_LOSSES

    score: str
    steps: int
    base: float | None
    head: float | None

    def text(self) -> str:
        """Return the clause with the scores."""
        scores = _both(self.base, self.head)
        validation = f"after {self.steps} steps the validation {self.score} is {scores}"
        return f"all losses agree, but {validation}: evaluation differs"


def _both(*of_base_and_head: float | None) -> str:
    base, head = ("not finite" if value is None else str(value) for value in of_base_and_head)
    return f"{head} in head, {base} in base"


class TaskChanged(BaseReason, frozen=True, kw_only=True):
    """FAIL: the task of head is another. Alone where the first steps agree, else after what deviates.

    ``options`` are the values of base and head; ``fields``, where no option differs, those of the task.
    """

    remedy = "If this is intended, set max_accuracy_loss or use a base with the same change."

    options: dict[str, tuple[Value, Value]] = msgspec.field(default_factory=dict)
    fields: list[str] = msgspec.field(default_factory=list)

    def text(self) -> str:
        """Return the clause with each change."""
        changes = [f"{name} {new} instead of {old}" for name, (old, new) in self.options.items()]
        return f"head trains another task: {', '.join(changes or self.fields)}"


class ValuesDiffer(BaseReason, frozen=True, kw_only=True):
    """FAIL: a value of a step of the user's own differs."""

    remedy = Step.SHOW_VALUES

    comparison: WorkComparison

    def text(self) -> str:
        """Return the clause about the value that differs most."""
        return comparison_text(self.comparison)


class WorkCompared(BaseReason, frozen=True, kw_only=True):
    """Beside PASS, or INVALID where values are not finite: values that are not equal bit by bit."""

    remedy = "Return a value from the step, such as its loss, so that it is compared."

    comparison: WorkComparison

    def text(self) -> str:
        """Return the clause about the comparison."""
        return comparison_text(self.comparison)


class LossesNotFinite(BaseReason, frozen=True, kw_only=True):
    """INVALID: from ``step`` on no loss of base or head is finite, so nothing is compared."""

    clause = "in {precision} no loss is finite from step {step} on, so nothing was compared"
    remedy = "Change the benchmark so that its losses are finite: no training can decide."

    precision: Precision
    step: int


class MemoryRanOut(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: memory ran out in these precisions, which were not compared."""

    clause = "memory ran out in {precisions}, so losses in it were not compared"
    remedy = "Give the benchmark a smaller batch_size."

    precisions: list[Precision]


class LimitNotShown(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE after the look: its few pairs do not show that head is within the limit."""

    clause = "the first pairs do not show that head is within the limit"
    remedy = Step.MORE_EVIDENCE


class ProvenWorse(BaseReason, frozen=True, kw_only=True):
    """FAIL: head is proven worse than base, and not proven to be within the limit."""

    clause = "head is proven worse than base"
    remedy = Step.MEASURE_AGAIN


class NotDecided(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: neither a loss nor being within the limit is proven."""

    clause = "neither a loss nor being within the limit is proven"
    remedy = Step.MORE_EVIDENCE


class SlowBlocks(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: the interval is within the limit, and the mean that counts slow blocks in full is not."""

    clause = "the interval is within the limit, but not the mean that counts slow blocks in full"
    remedy = Step.MORE_EVIDENCE


class BeyondLimit(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: the whole interval is beyond the limit, but a loss is not proven. Never becomes PASS."""

    clause = "probably worse: the whole interval is beyond the limit"
    remedy = Step.MORE_EVIDENCE


class SavingNotShown(BaseReason, frozen=True, kw_only=True):
    """A claimed saving of the step time: FAIL where it is ``refuted``, else INCONCLUSIVE and never a PASS.

    ``least`` and ``most`` are the ends of the 95 % interval of the saving; None where there is none.
    """

    claimed: float
    least: float | None = None
    most: float | None = None
    refuted: bool = False

    def text(self) -> str:
        """Return the answer to the claim, and the saving that the interval shows."""
        claimed, answer = f"{100 * self.claimed:g} %", "is refuted" if self.refuted else "is not shown"
        if self.least is None or self.most is None:
            return f"a saving of {claimed} {answer}"
        if self.least >= self.claimed:  # the test asks for more than the interval
            return f"a saving of {claimed} is likely, and not proven"
        shown = _rounded_down(self.least)
        instead = f"at least {shown} % is" if shown > 0 else "no saving is"
        if self.refuted:
            return f"a saving of {claimed} is refuted; {instead} shown"
        return f"a saving of {claimed} is not shown; {instead}"

    def remedy_for(self, verdict: str) -> Remedy:
        """Return the advice to claim what is shown where the claim is refuted, else to make more pairs."""
        if verdict != "FAIL":
            return Step.MORE_EVIDENCE
        shown = _rounded_down(self.least or 0.0)
        instead = f"claim {shown} %" if shown > 0 else "make no claim"
        return f"Find out why head saves less, or {instead} (--expect-faster, min_speedup)."


def _rounded_down(share: float) -> float:
    """Return a share in per cent, with one digit, so that no more is stated than was shown."""
    return math.floor(1000 * share + 1e-9) / 10


class PairsLost(BaseReason, frozen=True, kw_only=True):
    """INVALID: other work on the machine disturbed ``lost`` of ``pairs`` pairs, too many to use the rest."""

    clause = "other work on the machine disturbed {lost} of {pairs} pairs"
    remedy = Step.MORE_EVIDENCE

    lost: int
    pairs: int


class MachineChanged(BaseReason, frozen=True, kw_only=True):
    """INVALID: a fixed computation took longer before the turns of one configuration than of the other."""

    clause = "the control computation shows that the machine was not equally fast for both"
    remedy = Step.MORE_EVIDENCE


class ImplausibleSpeedup(BaseReason, frozen=True, kw_only=True):
    """INVALID: head saves the share ``saved`` of the step time, more than ``max_speedup`` allows."""

    remedy = "Check that head does all the work. If it does, raise max_speedup."

    saved: float
    max_speedup: float

    def text(self) -> str:
        """Return the clause with the saving and its limit."""
        most = percent(self.max_speedup)
        return f"head saves {percent(self.saved)} of the step time, and max_speedup is {most}"


class TooFewPairs(BaseReason, frozen=True, kw_only=True):
    """INCONCLUSIVE: with ``made`` usable pairs no head could have failed, which takes ``needed``.

    Never becomes PASS.
    """

    clause = "{made} of at least {needed} pairs"
    remedy = _MORE_TIME

    needed: int
    made: int


class TooFewSeeds(BaseReason, frozen=True, kw_only=True):
    """INVALID: the budget was spent after ``seeds`` seeds, too few to compare."""

    clause = "the budget was spent after {seeds} seeds, too few to compare"
    remedy = _MORE_TIME

    seeds: int


class Diverged(BaseReason, frozen=True, kw_only=True):
    """A training diverged: INVALID where it is base's; FAIL where it is head's and base's did not."""

    label: Label
    seed: int

    def text(self) -> str:
        """Return the clause about base or head."""
        if self.label == "base":
            return f"base diverged on seed {self.seed}, so there is nothing to compare head with"
        return f"head diverged on seed {self.seed}, and base did not"

    def remedy_for(self, _verdict: str) -> Remedy:
        """Return the advice to change the benchmark where base diverged, else to check head."""
        if self.label == "base":
            return "Change the benchmark so that base trains without diverging."
        return Check()


class ScoreLost(BaseReason, frozen=True, kw_only=True):
    """FAIL or INCONCLUSIVE: the loss of head in the ``measure`` is not shown to be below ``limit``.

    ``lost`` is positive where head is worse; its interval has the level at which PASS is decided.
    """

    measure: str
    lost: Estimate
    limit: float

    def text(self) -> str:
        """Return the clause with the loss and its limit."""
        lost = estimate(self.lost.scaled(100), 2, "%")
        return f"{self.measure} lost {lost}, limit {100 * self.limit:g} % ({self.lost.n} seeds)"

    def remedy_for(self, verdict: str) -> Remedy:
        """Return the advice to check head where the loss is proven, else to train on more seeds."""
        return Check("raise max_accuracy_loss") if verdict == "FAIL" else _MORE_SEEDS


if TYPE_CHECKING:
    Reason = BaseReason
else:
    Reason = Union[tuple(BaseReason.__subclasses__())]  # noqa: UP007  of all classes above


def reason_text(reason: Reason) -> str:
    """Return the clause of a reason in one line, without a full stop."""
    return one_line(reason.text()).rstrip(".")


def reasons_text(several: Iterable[Reason]) -> str:
    """Return the clauses of several reasons."""
    return "; ".join(map(reason_text, several))


def speaks_against_head(reason: Reason) -> bool:
    """Check for a reason that makes INCONCLUSIVE no PASS.

    Head is probably beyond a limit, a saving that it claims is not shown, or it could not have failed at all.
    """
    match reason:
        case BeyondLimit() | SavingNotShown() | TooFewPairs():
            return True
        case _:
            return False
