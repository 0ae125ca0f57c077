"""Repetition in a new environment that has the versions which the records name."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.core.documents.kinds import Envelope
from harness.core.plugins.distributions import HARNESS
from harness.core.shell.progress import Phases
from harness.errors import UsageError
from harness.timing.environments.installation import environment_of
from harness.timing.environments.requirements import own_wheel


def requirements_of(records: Iterable[Envelope]) -> list[str]:
    """Return what pip has to install so that the versions are those of ``records``, but for this harness.

    A build that is named after a ``+``, such as ``2.13.0+cpu``, is left to pip.
    """
    versions: dict[str, str] = {}
    for name, version in itertools.chain.from_iterable(each.distributions.items() for each in records):
        if versions.setdefault(name, version) != version:
            raise UsageError(
                f"--environment: the records name {name} {versions[name]} and {version}; "
                "repeat those of one environment at a time"
            )
    versions.pop(HARNESS, None)
    if not versions:
        raise UsageError("--environment: the records name no versions of what they imported")
    return [_requirement(name, version) for name, version in sorted(versions.items())]


def _requirement(name: str, version: str) -> str:
    """Return a requirement that pip cannot read as an address, a file or an option."""
    try:
        return f"{canonicalize_name(name, validate=True)}=={Version(version).public}"
    except (InvalidName, InvalidVersion) as error:
        raise UsageError(f"--environment: the records name no distribution and version: {error}") from None


def call_in_environment(requirements: Sequence[str], arguments: Sequence[str], *, quiet: bool) -> int:
    """Call harness in a new environment of ``requirements``, with this harness; return its exit code.

    The environment is kept in the cache for a day.
    """
    with Phases(quiet=quiet) as phases, own_wheel() as package:
        progress = _Shown(phases)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        progress.doing(f"installing {len(requirements)} recorded versions for Python {python}")
        with environment_of(requirements, package, label="environment", progress=progress) as made:
            interpreter = str(made.python)
    # Modules on PYTHONPATH would come before what was installed.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [interpreter, "-P", "-m", "harness", *arguments]
    return subprocess.run(command, env=variables, check=False).returncode


class _Shown:
    """Shows the progress of an installation; see :class:`harness.timing.environments.cache.Progress`."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    def doing(self, activity: str, /) -> None:
        self._phases.begin(activity)

    def show(self, activity: str, /) -> None:
        """Leave out what pip does; its downloads are many."""
