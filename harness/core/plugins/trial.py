"""Trial imports of third-party plugins in a separate process, in case an import hangs or exits.

The process also reports the modules that the plugin imported at its top level. A framework among them breaks
the contract: its import is part of the start-up that is timed, and a plugin must be listed where its
framework is not installed. An exception is left to the real import, which reports it better.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.core.machine.pipes import OutputLog
from harness.core.machine.processes import kill_group, kill_marked, new_mark, release_guard, start_guard
from harness.errors import PluginError

#: The distribution of the harness.
OURS = "dl-harness"
#: Modules of frameworks, whatever a plugin requires.
FRAMEWORKS = frozenset(
    {
        "cupy",
        "equinox",
        "flax",
        "jax",
        "jaxlib",
        "keras",
        "mindspore",
        "mlx",
        "mxnet",
        "oneflow",
        "paddle",
        "pytensor",
        "tensorflow",
        "tf_keras",
        "tinygrad",
        "torch",
    }
)
#: An import that takes longer is taken to hang. That of a large framework takes about 10 s from a cold disk.
LIMIT_SECONDS = 60.0
_LAST_LINES = 2
_POLL_SECONDS = 0.02
_PROGRAM = str(Path(__file__).with_name("trial_import.py"))


class Imported(NamedTuple):
    """A top-level module that a plugin's import imported, and the line of the plugin that did."""

    module: str
    file: str
    line: int


def try_point(point: metadata.EntryPoint, where: str) -> tuple[Imported, ...]:
    """Import the module of an entry point in a separate process; raise as :func:`try_file`."""
    return _tried("module", point.module, where)


def try_file(path: str, where: str) -> tuple[Imported, ...]:
    """Import a file in a separate process; return the modules that it imported, in order.

    Raises:
        PluginError: the import hung or ended the process; ``where`` names the plugin.
    """
    return _tried("file", path, where)


@functools.cache
def _tried(kind: str, source: str, where: str) -> tuple[Imported, ...]:
    try:
        with contextlib.ExitStack() as stack:  # nothing that the process started survives it
            log, report, mark = OutputLog(), stack.enter_context(tempfile.TemporaryFile()), new_mark()
            stack.callback(log.close)
            descriptor = report.fileno()
            process = subprocess.Popen(
                [sys.executable, "-P", _PROGRAM, kind, source, str(descriptor), json.dumps(sys.path)],
                env={**os.environ, mark: "1"},
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=log.file,
                stderr=log.file,
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(kill_marked, mark)
            stack.callback(kill_group, process.pid)
            with contextlib.suppress(OSError):  # a trial can run without a guard
                stack.callback(release_guard, start_guard(process.pid, mark))
            code = _exit_code(process, log)
            report.seek(0)
            if (lines := report.readlines()) and lines[0].endswith(b"\n"):
                return tuple(Imported(*fields) for fields in json.loads(lines[0]))
            last = "; ".join(log.last_lines()[-_LAST_LINES:])
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            why = f"its import ended the process with {how}" + (f" ({last})" if last else "")
    except TimeoutError:
        why = f"its import hung for {LIMIT_SECONDS:g} s"
    except OSError as error:
        why = f"no process for a trial import can be started: {error.strerror}"
    raise PluginError(f"{where} could not be loaded: {why}")


def _exit_code(process: subprocess.Popen[bytes], log: OutputLog) -> int:
    """Wait until the process ends, and keep its output short meanwhile; raise TimeoutError."""
    due = time.monotonic() + LIMIT_SECONDS
    while (code := process.poll()) is None:
        if time.monotonic() > due:
            raise TimeoutError
        log.trim()
        time.sleep(_POLL_SECONDS)
    return code


def refuse_framework(imports: Iterable[Imported], where: str, requires: Iterable[str] = ()) -> None:
    """Refuse a plugin whose import imported a framework, or a distribution that the plugin requires.

    Requirements of the harness itself, such as NumPy, are no frameworks.

    Raises:
        PluginError: the message begins with ``where`` and names the module and the line that imports it.
    """
    imports = list(imports)
    modules = FRAMEWORKS.union(*map(_modules, requires) if imports else ())
    for module, file, line in imports:
        if module in modules:
            raise PluginError(
                f"{where} breaks the contract: {Path(file).name}, line {line}, imports {module} at the top "
                "level; import it in environment(), build() or a module that build() imports"
            )


@functools.cache
def _modules(requirement: str) -> frozenset[str]:
    """Return the top-level modules of a required distribution; none if the harness requires it, too."""
    name = canonicalize_name(Requirement(requirement).name)
    modules = {name.replace("-", "_")}
    with contextlib.suppress(metadata.PackageNotFoundError):
        own = map(Requirement, metadata.requires(OURS) or ())
        if any(canonicalize_name(each.name) == name and "extra" not in str(each.marker) for each in own):
            return frozenset()
        distribution = metadata.distribution(name)
        if listed := distribution.read_text("top_level.txt"):
            modules.update(listed.split())
        else:  # reading the list of a framework's files takes a tenth of a second
            files = (file for file in distribution.files or () if file.suffix == ".py")
            modules.update(Path(file.parts[0]).stem for file in files)
    return frozenset(modules)
