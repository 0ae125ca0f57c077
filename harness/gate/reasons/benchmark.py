"""Reasons for the verdict on a benchmark that was not measured or ended early."""

from harness.gate.reasons.base import BaseReason


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
    """INVALID: the budget was spent before the look had ended."""


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


BenchmarkReason = (
    Removed
    | Replaced
    | Failed
    | FailedBesideBase
    | BudgetSpent
    | ProcessTooLong
    | NoWorkers
    | NotComparable
    | HarnessFault
)
