"""A third-party plugin is first imported in a separate process, in case its import hangs or exits.

An exception is left to the real import, which reports it better.
"""

import functools
import json
import secrets
import subprocess
import sys
from importlib import metadata

from harness.errors import PluginError
from harness.machine import process_groups

#: An import that takes longer is taken to hang. That of a large framework takes about 10 s from a cold disk.
LIMIT_SECONDS = 60.0
_LAST_LINES = 2

_TRIAL = """
import importlib, importlib.util, json, os, sys
kind, source, mark, sys.path[:] = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
try:
    if kind == "file":
        spec = importlib.util.spec_from_file_location("plugin_on_trial", source)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        importlib.import_module(source)
except BaseException:
    pass
print(mark, flush=True)
os._exit(0)
"""


def try_point(point: metadata.EntryPoint, where: str) -> None:
    """Import the module of an entry point in a separate process. Raises as :func:`try_file`."""
    _tried("module", point.module, where)


def try_file(path: str, where: str) -> None:
    """Import a file in a separate process.

    Raises:
        PluginError: the import hung or ended the process; ``where`` names the plugin.
    """
    _tried("file", path, where)


@functools.cache
def _tried(kind: str, source: str, where: str) -> None:
    mark = secrets.token_hex(8)
    command = [sys.executable, "-c", _TRIAL, kind, source, mark, json.dumps(sys.path)]
    try:
        done = process_groups.run(command, LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PluginError(f"{where} could not be loaded: its import hung for {LIMIT_SECONDS:g} s") from error
    if mark not in done.stdout:
        last = "; ".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise PluginError(
            f"{where} could not be loaded: its import ended the process with {how}"
            + (f" ({last})" if last else "")
        )
