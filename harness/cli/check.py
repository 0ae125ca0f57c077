"""``harness check``: is the work the reference's, in float64, for every rule that a task may be given."""

import click
from tabulate import tabulate

from harness import plugins
from harness.certify import Side, check
from harness.cli.plugin_option import plugin_option
from harness.errors import HarnessError
from harness.installation import select_backend
from harness.machine import default_threads
from harness.parity import TOLERANCE, Finding


@click.command(short_help="Hold a backend against the committed reference, in float64.")
@click.argument("name", metavar="BACKEND[:MODE]")
@click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Task; repeatable. Default: all of them."
)
@click.option(
    "--all-modes", is_flag=True, help="Every mode of the backend, not the named or default one alone."
)
@click.option("--device", default="auto", show_default=True, help="As of `harness run`.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: the physical cores.")
@plugin_option
@click.pass_context
def command(
    ctx: click.Context, name: str, tasks: tuple[str, ...], all_modes: bool, device: str, threads: int | None
) -> None:
    """Build each task in float64 and hold what it does against the reference, to a relative 1e-9.

    Losses of each step, the gradients of the first, all weights after the last and the outputs in
    evaluation mode, for each optimizer and regulariser that the task may be given. Exit code 1 on a
    deviation.
    """
    backend, mode = select_backend(name)
    modes = backend.modes if all_modes else (mode,)
    failed = False
    for task_name in tasks or plugins.names("task"):
        definition = plugins.task(task_name)
        for chosen in modes:
            side = Side(backend.name, chosen, device, threads or default_threads())
            findings: list[Finding] = []
            try:
                check(side, definition, findings.append)
                problem = ""
            except HarnessError as error:
                problem = str(error)
            rows = [(found.case, f"{found.worst:.1e}", _verdict(found)) for found in findings]
            click.echo(f"{backend.name}:{chosen} on {task_name} (float64, tolerance {TOLERANCE:g})")
            click.echo(tabulate(rows, ("case", "worst relative deviation", ""), disable_numparse=True))
            for found in findings:
                if not found.passed:
                    click.echo(f"  {found.case}: {found.words}.")
            if problem:
                click.echo(f"  not checked to the end: {problem}")
            click.echo()
            failed = failed or bool(problem) or not all(found.passed for found in findings)
    click.echo("A deviation was found." if failed else "All agree with the reference.")
    ctx.exit(1 if failed else 0)


def _verdict(finding: Finding) -> str:
    return "✓" if finding.passed else "DEVIATES"
