"""Findings of the audit of a training, as records keep them, and the errors that end a training."""

from typing import Literal

import msgspec

from harness.errors import HarnessError
from harness.spec.data import Split

#: What can be wrong with a clock.
Fault = Literal["missing time", "CPU time", "known order", "impossible time", "missing value"]


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a run, repeated by two new processes in its own order and in a new one, in turn."""

    made: int
    """Turns: calls of the same steps in both orders, of which a coin drew the first."""
    cheaper: int
    """Those in which the run's order cost less than 0.4 of the CPU time (on an accelerator: of the time)."""

    @property
    def dearer(self) -> int:
        """Turns that do not show that the order was known."""
        return self.made - self.cheaper


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Two sums over all calls of a training, and whether they confirm the times that its worker reported.

    ``not confirmed``: a figure is at fault, and other programs may have caused it.
    """

    outcome: Literal["confirmed", "not confirmed", "dishonest"]
    fault: Fault | None = None
    """What is wrong; with ``not confirmed``, what could not be ruled out."""
    calls: int
    reported_seconds: float
    """By the worker's clock."""
    observed_seconds: float
    """By the parent's clock, without what an empty request takes."""
    delay_seconds: float
    """Of these, those that other programs can have caused."""
    cpu_seconds: float | None = None
    """CPU time of the worker's processes in training and in readings of weights; None on an accelerator."""
    cpus: int = 1
    """The CPUs that the worker may use."""
    others_share: float = 0.0
    """The share of these CPUs that other programs and machines used in training calls."""
    known_share: float | None = None
    """The time of a step over that of one whose samples were drawn after the run; None where not tested."""
    known_cpu_share: float | None = None
    """The same of CPU times; None on an accelerator."""
    turns: Turns | None = None
    """Where these shares are at fault; None if the run could not be repeated."""

    @property
    def missing_seconds(self) -> float:
        """Seconds that the worker did not report and that nothing else explains."""
        return max(0.0, self.observed_seconds - self.delay_seconds - self.reported_seconds)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive steps of a training, counted from 1, that were repeated in so many calls."""

    first_step: int
    steps: int
    calls: int
    compared_steps: int
    """Those before rounding had separated the two; nothing after them is verified."""
    worst: float
    """The largest relative deviation of a loss among the compared steps."""
    whole: bool = False
    """The steps are a whole segment between two readings, so that the weights after them were compared
    too."""
    weights_apart: float | None = None
    """How far the weights after it are from the repeated ones, as a share of their way; None if rounding
    alone leads them as far, or they were not compared."""


class Deviation(msgspec.Struct, frozen=True):
    """The first step whose loss is not what was reported; of two losses, the one that deviates more."""

    step: int
    reported: float | None
    recomputed: float | None


class ScoreDeviation(msgspec.Struct, frozen=True):
    """A score that is not that of the weights after an epoch.

    ``row`` is the place of a sample, None for the mean of all.
    """

    split: Split
    name: str
    reported: float | None
    recomputed: float | None
    row: int | None = None
    epoch: int | None = None


#: Why the harness's own program could not judge: the task uses dropout, whose values programs do not share,
#: or DP-SGD, whose noise they do not share; it has a layer or an objective that this program lacks; a process
#: failed.
IndependentGap = Literal["dropout", "noise", "not covered", "program failed"]


class Independent(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness's program in NumPy says of a training. At most one of the last three is set."""

    gap: IndependentGap | None = None
    detail: str = ""
    steps: int = 0
    """The first steps of the training whose losses agree."""
    worst: float = 0.0
    """The largest relative deviation of a loss among these."""
    later_steps: int = 0
    """Steps from a saved state whose losses agree, and whose weights follow the gradient."""
    agreement: float | None = None
    """The least share of a gradient that weights follow; see :mod:`harness.core.audit.updates`."""
    scored_rows: int = 0
    """Samples whose scores are those of the weights that they were reported of."""
    scored_epochs: list[int] = []
    """Drawn epochs and the last one, of whose training and validation samples some were scored."""
    deviation: Deviation | None = None
    """The first loss that is not what NumPy computes."""
    score: ScoreDeviation | None = None
    unfollowed_step: int | None = None
    """The step, counted from 1, whose weights do not follow the gradient."""

    @property
    def differs(self) -> bool:
        """Whether the work is not what NumPy computes."""
        return any(fault is not None for fault in (self.deviation, self.unfollowed_step, self.score))


#: Why work could not be verified: the backend cannot hand out its training state; the second program failed;
#: rounding separated the two programs at once; the training was too short for a segment.
Gap = Literal["no training state", "program failed", "rounding", "too short"]
#: Who repeated: a program in a process of its own, a second one in the same process, or the timed one.
Verifier = Literal["other process", "second program", "same program"]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was repeated of a training, and whether it was the same."""

    outcome: Literal["verified", "differs", "not verified"]
    gap: Gap | None = None
    detail: str = ""
    """With ``program failed``: the error."""
    verifier: Verifier | None = None
    spans: list[Span] = []
    segments: int = 0
    """The whole segments of the training, from which those that are repeated were drawn by their steps."""
    draws: int = 0
    """Whole segments that were drawn at random and compared to their ends, beside the newest."""
    deviation: Deviation | None = None
    """The first loss that is at fault; None if the weights after the last of ``spans`` are."""
    independent: Independent | None = None
    """The comparison with the harness's own program, which is made for third-party backends."""
    seconds: float = 0.0
    """What all of it took, readings not counted."""

    def chance(self, share: float) -> float:
        """Return the probability that a drawn segment is wrong, if this share of the training is."""
        return 1.0 - (1.0 - share) ** self.draws


class DishonestClock(HarnessError):
    """The seconds that a worker reports are not to be trusted; ``clock`` has the figures."""

    def __init__(self, message: str, clock: Clock) -> None:
        super().__init__(message)
        self.clock = clock


class WorkDiffers(HarnessError):
    """Timed work is not what a second program computes; ``verification`` has the figures."""

    def __init__(self, message: str, verification: Verification) -> None:
        super().__init__(message)
        self.verification = verification
