"""A cache of certificates. An entry holds as long as everything that it depends on is unchanged.

That is the reference, the Python code of harness, of the backend and of a user's own models, the versions of
all that is installed, the configuration, the machine's processor and GPUs, and the user's variables that
influence results. What another interpreter has installed is unknown here, so its certificates are made again
each time.
"""

import functools
import hashlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness.errors import HarnessError
from harness.machine.cached_documents import cache_folder, read_cached, write_cached
from harness.machine.description import cpu_model
from harness.machine.leftovers import Leftover, older_than, remove_path, size_of
from harness.machine.worker_variables import inherited_variables
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.plugins.registry import runs_our_code
from harness.plugins.sources import python_files, sources_of, sources_of_models
from harness.spec.task import Task, TaskDefinition
from harness.testing.certificate import Certificate
from harness.testing.certify import DROPOUT, Examiner, check, check_names, examine_dropout
from harness.testing.dropout import uses_dropout
from harness.testing.parity import TOLERANCE, Finding
from harness.testing.reference import reference_of

_KEPT_SECONDS = 30 * 86400.0


class _Entry(msgspec.Struct, frozen=True):
    """A kept certificate, and the name of the file that it was made for."""

    key: str
    certificate: Certificate


#: Called with the number of cases that have been examined, and of all.
Examined = Callable[[int, int], None]


def certificate(
    examiner: Examiner,
    definition: TaskDefinition,
    task: Task | None = None,
    examined: Examined = lambda _cases, _of: None,
) -> Certificate:
    """The certificate of the examiner's configuration for a task; faults are its reason, never raised.

    The examiner works only where the cache holds no certificate. ``task`` is what a run makes of the
    definition: where it uses dropout and the definition's defaults do not, dropout is tested too.
    """
    made = _made_or_kept(
        examiner, definition, "", lambda: _certificate(_checked(examiner, definition, examined))
    )
    if not made.certified or made.dropout is not None or task is None or not uses_dropout(task):
        return made
    return _made_or_kept(
        examiner, definition, DROPOUT, lambda: _with_dropout(made, examine_dropout(examiner, definition))
    )


def _checked(examiner: Examiner, definition: TaskDefinition, examined: Examined) -> list[Finding]:
    total = len(check_names(definition, examiner.configuration.precision, examiner.contract))
    numbers = itertools.count(1)
    return check(examiner, definition, lambda _finding: examined(next(numbers), total))


def _with_dropout(made: Certificate, finding: Finding) -> Certificate:
    return msgspec.structs.replace(
        made, certified=finding.passed, reason=_reason(finding), dropout=finding.complete
    )


def _made_or_kept(
    examiner: Examiner, definition: TaskDefinition, kind: str, make: Callable[[], Certificate]
) -> Certificate:
    """The certificate of a kind from the cache, or a new one; faults are its reason."""
    configuration = examiner.configuration
    try:
        path = (
            _cache_path(configuration, definition, kind)
            if runs_our_code(configuration.python, dict(configuration.variables))
            else None
        )
        kept = None if path is None else _kept(path)
        if kept is not None:
            return kept
        made = make()
    except (HarnessError, msgspec.MsgspecError, OSError) as error:
        return Certificate(certified=False, reason=str(error))
    if path is not None and made.certified:  # a deviation gets fixed, maybe where the path does not change
        write_cached(path, _Entry(path.stem, made))
    return made


def _certificate(findings: list[Finding]) -> Certificate:
    failed = [finding for finding in findings if not finding.passed]
    exact = [finding.worst for finding in findings if finding.tolerance == TOLERANCE]
    as_timed = [finding.worst for finding in findings if finding.tolerance != TOLERANCE]
    return Certificate(
        certified=not failed,
        reason=_reason(failed[0]) if failed else "",
        worst=max(exact),
        worst_as_timed=max(as_timed, default=None),
        dropout=next((finding.complete for finding in findings if finding.case == DROPOUT), None),
    )


def _reason(finding: Finding) -> str:
    return "" if finding.passed else f"case {finding.case!r}: {finding.explanation}"


def _kept(path: Path) -> Certificate | None:
    """The certificate in a file; None where there is none that was written for this file and is unchanged."""
    entry = read_cached(path, _Entry)
    return entry.certificate if entry is not None and entry.key == path.stem else None


def old_certificates() -> Iterator[Leftover]:
    """Certificates that were made long ago: most of them hold for versions that are gone."""
    for path in older_than(_KEPT_SECONDS, sorted(_folder().glob("*.json"))):
        yield Leftover("certificate", path, size_of([path]), functools.partial(remove_path, path))


def _folder() -> Path:
    return cache_folder() / "certificates"


def _cache_path(configuration: Configuration, definition: TaskDefinition, kind: str = "") -> Path:
    """The file of this certificate, named by a hash of everything that it depends on."""
    reference_of(definition, configuration.backend)
    assert definition.reference is not None  # noqa: S101  reference_of raises without one
    variables = inherited_variables(os.environ, {})
    digest = hashlib.sha256(
        msgspec.json.encode([configuration, kind, variables, _installed(), cpu_model(), *_gpus()])
    )
    for source in [
        definition.reference,
        *python_files(Path(__file__).parents[1]),
        *sources_of(configuration.backend),
        *sources_of_models(define_task(definition, definition.options())),
    ]:
        digest.update(source.read_bytes())
    return _folder() / f"{digest.hexdigest()[:32]}.json"


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
