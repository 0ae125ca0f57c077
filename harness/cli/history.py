"""``harness history``: where the benchmarks of a branch became slower or hungrier, over its stored gates."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from harness.cli.selection_options import tell_unreadable
from harness.errors import HarnessError, UsageError, unknown_name
from harness.gate.files import GATES, gate_paths, read_gates
from harness.gate.record import GateRecord, Metric
from harness.gate.vanished import gaps
from harness.machine.files import replace_file

if TYPE_CHECKING:
    from harness.gate.history import Rule
    from harness.report.history_words import ToldHistory

_RULES: dict[str, "Rule"] = {"parent": "chained", "fixed": "fixed"}
_FORMS = (".html", ".md", ".json")


@click.command(short_help="Find slips in speed and memory over the stored gates of a branch.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the records, where no FILES are named.",
)
@click.option("--benchmark", metavar="NAME", help="This benchmark alone.")
@click.option("--metric", type=click.Choice(list(get_args(Metric))), help="This metric alone.")
@click.option(
    "--against",
    type=click.Choice(list(_RULES)),
    help="What each gate was held against, where its record does not tell commits: the commit before, or "
    "one and the same.",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write history.html (with charts), .md or .json.",
)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Output.")  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    results: Path,
    benchmark: str | None,
    metric: Metric | None,
    against: str | None,
    target: Path | None,
    form: str,
) -> None:
    """Say for each benchmark whether its level changed over the gates, where, and by how much in all.

    FILES are gates, or folders of them; by default those in results/gates. Slips that each pass their
    gate are seen here. Gates of one fixed base (`harness gate --base v1.0`) show smaller ones than gates
    that are each held against the commit before.

    Exit code: 0, or 1 where a file could not be read and was skipped, 2 where there is no gate.
    """
    if target is not None and target.suffix not in _FORMS:
        raise UsageError(f"--to {target}: the ending says what to write: {', '.join(_FORMS)}")
    gates, unreadable = read_gates(_paths(files) if files else gate_paths(results))
    code = tell_unreadable(unreadable)
    if not gates:
        raise UsageError(_nothing(files, results))
    told = _told(gates, benchmark, metric, against)
    from harness.report.history import history_json, history_text  # NumPy stands behind it

    if form == "json":
        sys.stdout.buffer.write(history_json(told))
    else:
        click.echo(history_text(told))
    if target is not None:
        _write(told, target)
    ctx.exit(code)


def _paths(files: tuple[Path, ...]) -> list[Path]:
    """Files as they are; of a folder its gates, or those of the results in it."""
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            found += gate_paths(path) or sorted(path.glob("*.json"))
        else:
            found.append(path)
    return found


def _nothing(files: tuple[Path, ...], results: Path) -> str:
    """That there is no gate, and what there is in its place."""
    if files:
        return f"no gate in {', '.join(map(str, files))}; harness gate writes them to results/{GATES}"
    others = {
        path.name: count
        for path in (sorted(results.iterdir()) if results.is_dir() else [])
        if path.is_dir() and (count := len(list(path.glob("*.json"))))
    }
    there = ", ".join(f"{count} in {name}" for name, count in others.items())
    there = f"; there are other records: {there}" if there else ""
    return f"no gates in {results / GATES}; make one with: harness gate --base main{there}"


def _told(
    gates: list[GateRecord], benchmark: str | None, metric: Metric | None, against: str | None
) -> "ToldHistory":
    from harness.gate.history import read_history
    from harness.report.history_words import ToldHistory

    known = {one.name for gate in gates for one in gate.benchmarks}
    if benchmark is not None and benchmark not in known:
        raise unknown_name("benchmark", benchmark, known)
    try:
        history = read_history(
            [_selected(gate, benchmark, metric) for gate in gates], _RULES.get(against or "")
        )
    except ImportError as error:
        raise UsageError(f'this needs {error.name}: pip install "dl-harness[history]"') from error
    if not history.series:
        reasons = "; ".join(history.left_out) or "nothing was measured in them"
        raise UsageError(f"none of the {len(gates)} gates can be used: {reasons}")
    used = {point.gate for one in history.series for point in one.points}
    ordered = sorted((gate for gate in gates if gate.id in used), key=lambda gate: gate.started_at)
    missed = [
        gap
        for gap in gaps(gates)
        if benchmark in (None, gap.benchmark) and (metric is None or gap.metric in (None, metric))
    ]
    return ToldHistory(history, missed, ordered)


def _selected(gate: GateRecord, benchmark: str | None, metric: Metric | None) -> GateRecord:
    """The gate with what was asked for alone."""
    chosen = [
        msgspec.structs.replace(
            one, metrics=[found for found in one.metrics if metric in (None, found.metric)]
        )
        for one in gate.benchmarks
        if benchmark in (None, one.name)
    ]
    return msgspec.structs.replace(gate, benchmarks=chosen)


def _write(told: "ToldHistory", path: Path) -> None:
    """Write a history in the form that the path's ending says, whole or not at all."""
    try:
        if path.suffix == ".html":
            from harness.report.history_page import history_page

            content = history_page(told).encode()
        else:
            from harness.report.history import history_json, history_markdown

            content = history_json(told) if path.suffix == ".json" else history_markdown(told).encode()
        replace_file(path, content)
    except ImportError as error:
        raise UsageError(
            f'--to {path.name} needs what the extra "report" brings ({error.name or error}): '
            'pip install "dl-harness[report]"'
        ) from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be written: {error.strerror or error}") from error
