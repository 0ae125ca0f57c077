"""Making the certificate of a run from the cases that it needs, of which kept ones are not made again."""

import contextlib
from collections.abc import Callable

import msgspec

from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.spec.task import Task, TaskDefinition
from harness.testing.cases import cases
from harness.testing.certificate import Certificate
from harness.testing.certificate_cache import KeptFindings
from harness.testing.certify import DROPOUT, Examiner, Selection, Skipped, check, check_names
from harness.testing.diagnosis import diagnosed
from harness.testing.parity import TOLERANCE, Finding
from harness.testing.run_cases import cases_of_run

#: Called with the number of cases that have been examined, and of all.
Examined = Callable[[int, int], None]
_Findings = dict[str, Finding]


def certificate(
    examiner: Examiner,
    definition: TaskDefinition,
    task: Task | None = None,
    examined: Examined = lambda _cases, _of: None,
) -> Certificate:
    """The certificate of the examiner's configuration for a run; faults are its reason, never raised.

    ``task`` is what the run makes of the definition, its defaults if None. The examiner works only on cases
    that the cache does not hold.
    """
    try:
        run = task or define_task(definition, definition.options())
        return _certificate(_findings(examiner, definition, run, examined))
    except (HarnessError, msgspec.MsgspecError, OSError) as error:
        return Certificate(certified=False, reason=str(error))


def _findings(
    examiner: Examiner, definition: TaskDefinition, task: Task, examined: Examined
) -> list[Finding]:
    """What comes of the cases that a run of ``task`` needs, and of all others if one of them fails."""
    configuration = examiner.configuration
    # Programs of our own offer their training state, so each run verifies its own calls of any length.
    long_calls = registry.is_third_party(configuration.backend)
    needed = Selection(cases_of_run(definition, task, configuration.precision, long_calls=long_calls))
    names = check_names(definition, configuration.precision, examiner.contract, needed)
    cache = KeptFindings.of(configuration, definition)
    found = {name: kept for name in names if (kept := cache.read(name)) is not None}
    missing = [name for name in names if name not in found]
    if not missing:
        return list(found.values())

    def report(outcome: Finding | Skipped) -> None:
        if isinstance(outcome, Finding):
            cache.keep(outcome)
            found[outcome.case] = outcome
        examined(len(found), len(names))

    check(examiner, definition, report, Selection(frozenset(missing)))
    if not all(finding.passed for finding in found.values()):
        found |= _others(examiner, definition, found)
    order = check_names(definition, configuration.precision, examiner.contract, Selection(frozenset(found)))
    return diagnosed([found[name] for name in order if name in found], cases(definition))


def _others(examiner: Examiner, definition: TaskDefinition, found: _Findings) -> _Findings:
    """What comes of all other cases: a fault is named by what failed cases have in common."""
    others: _Findings = {}

    def report(outcome: Finding | Skipped) -> None:
        if isinstance(outcome, Finding):
            others[outcome.case] = outcome

    names = check_names(definition, examiner.configuration.precision, examiner.contract)
    with contextlib.suppress(HarnessError):  # one that is declined, for example, does not matter to the run
        check(examiner, definition, report, Selection(frozenset(names) - found.keys()))
    return others


def _certificate(findings: list[Finding]) -> Certificate:
    failed = [finding for finding in findings if not finding.passed]
    exact = [finding.worst for finding in findings if finding.tolerance == TOLERANCE]
    as_timed = [finding.worst for finding in findings if finding.tolerance != TOLERANCE]
    return Certificate(
        certified=not failed,
        reason=f"case {failed[0].case!r}: {failed[0].explanation}" if failed else "",
        worst=max(exact, default=None),
        worst_as_timed=max(as_timed, default=None),
        dropout=next((finding.complete for finding in findings if finding.case == DROPOUT), None),
        cases=tuple(finding.case for finding in findings),
    )
