"""``harness history``: changes of speed and memory over the gates of a branch."""

from contextlib import nullcontext
from pathlib import Path

import click
from click.core import ParameterSource

from harness.core.documents.files import write_bytes
from harness.core.shell import options
from harness.core.shell.ending import write_document, writing
from harness.core.shell.features import records
from harness.core.shell.options import report_unreadable
from harness.core.shell.paths import InputFile
from harness.core.shell.printing import echo, echo_json
from harness.errors import UsageError
from harness.timing.gate.keep import RecordBranch
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.record import GATES

_ENDINGS = (".html", ".md", ".json")


@click.command()
@click.argument("files", nargs=-1, type=InputFile(or_folder=True))
@options.results
@click.option(
    "--kept",
    metavar="BRANCH",
    help="Read the gates that harness gate --keep BRANCH has kept, here and on the remote.",
)
@click.option("--benchmark", metavar="NAME", help="Only this benchmark.")
@click.option("--metric", type=click.Choice(list(metrics())), help="Only this metric.")
@click.option(
    "--same-base",
    is_flag=True,
    help="Gates that record no commits, such as those made with --base-python, have the same base. "
    "Default: they are left out.",
)
@options.targets("Also write the result to FILE; repeatable: .html (with charts), .md or .json.")
@options.form
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    results: Path,
    kept: str | None,
    benchmark: str | None,
    metric: MetricName | None,
    same_base: bool,
    targets: tuple[Path, ...],
    form: str,
) -> None:
    """Find changes of speed and memory over the gates of a branch.

    The gates of a benchmark and metric form a series. Changes of its level are found among gates with one
    base commit, including those that are too small to fail a gate. Where the base or the work changes, the
    series goes on, and the change is marked; levels are connected if the new base was measured before.
    Compare with one base, such as the last release (`harness gate --base v1.0`), to find small changes.

    FILES are records of gates or folders of them. Default: results/gates. --kept BRANCH: the branch to which
    harness gate --keep has added them.

    Exit code: 0, 1 if a file was skipped because it could not be read, 2 if there is no usable gate.
    """
    for target in targets:
        if target.suffix not in _ENDINGS:
            raise UsageError(f"--to {target}: the ending must be one of {', '.join(_ENDINGS)}")
    if kept is not None and (files or ctx.get_parameter_source("results") is ParameterSource.COMMANDLINE):
        raise UsageError("--kept takes the place of FILES and --results; give one of them")
    with RecordBranch(Path.cwd(), kept, "--kept").results() if kept else nullcontext(results) as folder:
        gates, unreadable = records().read_all(GATES, _paths(files) if files else GATES.paths(folder))
    code = report_unreadable(unreadable)
    if not gates:
        raise UsageError(f"no gates on branch {kept}" if kept else _no_gates(files, results))
    from harness.core.documents.render.terminal import terminal_text
    from harness.timing.history.findings import find_history  # imports pandas
    from harness.timing.history.page import history_document, history_json

    findings = find_history(gates, benchmark, metric, same_base=same_base)
    if form == "json":
        echo_json(history_json(findings))
    else:
        echo(terminal_text(history_document(findings)))
    for target in targets:
        if target.suffix == ".json":
            with writing(target):
                write_bytes(target, history_json(findings))
        else:
            write_document(history_document(findings), target)
    ctx.exit(code)


def _paths(files: tuple[Path, ...]) -> list[Path]:
    """Return the files; for a folder, its records, or those of the results in it."""
    paths: list[Path] = []
    for path in files:
        if path.is_dir():
            paths += GATES.paths(path) or sorted(path.glob("*.json"))
        else:
            paths.append(path)
    return paths


def _no_gates(files: tuple[Path, ...], results: Path) -> str:
    if files:
        return f"no gate in {', '.join(map(str, files))}; harness gate writes them to results/{GATES.folder}"
    return f"no gates in {results / GATES.folder}; make one with: harness gate --base main"
