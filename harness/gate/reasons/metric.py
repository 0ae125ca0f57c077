"""Reasons for the verdict on one metric."""

from harness.gate.reasons.base import BaseReason


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
    """INVALID: with ``made`` usable pairs no head could have failed, which takes ``needed``.

    ``pair_seconds`` is what a pair takes.
    """

    needed: int
    made: int
    pair_seconds: float


MetricReason = (
    LimitNotShown
    | ProvenWorse
    | NotDecided
    | BeyondLimit
    | PairsLost
    | MachineChanged
    | ImplausibleSpeedup
    | TooFewPairs
)
