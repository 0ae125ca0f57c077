"""The dl-harness of another interpreter, and whether its workers use the same protocol."""

import json
import subprocess
from collections.abc import Mapping
from importlib import metadata

from harness.core.machine import processes
from harness.core.worker import protocol
from harness.errors import UsageError

#: The protocol was elsewhere before 0.1.0; such versions must be reported with both numbers.
_PROBE = """
import json
from importlib import import_module
from importlib.metadata import version
for place in ("harness.core.worker", "harness.worker", "harness"):
    try:
        protocol = import_module(f"{place}.protocol")
    except ImportError as error:
        missing = error
    else:
        break
else:
    raise missing
print(json.dumps([version("dl-harness"), protocol.VERSION]))
"""
_PROBE_SECONDS = 60


def installed_harness(label: str, python: str, variables: Mapping[str, str]) -> str:
    """Return the version of dl-harness that is installed for an interpreter; errors begin with ``label``.

    ``variables`` are set for its processes.
    """
    try:
        # -P: files in the current folder must not replace installed modules.
        done = processes.run([python, "-P", "-c", _PROBE], _PROBE_SECONDS, variables)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{label}: {python} cannot be started: {error}") from error
    if done.returncode:
        raise UsageError(f"{label}: {_why_it_failed(python, done.stderr)}")
    try:
        version, spoken = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError as error:
        output = done.stdout.strip()[-100:]
        raise UsageError(f"{label}: {python} is not a Python interpreter; it printed {output!r}") from error
    if spoken != protocol.VERSION:
        ours = metadata.version("dl-harness")
        raise UsageError(
            f"{label} has dl-harness {version}, which speaks protocol {spoken} ({python}); this is "
            f"dl-harness {ours} with protocol {protocol.VERSION}: install versions with the same protocol"
        )
    return str(version)


def _why_it_failed(python: str, stderr: str) -> str:
    lines = stderr.strip().splitlines() or ["it printed nothing"]
    if "No module named 'harness'" in stderr or "PackageNotFoundError" in stderr:
        return f"no dl-harness is installed for {python} ({lines[-1]}); install it there"
    if "Unknown option: -P" in stderr:
        return f"{python} is older than Python 3.11, which dl-harness needs"
    # If Python itself fails to start, its last line is the least informative.
    cause = next((line for line in lines if line.startswith("Fatal Python error")), lines[-1])
    return f"{python} cannot load its dl-harness: {cause.strip()}"
