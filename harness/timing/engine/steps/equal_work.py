"""Proof that the steps of a duel or a gate do the same work."""

import functools
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.machine.guarded_folder import GuardedFolder
from harness.errors import HarnessError, UsageError
from harness.timing.engine.steps import work
from harness.timing.engine.steps.deviations import Arrays, Observed, farthest, first_number
from harness.timing.engine.steps.findings import FirstValues, WorkComparison, difference_text
from harness.timing.engine.steps.observation import Process, observe, observe_if_possible
from harness.timing.engine.steps.own import OwnStep, StepRefused
from harness.timing.engine.steps.process import Made, foreign_modules, own_modules


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
    with GuardedFolder("values") as folder:
        first, second, *others = observe(
            [Process(each) for each in (reference, *workloads)], request.calls, folder.path
        )
        for other, observed in zip(workloads[1:], others, strict=True):
            _refuse_other_samples(reference, other, first.made, observed.made)
            theirs = foreign_modules(first.made, reference.target, other.target.folder)
            if theirs:
                raise UsageError(
                    f"{reference.label} imported {theirs[0]}, the code of {other.label}: install each "
                    "version in an environment of its own (--base-python, or source in the suite)"
                )
        if request.values != "equal":
            return [WorkComparison(outcome="not asked") for _ in others]
        further = _Further(reference, first.made, len(first.calls), folder.path)
        compared = []
        for other, observed in zip(workloads[1:], others, strict=True):
            comparison = work.compare(
                [first, second],
                observed,
                functools.partial(further.rounded, other, observed.made),
                tolerance=request.tolerance,
            )
            other_checkout = other.target.folder != reference.target.folder
            shared = other_checkout and not own_modules(observed.made, other.target)
            one_python = other.configuration.python == reference.configuration.python
            compared.append(msgspec.structs.replace(comparison, shared_code=shared and one_python))
        return compared


class _Further:
    """Further processes of ``reference``, made once for all workloads that are compared with it."""

    def __init__(self, reference: OwnStep, made: Made, calls: int, folder: Path) -> None:
        self._reference, self._made, self._calls, self._folder = reference, made, calls, folder
        self._base: list[Observed | None] = []

    def rounded(self, other: OwnStep, made: Made) -> work.Rounded:
        """Observe base and ``other`` with other rounding and in float64, as far as they can be made so."""
        own, reference = frameworks_of(self._made), self._reference
        base = [
            Process(reference, other_rounding=True),
            Process(reference, float64=own),
            Process(reference, other_rounding=True, float64=own),
        ]
        asked = [*([] if self._base else base), Process(other, float64=frameworks_of(made))]
        *first, head = observe_if_possible(asked, self._calls, self._folder)
        self._base = self._base or first
        rounded, exact, both = self._base
        return work.Rounded(rounded, exact, both, head)


def frameworks_of(made: Made) -> list[str]:
    """Return the modules of the frameworks that a step has imported."""
    return [name for name in made.versions if name not in {"python", "numpy"}]


def observe_work(workload: OwnStep, calls: int) -> tuple[list[FirstValues], bool | None]:
    """Return the values of the first calls, and whether two processes agree; None without values."""
    with GuardedFolder("values") as folder:
        first, second = observe([Process(workload)] * 2, calls, folder.path)
        if not any(first.calls):
            return [], None
        equal = all(farthest(*each, 1) is None for each in zip(first.calls, second.calls, strict=False))
        return [_shown(values) for values in first.calls], equal


def _shown(values: Arrays) -> FirstValues:
    """Return shape and first number of each array; None where it is not finite, or there is none."""
    return {name: (list(array.shape), first_number(array)) for name, array in values.items()}


def _refuse_other_samples(reference: OwnStep, other: OwnStep, first: Made, made: Made) -> None:
    ours, theirs = first.samples or reference.samples, made.samples or other.samples
    if ours != theirs:
        raise StepRefused(
            other.label,
            f"a call has {theirs} samples, and one of {reference.label} {ours}: only steps of equal samples "
            "can be compared",
        )


def refuse_different_work(workloads: Sequence[OwnStep], compared: Sequence[WorkComparison]) -> None:
    """Raise HarnessError for the first workload that does other work than the reference."""
    for other, comparison in zip(workloads[1:], compared, strict=True):
        if comparison.difference is not None:
            raise HarnessError(
                f"{workloads[0].label} and {other.label} do different work: "
                f"{difference_text(comparison.difference)}"
            )
