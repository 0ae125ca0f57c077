"""Reasons for the verdict on the quality, from trainings of base and head over seeds."""

from typing import Literal

from harness.gate.reasons.base import BaseReason
from harness.stats.estimate import Estimate

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


TrainingReason = (
    TooFewEpochs
    | TooFewSeeds
    | Diverged
    | ScoreLost
    | ExtraSteps
    | TargetMissed
    | TargetAtFirstScore
    | TargetRarelyReached
)
