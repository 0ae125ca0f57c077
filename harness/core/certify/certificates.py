"""Making the certificate of a run from the cases that it needs, of which kept ones are not made again."""

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

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
from harness.core.certify.diagnosis import diagnosed
from harness.core.certify.parity import (
    LOSS_TOLERANCES,
    TOLERANCE,
    Finding,
)
from harness.core.certify.references import reference_of
from harness.core.certify.run_cases import cases_of_run
from harness.core.machine.description import cpu_model
from harness.core.machine.files import (
    cache_folder,
    read_cached,
    write_cached,
)
from harness.core.machine.leftovers import (
    Leftover,
    older_than,
    remove_path,
    size_of,
)
from harness.core.machine.worker_variables import inherited_variables
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.registry import runs_our_code
from harness.core.plugins.sources import (
    python_files,
    sources_of,
    sources_of_models,
)
from harness.errors import Declined, HarnessError
from harness.spec.task import Task, TaskDefinition

# A cache of what came of certification cases. An entry holds as long as all that it depends on is unchanged.
#
# That is the reference, the Python code of harness, of the backend and of a user's own models, the versions
# of all that is installed, the configuration, the machine's processor and GPUs, and the user's variables that
# influence results. What another interpreter has installed is unknown here, so its cases are made again each
# time.

_KEPT_SECONDS = 30 * 86400.0


class _Entry(msgspec.Struct, frozen=True):
    """A kept finding, and the name of the file that it was made for."""

    key: str
    finding: Finding


class KeptFindings:
    """What came of the cases of one configuration and task; only what passed is kept.

    A deviation gets fixed, maybe where nothing changes that an entry depends on.
    """

    def __init__(self, digest: str | None) -> None:
        """``digest`` stands for everything that the findings depend on; None: nothing is kept."""
        self._digest = digest

    @classmethod
    def of(cls, configuration: Configuration, definition: TaskDefinition) -> Self:
        """Those of a configuration; none where its code is elsewhere, and may change unseen.

        Raises:
            HarnessError: the task has no reference that fits it.
        """
        ours = runs_our_code(configuration.python, dict(configuration.variables))
        return cls(_digest(configuration, definition) if ours else None)

    def read(self, case: str) -> Finding | None:
        """The finding of a case; None where there is none that was written for this file and is unchanged."""
        path = self._path(case)
        entry = None if path is None else read_cached(path, _Entry)
        return entry.finding if entry is not None and path is not None and entry.key == path.stem else None

    def keep(self, finding: Finding) -> None:
        """Write a finding where that is possible."""
        path = self._path(finding.case)
        if path is not None and finding.passed:
            write_cached(path, _Entry(path.stem, finding))

    def _path(self, case: str) -> Path | None:
        if self._digest is None:
            return None
        return _folder() / f"{hashlib.sha256(f'{self._digest} {case}'.encode()).hexdigest()[:32]}.json"


def old_certificates() -> Iterator[Leftover]:
    """What was found long ago: most of it holds for versions that are gone."""
    for path in older_than(_KEPT_SECONDS, sorted(_folder().glob("*.json"))):
        yield Leftover("certificate", path, size_of([path]), functools.partial(remove_path, path))


def _folder() -> Path:
    return cache_folder() / "certificates"


def _digest(configuration: Configuration, definition: TaskDefinition) -> str:
    """A hash of everything that the findings of a configuration and a task depend on."""
    reference_of(definition, configuration.backend)
    assert definition.reference is not None  # noqa: S101  reference_of raises without one
    variables = inherited_variables(os.environ, {})
    digest = hashlib.sha256(
        msgspec.json.encode([configuration, variables, _installed(), cpu_model(), *_gpus()])
    )
    for source in [
        definition.reference,
        *python_files(Path(__file__).parents[2]),
        *sources_of(configuration.backend),
        *sources_of_models(define_task(definition, definition.options())),
    ]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


@functools.cache
def _installed() -> list[str]:
    """The metadata folders of all installed distributions: a framework may compute with any of them."""
    return sorted(
        path.name
        for folder in sys.path
        for kind in ("dist", "egg")
        for path in Path(folder).glob(f"*.{kind}-info")
    )


def _gpus() -> list[str]:
    """The machine's GPUs, even those that the environment hides: ``device`` may be auto."""
    nodes = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return nodes + [card.read_text() for card in cards]


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
    """What can be said of a backend that declines float64: whether its first losses agree in float32.

    Raises:
        Declined: it declines the cases in float32 too.
        HarnessError: it failed, hung or died.
    """
    needed = cases_of_run(definition, task, "float64", long_calls=False)
    names = [case.name for case in cases(definition) if case.name in needed]
    try:
        findings = [examine_losses(examiner, definition, "float32", name) for name in names]
    except Declined:
        raise declined from None
    failed = [finding for finding in findings if not finding.passed]
    worst = max(finding.worst for finding in findings)
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
    """What comes of the cases that a run of ``task`` needs, and of all others if one of them fails."""
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
    if not all(finding.passed for finding in found.values()):
        found |= _others(examiner, definition, found)
    order = check_names(definition, configuration.precision, Selection(frozenset(found)))
    return diagnosed([found[name] for name in order if name in found], cases(definition))


def _others(examiner: Examiner, definition: TaskDefinition, found: _Findings) -> _Findings:
    """What comes of all other cases: a fault is named by what failed cases have in common."""
    others: _Findings = {}

    def report(outcome: Finding | Skipped | NotOffered) -> None:
        if isinstance(outcome, Finding):
            others[outcome.case] = outcome

    names = check_names(definition, examiner.configuration.precision)
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
        audit=next((finding.note for finding in findings if finding.case == NOISE), ""),
    )
