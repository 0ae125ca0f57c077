"""``harness doctor``: the machine, the installed frameworks, and all that is missing or disturbs timing."""

import os
import shutil
import sys
from typing import NamedTuple

import click
import psutil

from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.core.machine.description import Machine, default_threads, describe_machine, nvidia_gpus
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.installation import installation
from harness.core.shell import options
from harness.core.shell.printing import echo, print_error_line
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError, RequestFailed, WorkerTimeout

_IMPORT_LIMIT_SECONDS = 120.0
_NO_ANSWER = "no answer"
#: A CPU that is busier than this while this process waits runs other programs.
_BUSY_PERCENT = 10.0
_OBSERVE_SECONDS = 1.0
#: Enough for a worker with a framework, a float copy of CIFAR-10 and memory to train.
_NEEDED_MEMORY_BYTES = 3 * 2**30


@click.command()
@options.plugin
@click.pass_context
def command(ctx: click.Context) -> None:
    """Describe this machine, import every installed framework, and list what is missing or disturbs timing.

    Exit code: 0, or 1 if an installed framework does not work or did not answer.
    """
    threads = default_threads()
    width = terminal_width()
    echo(_machine_table(describe_machine(), threads, width) + "\n")
    problems = _disturbances()
    frameworks = [_examine(name, threads) for name in registry.names("backend")]
    rows = [(framework.name, framework.state, framework.detail) for framework in frameworks]
    echo(fitted_table(rows, width, ("backend", "state", "versions or remedy")) + "\n")
    if missing := _missing():
        echo("Not available on this machine")
        echo(fitted_table(missing, width, ("missing", "needed for", "reason or remedy")) + "\n")
    echo(_problems_text(problems))
    ctx.exit(1 if any(framework.state in {"broken", _NO_ANSWER} for framework in frameworks) else 0)


def _disturbances() -> list[str]:
    """Return a line for each condition of this machine that disturbs runs. Observes the CPUs for a second."""
    used = psutil.cpu_percent(_OBSERVE_SECONDS, percpu=True)
    busy = [f"CPU {cpu} {percent:.0f} %" for cpu, percent in enumerate(used) if percent > _BUSY_PERCENT]
    lines = []
    if busy:
        lines.append(f"busy while this command waits: {', '.join(busy)}; stop the programs that run there")
    free, needed = psutil.virtual_memory().available, _NEEDED_MEMORY_BYTES
    if free < needed:
        lines.append(f"{free / 2**30:.1f} GiB of memory are free; a worker can need {needed / 2**30:.0f} GiB")
    return lines


def _missing() -> list[tuple[str, str, str]]:
    """Return what this machine lacks, what it is for, and why it is missing."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    missing = []
    if not nvidia_gpus():
        missing.append(("NVIDIA GPU", "--device cuda", "none found"))
    if shutil.which(compiler) is None:
        reason = f"{compiler} is not installed; CXX names another"
        missing.append(("C++ compiler", "torch:compile on the CPU", reason))
    if shutil.which("git") is None:
        missing.append(("git", "harness gate --base", "not installed"))
    return missing


class _Framework(NamedTuple):
    """A backend whose framework was imported in a process of its own."""

    name: str
    state: str
    detail: str


def _examine(name: str, threads: int) -> _Framework:
    state, detail = installation(name)
    if state != "installed":
        return _Framework(name, state, detail)
    print_error_line(f"importing {name} …")
    try:
        with Session(worker_variables(threads, "auto", os.environ), _IMPORT_LIMIT_SECONDS) as session:
            try:
                described = Conversation(session, name, threads).describe()
            except (RequestFailed, WorkerTimeout):
                raise
            except HarnessError as error:
                raise HarnessError(session.with_last_lines(error)) from error
    except WorkerTimeout:
        detail = (
            f"no answer in {_IMPORT_LIMIT_SECONDS:.0f} s: the machine may be busy; run harness doctor again "
            "on an idle machine"
        )
        return _Framework(name, _NO_ANSWER, detail)
    except HarnessError as error:
        return _Framework(name, "broken", str(error))
    versions = ", ".join(f"{key} {value}" for key, value in described.environment.items())
    return _Framework(name, "works", f"{versions} (import: {described.import_seconds:.1f} s)")


def _machine_table(machine: Machine, threads: int, width: int) -> str:
    cores = (
        f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed to this process"
    )
    memory = (
        f"{machine.memory_bytes / 2**30:.1f} GiB, {psutil.virtual_memory().available / 2**30:.1f} GiB free"
    )
    rows = [
        ("host", machine.host or "unknown"),
        ("CPU", machine.cpu),
        ("cores", cores),
        ("threads of a worker", str(threads)),
        ("memory", memory),
        ("system", f"{machine.os}, {machine.libc}"),
        ("Python", machine.python),
        ("harness", machine.harness),
    ]
    return fitted_table(rows, width, tablefmt="plain")


def _problems_text(problems: list[str]) -> str:
    if not problems:
        return "Nothing was found that disturbs measurements."
    return "\n".join(["What disturbs measurements or runs", *(f"  - {problem}" for problem in problems)])
