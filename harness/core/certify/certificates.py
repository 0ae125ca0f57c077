"""Making the certificate of a run from the cases that it needs, of which kept ones are not made again."""

from collections.abc import Callable

import msgspec

from harness.core.certify.cases import cases
from harness.core.certify.certificate import Certificate
from harness.core.certify.certify import (
    DROPOUT,
    NOISE,
    Examiner,
    NotOffered,
    Selection,
    Skipped,
    check,
    check_names,
    examine_losses,
)
from harness.core.certify.kept_findings import KeptFindings
from harness.core.certify.parity import LOSS_TOLERANCES, TOLERANCE, Finding
from harness.core.certify.references import alone_in
from harness.core.certify.run_cases import cases_of_run
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.stats.deviations import largest
from harness.errors import Declined, HarnessError
from harness.spec.task import Task, TaskDefinition

#: Called with the number of cases that have been examined, and of all.
Examined = Callable[[int, int], None]
_ALONE = "the model is written for {} alone, so there is nothing to compare it with"


def certificate(
    examiner: Examiner,
    definition: TaskDefinition,
    task: Task | None = None,
    examined: Examined = lambda _cases, _of: None,
) -> Certificate:
    """Certify the examiner's configuration for a run. A fault is the reason in the certificate, never raised.

    ``task`` is the definition with the options of the run, by default with the default options. The examiner
    works only on cases that the cache does not hold.
    """
    try:
        run = task or define_task(definition, definition.options())
        if (alone := alone_in(run)) is not None:
            return Certificate(certified=False, reason=_ALONE.format(alone), possible=False)
        try:
            return _certificate(_findings(examiner, definition, run, examined))
        except _NoFloat64 as declined:
            return _in_float32(examiner, definition, run, declined)
    except (HarnessError, msgspec.MsgspecError, OSError) as error:
        return Certificate(certified=False, reason=str(error))


class _NoFloat64(Declined):
    """The first case, which every backend of a task can carry out in float64, is declined."""


def _in_float32(
    examiner: Examiner, definition: TaskDefinition, task: Task, declined: Declined
) -> Certificate:
    """Certify a backend that declines float64 by its first losses in float32."""
    needed = cases_of_run(definition, task, "float64", long_calls=False)
    names = [case.name for case in cases(definition) if case.name in needed]
    try:
        findings = [examine_losses(examiner, definition, "float32", name) for name in names]
    except Declined:
        raise declined from None
    failed = [finding for finding in findings if not finding.passed]
    worst = largest(finding.worst for finding in findings)
    if failed:
        reason = f"{declined}; {failed[0].explanation}"
    else:
        reason = (
            f"{declined}; the first losses agree in float32 (relative {worst:.1e}; at most "
            f"{LOSS_TOLERANCES['float32']:g}), which proves too little to rank by"
        )
    return Certificate(
        certified=False,
        reason=reason,
        worst_as_timed=worst,
        agrees_in_float32=not failed,
        cases=tuple(finding.case for finding in findings),
    )


def _findings(
    examiner: Examiner, definition: TaskDefinition, task: Task, examined: Examined
) -> list[Finding]:
    """Return the outcomes of the cases that a run of ``task`` needs."""
    configuration = examiner.configuration
    # Programs of our own offer their training state, so each run verifies its own calls of any length.
    long_calls = registry.is_third_party(configuration.backend)
    needed = Selection(cases_of_run(definition, task, configuration.precision, long_calls=long_calls))
    names = check_names(definition, configuration.precision, needed)
    cache = KeptFindings.of(configuration, definition)
    found = {name: kept for name in names if (kept := cache.read(name)) is not None}
    missing = [name for name in names if name not in found]
    if not missing:
        return list(found.values())
    examined(len(found), len(names))

    def report(outcome: Finding | Skipped | NotOffered) -> None:
        if isinstance(outcome, Finding):
            cache.keep(outcome)
            found[outcome.case] = outcome
        examined(len(found), len(names))

    try:
        check(examiner, definition, report, Selection(frozenset(missing)))
    except Declined as error:
        if cases(definition)[0].name in found:
            raise
        raise _NoFloat64(str(error)) from error
    order = check_names(definition, configuration.precision, Selection(frozenset(found)))
    return [found[name] for name in order if name in found]


def _certificate(findings: list[Finding]) -> Certificate:
    failed = [finding for finding in findings if not finding.passed]
    exact = [finding.worst for finding in findings if finding.tolerance == TOLERANCE]
    as_timed = [finding.worst for finding in findings if finding.tolerance != TOLERANCE]
    return Certificate(
        certified=not failed,
        reason=f"case {failed[0].case!r}: {failed[0].explanation}" if failed else "",
        worst=largest(exact) if exact else None,
        worst_as_timed=largest(as_timed) if as_timed else None,
        dropout=next((finding.complete for finding in findings if finding.case == DROPOUT), None),
        cases=tuple(finding.case for finding in findings),
        audit=next((finding.note for finding in findings if finding.case == NOISE), ""),
    )
