"""Reasons for the verdict on the quality, from the first steps of base and head."""

import msgspec

from harness.gate.reasons.base import BaseReason
from harness.plugins.options import Value
from harness.spec.backend import Precision


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


class LossesNotFinite(BaseReason, frozen=True, kw_only=True):
    """INVALID: from ``step`` on no loss of either is finite, so nothing is compared."""

    precision: Precision
    step: int


class MemoryRanOut(BaseReason, frozen=True, kw_only=True):
    """Beside PASS: memory ran out in these precisions, which were not compared."""

    precisions: list[Precision]


FirstStepsReason = (
    OtherPrecisions
    | OtherData
    | OtherLossCount
    | LossDiffers
    | ScoreDiffers
    | TaskChanged
    | LossesNotFinite
    | MemoryRanOut
)
