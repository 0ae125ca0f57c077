"""Proof that the steps of a duel or a gate do the same work."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.core.machine.guarded_folder import GuardedFolder
from harness.errors import HarnessError
from harness.timing.engine.steps import work
from harness.timing.engine.steps.deviations import Arrays, Observed, farthest, first_number
from harness.timing.engine.steps.findings import FirstValues, WorkComparison, difference_text
from harness.timing.engine.steps.observation import Process, observe, observe_if_possible
from harness.timing.engine.steps.own import OwnStep, StepRefused
from harness.timing.engine.steps.process import Imported, Made, refuse_foreign_code


class WorkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the comparison of work: see :mod:`harness.timing.engine.steps.work`."""

    calls: int = work.CALLS
    tolerance: float | None = None
    values: str = "equal"
    """``equal``: they must be. ``differ``: they may differ, and are not compared."""


def compare_work(
    workloads: Sequence[OwnStep],
    request: WorkRequest,
    imported: Callable[[str, Imported], None] = lambda _label, _imported: None,
) -> list[WorkComparison]:
    """Compare the work of each workload but the first with that of the first, the reference.

    ``imported`` is called with the label of a workload and the files that a process of it imported.
    """
    reference = workloads[0]
    with GuardedFolder("values") as folder:
        first, second, *others = observe(
            [Process(each) for each in (reference, *workloads)], request.calls, folder.path
        )
        for step, each in zip([reference, *workloads], [first, second, *others], strict=True):
            refuse_foreign_code(step.label, each.imported, step.target)
            imported(step.label, each.imported)
        for other, observed in zip(workloads[1:], others, strict=True):
            _refuse_other_samples(reference, other, first.made, observed.made)
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
            compared.append(comparison)
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
        theirs = frameworks_of(made)
        heads = [Process(other, other_rounding=rounding, float64=theirs) for rounding in (False, True)]
        asked = [*([] if self._base else base), *heads]
        *first, head, head_rounded = observe_if_possible(asked, self._calls, self._folder)
        self._base = self._base or first
        rounded, exact, both = self._base
        return work.Rounded(rounded, exact, both, head, head_rounded)


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
