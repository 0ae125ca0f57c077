"""``harness doctor``: the machine, the frameworks as they import, what is missing, what disturbs timing."""

import os
from typing import NamedTuple

import click

from harness.cli import options
from harness.cli.messages import print_error_line
from harness.cli.printing import echo
from harness.cli.signals import interrupt_on_termination
from harness.errors import HarnessError
from harness.machine import diagnosis
from harness.machine.description import Machine, default_threads, describe_machine, missing_facilities
from harness.machine.worker_variables import worker_variables
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.report.fitting import fitted_table
from harness.report.terminal import terminal_width
from harness.worker.errors import RequestFailed, WorkerTimeout
from harness.worker.session import Conversation, Session

_IMPORT_LIMIT_SECONDS = 120.0
_NO_ANSWER = "no answer"


@click.command()
@click.option(
    "--noise",
    is_flag=True,
    help="Instead, measure how much two identical processes differ here, and which slowdown a duel can "
    "detect. The options below apply to this measurement.",
)
@click.option(
    "--backend",
    metavar="NAME[:MODE]",
    help="Backend. Default: the first that is installed of torch, keras and jax.",
)
@options.task(default="cnn")
@click.option(
    "--pairs",
    type=options.WholeNumber(min=2, max=100),
    default=5,
    show_default=True,
    metavar="N",
    help="Pairs of processes in each environment.",
)
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, noise: bool, backend: str | None, task: str, pairs: int) -> None:
    """Describe this machine, import every installed framework, and list what is missing or disturbs timing.

    Exit code: 0, or 1 if an installed framework does not work or did not answer.
    """
    if noise:
        from harness.cli.noise import print_noise

        interrupt_on_termination()
        print_noise(backend, task, pairs)
        return
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
