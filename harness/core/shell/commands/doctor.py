"""``harness doctor``: the machine, the installed frameworks, and all that is missing or disturbs timing."""

import os
from typing import NamedTuple

import click

from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.core.machine import diagnosis
from harness.core.machine.description import Machine, default_threads, describe_machine, missing_facilities
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.installation import installation
from harness.core.shell import options
from harness.core.shell.features import asked
from harness.core.shell.printing import echo, print_error_line
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError, RequestFailed, WorkerTimeout

_IMPORT_LIMIT_SECONDS = 120.0
_NO_ANSWER = "no answer"


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
    problems = diagnosis.findings()
    frameworks = [_examine(name, threads) for name in registry.names("backend")]
    rows = [(framework.name, framework.state, framework.detail) for framework in frameworks]
    echo(fitted_table(rows, width, ("backend", "state", "versions or remedy")) + "\n")
    if missing := missing_facilities():
        echo("Not available on this machine")
        echo(fitted_table(missing, width, ("missing", "needed for", "reason or remedy")) + "\n")
    problems += [problem for framework in frameworks for problem in framework.problems]
    problems += asked("diagnoses", lambda diagnose: diagnose())
    echo(_problems_text(problems))
    ctx.exit(1 if any(framework.state in {"broken", _NO_ANSWER} for framework in frameworks) else 0)


class _Framework(NamedTuple):
    """A backend whose framework was imported in a process of its own."""

    name: str
    state: str
    detail: str
    problems: list[str]


def _examine(name: str, threads: int) -> _Framework:
    state, detail = installation(name)
    if state != "installed":
        return _Framework(name, state, detail, [])
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
        return _Framework(name, _NO_ANSWER, detail, [])
    except HarnessError as error:
        return _Framework(name, "broken", str(error), [f"{name} does not work: {error}"])
    versions = ", ".join(f"{key} {value}" for key, value in described.environment.items())
    debug = described.environment.get("debug_build") == "true"
    problems = [f"{name} is a debug build"] if debug else []
    return _Framework(name, "works", f"{versions} (import: {described.import_seconds:.1f} s)", problems)


def _machine_table(machine: Machine, threads: int, width: int) -> str:
    cores = (
        f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed to this process"
    )
    memory = f"{machine.memory_bytes / 2**30:.1f} GiB, {diagnosis.free_memory_bytes() / 2**30:.1f} GiB free"
    rows = [
        ("host", machine.host_text),
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
