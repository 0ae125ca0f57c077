"""``harness data``: what data sets there are, bringing them here, and checking them."""

from pathlib import Path

import click

from harness.cli import options
from harness.cli.data_progress import shown_progress
from harness.errors import DataError, PluginError, UsageError
from harness.plugins import registry
from harness.runs.data_choice import ask_source, loaded, summary_of
from harness.spec.data import Dataset, DataSource

_FINGERPRINT_DIGITS = 12


@click.group("data")
def command() -> None:
    """List, fetch, import and verify data sets."""


@command.command("list")
def list_datasets() -> None:
    """Show every data set: whether it is here, and if not, how to get it.

    Reads no arrays: `harness data verify` does, and prints every fingerprint.
    """
    from harness.report.fitting import fitted_table
    from harness.report.terminal import terminal_width

    rows = [_row(name) for name in registry.names("dataset")]
    click.echo(
        fitted_table(rows, terminal_width(), ["name", "state", "train + test", "fingerprint", "origin"])
    )


@command.command()
@click.argument("name")
@options.plugin
def fetch(name: str) -> None:
    """Download the data set NAME into the user's cache."""
    with shown_progress() as progress:
        ask_source(name, lambda source: source.fetch(progress))
    _describe(loaded(name))


@command.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(exists=True, readable=True, path_type=Path))
@options.plugin
def import_dataset(name: str, path: Path) -> None:
    """Take the data set NAME from the files at PATH: an archive or a folder."""
    source = registry.dataset(name)
    if not source.importable:
        raise UsageError(f"{name} is not imported from files: {_how_to_get(source)}.")
    try:
        with shown_progress() as progress:
            dataset = ask_source(name, lambda source: source.import_from(path, progress))
    except DataError as error:
        # The path is what the user gave, so what is wrong with it is bad input.
        raise UsageError(str(error)) from error
    _describe(dataset)


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@options.plugin
def verify(names: tuple[str, ...]) -> None:
    """Read every byte of the named data sets, or of all that are here, and compare the fingerprints."""
    wrong = []
    for name in names or registry.names("dataset"):
        try:
            if not names and not ask_source(name, lambda source: source.is_ready()):
                click.echo(f"{name}: not here")
                continue
            summary_of(name)
            dataset = loaded(name)
        except (DataError, PluginError) as error:
            wrong.append(str(error))
        else:
            click.echo(f"{name}: ok, sha256 {dataset.fingerprint}")
    if wrong:
        raise DataError("\n".join(wrong))


def _row(name: str) -> tuple[str, ...]:
    try:
        here, ways = ask_source(name, lambda source: (source.is_ready(), _how_to_get(source)))
    except (PluginError, DataError) as error:
        return name, f"broken: {error}", "", "", ""
    if not here:
        return name, f"not here. {ways}", "", "", ""
    try:
        summary = summary_of(name)
    except DataError:
        return name, f"damaged, see: harness data verify {name}", "", "", ""
    if summary is None:
        return name, "here", "", "", ""
    counts = f"{summary.samples['train']:,} + {summary.samples['test']:,}"
    return name, "here", counts, (summary.fingerprint or "–")[:_FINGERPRINT_DIGITS], summary.origin


def _how_to_get(source: DataSource) -> str:
    ways = []
    if source.is_ready():
        ways.append("it is always here")
    elif source.downloads:
        ways.append(f"harness data fetch {source.name}")
    if source.importable:
        ways.append(f"harness data import {source.name} PATH")
    return " or ".join(ways)


def _describe(dataset: Dataset) -> None:
    click.echo(f"{dataset.name}: {_counts(dataset)} samples, {len(dataset.classes)} classes")
    click.echo(f"origin: {dataset.origin}")
    click.echo(f"sha256: {dataset.fingerprint}")


def _counts(dataset: Dataset) -> str:
    return f"{len(dataset.train):,} + {len(dataset.test):,}"
