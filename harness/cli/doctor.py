"""``harness doctor``: the machine, the frameworks as they really import, and what will spoil timings."""

import os

import click

from harness.cli import options
from harness.cli.signals import interrupt_on_termination
from harness.errors import HarnessError
from harness.machine import diagnosis
from harness.machine.description import default_threads, describe_machine
from harness.machine.worker_variables import worker_variables
from harness.plugins import registry
from harness.plugins.installation import installation
from harness.report.fitting import fitted_table
from harness.report.terminal import terminal_width
from harness.worker.conversation import Conversation
from harness.worker.errors import RequestFailed
from harness.worker.session import Session

_IMPORT_LIMIT_SECONDS = 120.0


def _framework(name: str, threads: int) -> tuple[str, str, list[str]]:
    """State and description of a backend, its framework imported in a worker; and what is wrong with it."""
    state, detail = installation(name)
    if state != "installed":
        return state, detail, []
    settings = worker_variables(threads, "auto", os.environ)
    try:
        with Session(settings, _IMPORT_LIMIT_SECONDS) as session:
            try:
                described = Conversation(session, name, threads).describe()
            except RequestFailed:
                raise
            except HarnessError as error:
                raise HarnessError(session.with_last_lines(error)) from error
    except HarnessError as error:
        return "broken", str(error), [f"{name} does not work here: {error}"]
    facts = [f"{key} {value}" for key, value in described.environment.items()]
    problems = [f"{name} is a debug build"] if described.environment.get("debug_build") == "true" else []
    return "works", f"{', '.join(facts)} (imported in {described.import_seconds:.1f} s)", problems


@click.command(short_help="Describe this machine and what will spoil timings on it.")
@click.option(
    "--noise",
    is_flag=True,
    help="Instead: measure what two identical processes differ by on this CPU, and what slowdown shows.",
)
@click.option("--backend", metavar="NAME[:MODE]", help="With --noise: what to measure with. Default: torch.")
@options.task(default="cnn")
@click.option(
    "--pairs",
    type=click.IntRange(min=2, max=100),
    default=5,
    show_default=True,
    help="With --noise: pairs of processes in each environment.",
)
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, noise: bool, backend: str | None, task: str, pairs: int) -> None:
    """Describe this machine and its frameworks, and name what will spoil timings here.

    Every installed framework is imported in a process of its own. Exit code 1 when one does not work.
    """
    if noise:
        from harness.cli.noise import print_noise

        interrupt_on_termination()
        print_noise(backend, task, pairs)
        return
    machine = describe_machine()
    threads = default_threads()
    problems = diagnosis.findings()
    rows = [
        ("CPU", machine.cpu),
        (
            "cores",
            (
                f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
                f"{machine.allowed_cpus} allowed"
            ),
        ),
        ("threads of a worker", str(threads)),
        (
            "memory",
            f"{machine.memory_bytes / 2**30:.1f} GiB, {diagnosis.free_memory_bytes() / 2**30:.1f} free",
        ),
        ("system", f"{machine.os}, {machine.libc}"),
        ("Python", machine.python),
        ("harness", machine.harness),
    ]
    click.echo(fitted_table(rows, terminal_width(), tablefmt="plain") + "\n")
    broken = False
    frameworks = []
    for name in registry.names("backend"):
        state, detail, faults = _framework(name, threads)
        broken = broken or state == "broken"
        frameworks.append((name, state, detail))
        problems += faults
    click.echo(fitted_table(frameworks, terminal_width(), ("backend", "state", "")))
    click.echo()
    if problems:
        click.echo("What will spoil timings or runs here:")
        for problem in problems:
            click.echo(f"  - {problem}")
    else:
        click.echo("Nothing found that would spoil timings.")
    ctx.exit(1 if broken else 0)
