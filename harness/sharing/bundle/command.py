"""``harness bundle``: records with all that they need in one file, for others; and such a file, unpacked."""

from dataclasses import dataclass
from pathlib import Path

import click

from harness.core.documents.document import Document, Items, Node, Table
from harness.core.documents.find import Result
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.files import is_folder
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.shell import options
from harness.core.shell.completion import RECORD
from harness.core.shell.ending import writing
from harness.core.shell.features import records
from harness.core.shell.paths import InputFile, OutputFile, UserPath
from harness.core.shell.printing import echo
from harness.errors import UsageError
from harness.sharing.bundle.making import Bundle, make, write_zip
from harness.sharing.bundle.offer import Offer
from harness.sharing.bundle.opening import opened

_SUFFIX = ".zip"


@dataclass(frozen=True, kw_only=True)
class Given:
    """The values of the parameters of ``harness bundle``."""

    names: tuple[str, ...]
    to: Path | None
    data: bool
    weights: bool
    dry_run: bool
    open: Path | None
    results: Path


@click.command()
@click.argument("names", metavar="[RECORD]...", nargs=-1, shell_complete=RECORD)
@click.option(
    "--to", type=UserPath(), metavar="PATH", help="The bundle to write, a .zip; with --open, a new folder."
)
@click.option("--data", is_flag=True, help="Add the files given by --dataset.")
@click.option("--weights", is_flag=True, help="Add the weights that --save-weights has kept.")
@options.dry_run
@click.option(
    "--open",
    type=InputFile(),
    metavar="FILE",
    help="Unpack a bundle into the new folder --to, and list what it would have harness run. Runs nothing.",
)
@options.results
@options.given_as(Given)
def command(_ctx: click.Context, given: Given) -> None:
    """Pack records with all that they need into one file, for others to repeat.

    RECORD is a file, an id, the beginning of an id, `last`, or a folder of results. A bundle has the records
    with the files beside them, the code that they ran, and a page.

    \b
      harness bundle last --dry-run
      harness bundle last --data --to claim.zip
      harness bundle --open claim.zip --to claim

    Exit code: 0, 1 if a file cannot be written, 2 if the input is wrong.
    """  # noqa: D301  click's mark for lines that it must not wrap
    if given.open is not None:
        _open(given.open, given)
        return
    if not given.names:
        raise UsageError("name the records to bundle, such as: harness bundle last --to claim.zip")
    target = _target(given)
    results = [result for name in given.names for result in _named(name, given.results)]
    with GuardedFolder("bundle") as staging, writing(target):
        bundle = make(results, target.name, staging.path, data=given.data, weights=given.weights)
        if not given.dry_run:
            write_zip(bundle.files, target)
        echo(terminal_text(_list(bundle, target, given)))


def _target(given: Given) -> Path:
    if given.to is None:
        if given.dry_run:
            return Path("claim.zip")
        raise UsageError("give the file to write: --to claim.zip; or list what would be in it: --dry-run")
    if given.to.suffix != _SUFFIX:
        raise UsageError(f"--to {given.to}: a bundle is a {_SUFFIX} file, such as claim.zip")
    OutputFile().check(given.to)
    return given.to


def _named(name: str, results: Path) -> list[Result]:
    if name == "last":
        return [records().last(results)[0]]
    if not is_folder(name):
        return [records().find(results, name)]
    if found := records().results_in(Path(name)):
        return found
    raise UsageError(f"no records in {name}; give a folder of results, such as results")


def _list(bundle: Bundle, target: Path, given: Given) -> Document:
    sizes = bundle.sizes()
    rows = [[name, f"{size:,}"] for name, size in sorted(sizes.items())]
    total = f"{len(sizes)} files, {sum(sizes.values()):,} bytes"
    headline = f"{target} would have {total}" if given.dry_run else f"{target} has {total}"
    nodes: list[Node] = [
        Table(("file", "bytes"), rows, form="texts"),
        Items([*bundle.left_out], "Left out"),
    ]
    return Document("bundle", "Bundle", nodes, headline=[headline])


def _open(path: Path, given: Given) -> None:
    """Unpack a bundle and list what it would have a command run."""
    if given.names or given.data or given.weights or given.dry_run:
        raise UsageError("--open takes a bundle and --to FOLDER alone")
    if given.to is None:
        raise UsageError(f"give the new folder to unpack {path.name} into: --to {path.stem}")
    shown: list[Offer] = []
    for record in opened(path, given.to, shown.append):
        echo(f"Record: {record}")
    for offered in shown:
        echo(f"\n{terminal_text(offered.document())}")
