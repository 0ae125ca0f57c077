"""A cache of the findings of certification cases, each valid while all that it depends on is unchanged.

A finding depends on the reference, the Python code of harness, of the backend and of a user's own models, the
versions of all that is installed, the configuration, the machine's processor and GPUs, and the user's
variables that influence results. The packages of another interpreter are unknown here, so its cases are made
again each time.
"""

import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from harness.core.certify.parity import Finding
from harness.core.certify.references import reference_of
from harness.core.machine.cache import cache_folder, read_cached, write_cached
from harness.core.machine.description import cpu_model
from harness.core.machine.leftovers import Leftover, older_than, remove_path, size_of
from harness.core.machine.worker_variables import inherited_variables
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.registry import runs_our_code
from harness.core.plugins.sources import python_files, sources_of, sources_of_models
from harness.spec.task import TaskDefinition

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
        """Open the findings of ``digest``, which covers all that they depend on; None keeps nothing."""
        self._digest = digest

    @classmethod
    def of(cls, configuration: Configuration, definition: TaskDefinition) -> Self:
        """Open the findings of a configuration.

        None if its code is outside this environment and may change unseen.
        """
        ours = runs_our_code(configuration.python, dict(configuration.variables))
        return cls(_digest(configuration, definition) if ours else None)

    def read(self, case: str) -> Finding | None:
        """Read the finding of a case; None without an unchanged finding written for this file."""
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
    """Find entries that were made long ago: most of these are for versions that are gone."""
    for path in older_than(_KEPT_SECONDS, sorted(_folder().glob("*.json"))):
        yield Leftover("certificate", path, size_of([path]), functools.partial(remove_path, path))


def _folder() -> Path:
    return cache_folder() / "certificates"


def _digest(configuration: Configuration, definition: TaskDefinition) -> str:
    """Hash everything that the findings of a configuration and a task depend on."""
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
    """List the metadata folders of all installed distributions: a framework may compute with any of them."""
    return sorted(
        path.name
        for folder in sys.path
        for kind in ("dist", "egg")
        for path in Path(folder).glob(f"*.{kind}-info")
    )


def _gpus() -> list[str]:
    """Return the machine's GPUs, even those that the environment hides: ``device`` may be auto."""
    nodes = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return nodes + [card.read_text() for card in cards]
