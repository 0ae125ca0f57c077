"""What the harness's own program says of the work of a backend; see :mod:`harness.worker.independent`."""

from typing import Literal

import msgspec


class Deviation(msgspec.Struct, frozen=True):
    """The first step whose loss is not what was reported; of two losses, the one that deviates more."""

    step: int
    reported: float | None
    recomputed: float | None


#: Why the harness's own program could not judge: the task uses dropout, whose values programs do not share;
#: it has a layer or an objective that this program lacks; a process failed.
IndependentGap = Literal["dropout", "not covered", "program failed"]


class Score(msgspec.Struct, frozen=True):
    """A score of the test data that the last weights do not have."""

    name: str
    reported: float | None
    recomputed: float | None


class Independent(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness's program in NumPy says of a training. One of the last two is set if it differs."""

    gap: IndependentGap | None = None
    detail: str = ""
    steps: int = 0
    """The first steps of the training whose losses agree."""
    worst: float = 0.0
    """The largest relative deviation of a loss among these."""
    later_steps: int = 0
    """Steps from a saved state whose losses agree, and whose weights follow the gradient."""
    agreement: float | None = None
    """The least share of a gradient that weights follow; see :mod:`harness.testing.updates`."""
    deviation: Deviation | None = None
    """The first loss that is not what NumPy computes."""
    scored: bool = False
    """Whether the scores of the test data are those of the last weights."""
    score: Score | None = None
    unfollowed_step: int | None = None
    """The step, counted from 1, whose weights do not follow the gradient."""

    @property
    def differs(self) -> bool:
        """Whether the work is not what NumPy computes."""
        return any(fault is not None for fault in (self.deviation, self.unfollowed_step, self.score))
