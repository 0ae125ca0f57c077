"""``harness data``: list, fetch, import and verify data sets."""

from pathlib import Path

import click

from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.core.plugins import registry
from harness.core.runs.request import ask_source, loaded, summary_of
from harness.core.shell import completion, options
from harness.core.shell.paths import InputFile
from harness.core.shell.printing import echo
from harness.errors import DataError, PluginError, UsageError
from harness.spec.data import Dataset, DataSource

READY = "ready"
#: The most bytes of an archive that is imported.
_MOST_BYTES = 2**40


def dataset_state(name: str) -> str:
    """Return ``ready``, the command that makes the data set ready, or the reason why its source is broken."""

    def state(source: DataSource) -> str:
        if source.is_ready():
            return READY
        ways = ways_to_get(source)
        missing = "not downloaded" if source.downloads else "not available"
        return f"{missing} (run: {ways[0]})" if ways else missing

    try:
        return ask_source(name, state)
    except (PluginError, DataError) as error:
        return f"broken: {error}"


def ways_to_get(source: DataSource) -> list[str]:
    """Return the commands that make the data set ready."""
    ways = []
    if source.downloads:
        ways.append(f"harness data fetch {source.name}")
    if source.importable:
        ways.append(f"harness data import {source.name} PATH")
    return ways


_FINGERPRINT_DIGITS = 12


@click.group("data")
def command() -> None:
    """List, fetch, import and verify data sets."""


@command.command("list")
@options.plugin
def list_datasets() -> None:
    """List every data set with its state and the command that provides it.

    Arrays are read by `harness data verify` only. Without a network, use `harness data import`.
    """
    rows = [_row(name) for name in registry.names("dataset")]
    headers = ["data set", "state", "train + test samples", "sha256", "origin"]
    echo(fitted_table(rows, terminal_width(), headers))


@command.command()
@click.argument("name", shell_complete=completion.DATASETS)
@options.plugin
def fetch(name: str) -> None:
    """Download the data set NAME into the user's cache."""
    from harness.core.shell.progress import shown_progress  # slow to import

    with shown_progress() as progress:
        ask_source(name, lambda source: source.fetch(progress))
    _describe(loaded(name))


@command.command("import")
@click.argument("name", shell_complete=completion.DATASETS)
@click.argument("path", type=InputFile(_MOST_BYTES, or_folder=True))
@options.plugin
def import_dataset(name: str, path: Path) -> None:
    """Import the data set NAME from the archive or folder at PATH."""
    from harness.core.shell.progress import shown_progress

    source = registry.dataset(name)
    if not source.importable:
        ways = ways_to_get(source)
        remedy = f"run: {ways[0]}" if ways else "it is always available"
        raise UsageError(f"data set {name} cannot be imported from files; {remedy}.")
    try:
        with shown_progress() as progress:
            dataset = ask_source(name, lambda source: source.import_from(path, progress))
    except DataError as error:
        # The path is the user's input.
        raise UsageError(str(error)) from error
    _describe(dataset)


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completion.DATASETS)
@options.plugin
def verify(names: tuple[str, ...]) -> None:
    """Read data sets completely and verify their fingerprints. Default: all that are ready.

    Exit code: 0, or 1 if a data set is missing or damaged.
    """
    problems = []
    for name in names or registry.names("dataset"):
        try:
            if not names and not ask_source(name, lambda source: source.is_ready()):
                echo(f"{name}: {dataset_state(name)}")
                continue
            summary_of(name)
            dataset = loaded(name)
        except (DataError, PluginError) as error:
            problems.append(str(error))
        else:
            echo(f"{name}: ok, sha256 {dataset.fingerprint}")
    if problems:
        raise DataError("\n".join(problems))


def _row(name: str) -> tuple[str, ...]:
    state = dataset_state(name)
    if state != READY:
        return name, state, "", "", ""
    try:
        summary = summary_of(name)
    except DataError:
        return name, f"damaged (run: harness data verify {name})", "", "", ""
    if summary is None:
        return name, state, "", "", ""
    counts = f"{summary.samples['train']:,} + {summary.samples['test']:,}"
    return name, state, counts, (summary.fingerprint or "–")[:_FINGERPRINT_DIGITS], summary.origin


def _describe(dataset: Dataset) -> None:
    counts = f"{len(dataset.train):,} training samples, {len(dataset.test):,} test samples"
    echo(f"{dataset.name}: {counts}, {len(dataset.classes)} classes")
    echo(f"origin: {dataset.origin}")
    echo(f"sha256: {dataset.fingerprint}")
