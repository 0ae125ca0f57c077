"""Findings of the audit of a training, as records keep them, and the error that ends a training."""

from typing import Literal

import msgspec

from harness.errors import HarnessError


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


#: Why work could not be verified: the backend cannot hand out its training state; the second program failed;
#: rounding separated the two programs at once; the training was too short for a segment.
Gap = Literal["no training state", "program failed", "rounding", "too short"]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was repeated of a training, and whether it was the same."""

    outcome: Literal["verified", "differs", "not verified"]
    gap: Gap | None = None
    detail: str = ""
    """With ``program failed``: the error."""
    span: Span | None = None
    """The steps that were repeated; None if none were."""
    segments: int = 0
    """The whole segments of the training, from which the one that is repeated was drawn by its steps."""
    deviation: Deviation | None = None
    """The first loss that is at fault; None if the weights after ``span`` are."""
    seconds: float = 0.0
    """What all of it took, readings not counted."""


class WorkDiffers(HarnessError):
    """Timed work is not what a second program computes; ``verification`` has the figures."""

    def __init__(self, message: str, verification: Verification) -> None:
        super().__init__(message)
        self.verification = verification
