"""``harness compare``: speed, quality and overfitting of configurations, from the records of runs."""

from pathlib import Path

import click

from harness.core.runs.store import RUNS
from harness.core.shell import options
from harness.core.shell.features import records
from harness.core.shell.options import report_unreadable, selection_options
from harness.core.shell.printing import echo


@click.command()
@selection_options
@click.option(
    "--privacy", is_flag=True, help="Also print whether losses betray which samples were trained on."
)
@options.verbose("Also print throughput, memory, the phases of a run and the criteria of overfitting.")
@options.plugin
@click.pass_context
def command(
    ctx: click.Context,
    /,
    selection: tuple[str, ...],
    results: Path,
    by: str | None,
    margin: float | None,
    target: float | None,
    labels: dict[str, str],
    privacy: bool,
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

    Exit code: 0; 1 if a file could not be read and was skipped; 2 if nothing is selected.
    """
    from harness.core.documents.render.terminal import terminal_text
    from harness.core.runs.selection import no_garbage_collection
    from harness.learning.privacy.page import privacy_document
    from harness.learning.runs.findings import read_findings  # NumPy is behind it
    from harness.learning.runs.page import findings_document

    others, remaining = records().separated(RUNS, selection, results)
    for kind, path in others:
        echo(f"{path}\n\n{kind.text_of(kind.read(path), path)}\n")
    if others and not remaining:
        return
    detailed = verbose or target is not None
    with no_garbage_collection():
        findings = read_findings(remaining, results, margin, target, by, labels=labels)
        echo(terminal_text(findings_document(findings), verbose=detailed))
        if privacy:
            echo(f"\n{terminal_text(privacy_document(findings))}")
        unreadable = findings.unreadable
        del findings
    ctx.exit(report_unreadable(unreadable))
