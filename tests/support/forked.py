"""The command in a process forked from one that has its imports, which take longer than most commands.

It is a process like any other: its environment, folder, streams, signals and exit code are its own.
"""

import atexit
import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import harness.core.shell.main

#: What Python reads when it starts.
_OF_PYTHON = ("PYTHON", "LANG", "LC_")
_LIBRARIES = ("numpy", "pandas", "scipy.stats", "altair", "jinja2", "vl_convert", "rich.progress", "ruptures")
#: Folders whose modules a command may need.
_FOLDERS = ("core", "timing", "learning")
#: What imports Ray, pytest or a framework, or runs when it is imported.
_NOT_IMPORTED = ("__main__", "pytest_plugin", "program")


@functools.cache
def _server() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    root = Path(harness.__file__).parent
    modules = [
        ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for folder in _FOLDERS
        for file in sorted((root / folder).rglob("*.py"))
        if not {file.stem, *file.parts} & {*_NOT_IMPORTED, "skeletons"}
    ]
    context.set_forkserver_preload([*_LIBRARIES, *(name.removesuffix(".__init__") for name in modules)])
    return context


@functools.cache
def _own_path() -> list[str]:
    """Where an interpreter looks for modules after its folder and ``PYTHONPATH``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path[1:]))"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def can_fork(variables: dict[str, str]) -> bool:
    """Whether a process with these variables starts as one without them; macOS forks no loaded libraries."""
    return sys.platform == "linux" and not any(name.startswith(_OF_PYTHON) for name in variables)


def run(arguments: list[str], folder: Path, environment: dict[str, str], timeout: float):
    """The command's exit code and outputs, as :func:`subprocess.run` has them."""
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    path = [str(folder), *filter(None, given), *_own_path()]
    with tempfile.TemporaryDirectory() as name:
        streams = [f"{name}/stdout", f"{name}/stderr"]
        process = _server().Process(target=_command, args=(arguments, folder, environment, path, streams))
        # The file of pytest's own command is not to be imported.
        with mock.patch.object(sys.modules["__main__"], "__file__", None, create=True):
            process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        texts = [Path(stream).read_text() for stream in streams]
    return subprocess.CompletedProcess(["harness", *arguments], process.exitcode, *texts)


def _command(arguments, folder, environment, path, streams) -> None:
    """Be the process: take its environment and streams, and run the command."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    sys.argv = ["harness", *arguments]
    for descriptor, stream in enumerate(["/dev/null", *streams]):
        opened = os.open(stream, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    try:
        harness.core.shell.main.main()
    finally:
        atexit._run_exitfuncs()
