"""``harness compare``: what the records say of one side against another, and of overfitting."""

from pathlib import Path

import click

from harness.analysis.findings import read_findings
from harness.cli.options import check_finite
from harness.cli.selection_options import selection_options, tell_unreadable
from harness.report.terminal import terminal_width
from harness.report.text import findings_text


@click.command(short_help="Compare sides: quality, time, overfitting.")
@selection_options
@click.option(
    "--peak-gflops",
    type=click.FloatRange(min=0, min_open=True),
    callback=check_finite,
    help="The device's peak in GFLOP/s, to tell the share of it that is used.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    selection: tuple[str, ...],
    results: Path,
    margin: float | None,
    target: float | None,
    peak_gflops: float | None,
) -> None:
    """Compare what may be compared among the records, and say what may not and why.

    SELECTION is files, folders, ids, or filters: task=cnn backend=torch,keras dataset=digits
    since=2d (also device, precision, threads, seed, status). Default: all records.

    Exit code: 0, or 1 where a file could not be read and was skipped, 2 where nothing is selected.
    """
    findings = read_findings(selection, results, margin, target)
    click.echo(findings_text(findings, terminal_width(), peak_gflops and peak_gflops * 1e9))
    ctx.exit(tell_unreadable(findings.unreadable))
