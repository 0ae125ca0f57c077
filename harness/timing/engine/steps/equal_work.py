"""Proof that the steps of a duel or a gate do the same work."""

import contextlib
from collections.abc import Sequence

import msgspec

from harness.errors import HarnessError, UsageError
from harness.timing.engine.steps import work
from harness.timing.engine.steps.findings import Values, WorkComparison, difference_text
from harness.timing.engine.steps.own import OwnStep, blaming_user
from harness.timing.engine.steps.process import (
    Called,
    FirstCalls,
    Made,
    ReadState,
    State,
    foreign_modules,
    own_modules,
)

#: Fewer calls of a slow step are compared: those within this time.
_FIRST_CALLS_SECONDS = 10.0


class WorkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the comparison of work: see :mod:`harness.timing.engine.steps.work`."""

    calls: int = work.CALLS
    tolerance: float | None = None
    values: str = "equal"
    """``equal``: they must be. ``differ``: they may differ, and are not compared."""


def compare_work(workloads: Sequence[OwnStep], request: WorkRequest) -> list[WorkComparison]:
    """Compare the work of each workload but the first with that of the first, the reference.

    Raises:
        ConfigurationFailed: a process failed.
        UsageError: a step cannot be made as it was asked for, has other samples than the reference, or the
            reference imported the code of another checkout.
    """
    reference = workloads[0]
    first, second, *others = _observe([reference, *workloads], request.calls)
    for other, observed in zip(workloads[1:], others, strict=True):
        _refuse_other_samples(reference, other, first.made, observed.made)
        theirs = foreign_modules(first.made, reference.target, other.target.folder)
        if theirs:
            raise UsageError(
                f"{reference.label} imported {theirs[0]}, the code of {other.label}: install each version in "
                "an environment of its own (--base-python, or source in the suite)"
            )
    if request.values != "equal":
        return [WorkComparison(outcome="not asked") for _ in others]
    compared = []
    for other, observed in zip(workloads[1:], others, strict=True):
        comparison = work.compare(
            [first, second],
            observed,
            tolerance=request.tolerance,
            other_code=other.target.target != reference.target.target,
        )
        other_checkout = other.target.folder != reference.target.folder
        shared = other_checkout and not own_modules(observed.made, other.target)
        one_python = other.configuration.python == reference.configuration.python
        compared.append(msgspec.structs.replace(comparison, shared_code=shared and one_python))
    return compared


def observe_work(workload: OwnStep, calls: int) -> tuple[list[Values], bool | None]:
    """Return the values of the first calls, and whether two processes agree; None without values."""
    first, second = _observe([workload, workload], calls)
    if not any(first.values):
        return [], None
    return first.values, work.compare([first, first], second).outcome == "same"


def _observe(workloads: Sequence[OwnStep], calls: int) -> list[work.Observed]:
    """Make the first calls in a fresh process of each workload, all at the same time."""
    with contextlib.ExitStack() as stack:
        sessions = []
        for workload in workloads:
            session = workload.session()
            stack.callback(session.kill_and_close)
            sessions.append(session)
            with blaming_user(workload.label, session):
                session.send(workload.target.request())
        every = []
        for workload, session in zip(workloads, sessions, strict=True):
            with blaming_user(workload.label, session):
                made = session.receive(Made)
                values = session.call(FirstCalls(calls, _FIRST_CALLS_SECONDS), Called).values
                every.append(work.Observed(made, values, session.call(ReadState(), State).values))
        return every


def _refuse_other_samples(reference: OwnStep, other: OwnStep, first: Made, made: Made) -> None:
    ours, theirs = first.samples or reference.samples, made.samples or other.samples
    if ours != theirs:
        raise UsageError(
            f"a call of {reference.label} has {ours} samples and one of {other.label} {theirs}: only steps "
            "of equal samples can be compared"
        )


def refuse_different_work(workloads: Sequence[OwnStep], compared: Sequence[WorkComparison]) -> None:
    """Raise HarnessError for the first workload that does other work than the reference."""
    for other, comparison in zip(workloads[1:], compared, strict=True):
        if comparison.difference is not None:
            raise HarnessError(
                f"{workloads[0].label} and {other.label} do different work: "
                f"{difference_text(comparison.difference)}"
            )
