"""``harness compare``: speed, quality and overfitting of configurations, from the records of runs."""

import shlex
from pathlib import Path

import click

from harness.core.documents.find import Result
from harness.core.machine.files import is_folder
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS
from harness.core.shell import options
from harness.core.shell.features import records
from harness.core.shell.options import report_unreadable, selection_options
from harness.core.shell.parameters import Number
from harness.core.shell.printing import echo
from harness.errors import UsageError
from harness.timing.duel.record import DUELS


@click.command()
@selection_options
@click.option(
    "--peak-gflops",
    type=Number(min=0, min_open=True),
    metavar="GFLOPS",
    help="Peak of the device in GFLOP/s; prints the share of it that each configuration reaches.",
)
@click.option(
    "--privacy", is_flag=True, help="Also print whether losses betray which samples were trained on."
)
@options.presentation_options
@options.verbose("Also print throughput, memory, the phases of a run and the criteria of overfitting.")
@options.plugin_of_records
@click.pass_context
def command(
    ctx: click.Context,
    /,
    selection: tuple[str, ...],
    results: Path,
    by: str | None,
    margin: float | None,
    target: float | None,
    peak_gflops: float | None,
    privacy: bool,
    columns: list[str],
    labels: dict[str, str],
    quality_only: bool,
    hide_busy: bool,
    verbose: bool,
) -> None:
    """Compare the configurations whose runs are comparable; print duels, gates and studies that are named.

    For each task: which configuration is fastest, whether quality is equal, where overfitting begins, and
    which runs were not compared and why. Runs are comparable if only the configuration differs: same
    task, data, epochs, precision, threads, device and machine. With --by, only the value of that option or
    field differs: `harness compare task=mlp --by optimizer`.

    A duel, a gate or a study that is named is printed as by `harness show`. SELECTION is files, folders,
    ids, last, or filters such as task=cnn backend=torch,keras since=2d. Filters are task, dataset, seed,
    status, host, since and every name that --by takes: backend, mode, version, device, precision, threads,
    batch_size, epochs, max_steps, and options of the task such as optimizer=adam. Default: all records.

    Of two runs of one training, such as a colleague's and yours, it says in one line whether they are equal.

    Exit code: 0; 1 if a file could not be read and was skipped; 2 if nothing is selected.
    """
    from harness.core.documents.document import Medium
    from harness.core.documents.render.terminal import terminal_text
    from harness.core.documents.views import View
    from harness.core.runs.selection import no_garbage_collection
    from harness.learning.privacy.page import privacy_document
    from harness.learning.runs.findings import read_findings  # NumPy is behind it
    from harness.learning.runs.page import findings_document

    others, remaining = records().separated(RUNS, selection, results)
    _print_named(others)
    if others and not remaining:
        return
    if sentence := _repetition_sentence(remaining, results):
        echo(f"{sentence}\n")
    peak_flops = None if peak_gflops is None else peak_gflops * 1e9
    view = View(tuple(columns), hide_busy)
    detailed = verbose or target is not None or bool(columns)
    with no_garbage_collection():
        findings = read_findings(
            remaining, results, margin, target, by, labels=labels, quality_only=quality_only
        )
        medium: Medium = "verbose" if detailed else "terminal"
        document = view.document(findings_document(findings, peak_flops), medium)
        echo(terminal_text(document, verbose=detailed))
        if privacy:
            echo(f"\n{terminal_text(privacy_document(findings))}")
        unreadable = findings.unreadable
        del findings
    ctx.exit(report_unreadable(unreadable))


def _repetition_sentence(names: list[str], results: Path) -> str:
    """State whether two runs that are named are equal, if both are the same training; otherwise nothing."""
    from harness.core.runs.jobs import outcome_of

    two = 2
    if len(names) != two or any("=" in name or name == "last" or is_folder(name) for name in names):
        return ""
    try:
        found = [records().find(results, name) for name in names]
        one, other = (RUNS.read(path) for _, path in found)
    except UsageError:  # the comparison names it
        return ""
    if _training(one) != _training(other) or {one.status, other.status} != {"ok"}:
        return ""
    both = f"Both are runs of {one.task.name} by {one.configuration.label} with seed {one.seed}"
    if outcome_of(one) == outcome_of(other):
        return f"{both}. Their losses and scores are equal bit for bit."
    command = f"harness reproduce {shlex.quote(str(found[0].path))}"
    return f"{both}. Their losses or scores differ. To see whether rounding explains it: {command}"


def _training(record: Record) -> tuple[object, ...]:
    """Return what two runs share that should compute the same."""
    asked, data = record.configuration, record.dataset.fingerprint
    work = (record.task.sha256, data, record.seed, record.max_steps, record.evaluation)
    return (*work, asked.backend, asked.mode, asked.precision)


def _print_named(results: list[Result]) -> None:
    """Print each result like `harness show`, then the ratios of duels made on several machines."""
    from harness.core.documents.document import Document
    from harness.core.documents.render.terminal import terminal_text
    from harness.learning.runs.across_machines import duels_across_machines
    from harness.learning.runs.tables import machines_table

    duels = []
    for kind, path in results:
        record = kind.read(path)
        echo(f"{path}\n\n{kind.text_of(record, path)}\n")
        if kind is DUELS:
            duels.append(record)
    for across in duels_across_machines(duels):
        echo(terminal_text(Document("", across.title, [machines_table(across)])))
