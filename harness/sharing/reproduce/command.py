"""``harness reproduce``: repeat records here, and judge whether they agree."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from harness.core.documents.results import prepare_folder
from harness.core.plugins.files import plugin_files
from harness.core.shell import options
from harness.core.shell.paths import UserPath
from harness.core.shell.printing import echo, echo_json, print_error
from harness.core.shell.signals import interrupt_on_termination
from harness.errors import HarnessError, UsageError

#: The folder of the new results in that of an opened bundle.
_REPRODUCED = "reproduced"


@dataclass(frozen=True, kw_only=True)
class Given:
    """The values of the parameters of ``harness reproduce``."""

    paths: tuple[Path, ...]
    to: Path | None
    yes: bool
    environment: bool
    jobs: int | None
    form: Literal["table", "json"]
    quiet: bool


@click.command()
@click.argument("paths", metavar="RECORD...", nargs=-1, required=True, type=UserPath())
@click.option(
    "--to",
    type=UserPath(file_okay=False),
    metavar="DIR",
    help="Folder of the new results. Runs that it has already are not made again; a bundle needs a new one. "
    "Default: a new folder, reproduced-TIME.",
)
@click.option("--yes", is_flag=True, help="Run the code of a bundle without asking.")
@click.option(
    "--environment",
    is_flag=True,
    help="Repeat the records in a new environment with the versions that they name, which pip installs.",
)
@options.jobs
@options.form
@options.quiet
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Repeat records on this machine, and judge whether the results agree.

    RECORD is the file of a run, a duel, a gate, a study or a comparison of two models, a folder of records,
    or a bundle. What this machine lacks to repeat them is named before anything runs. The code of a bundle
    runs as you: code, interpreters and variables are shown, and you are asked.

    \b
      harness reproduce results/runs/20260131-120000-123-cnn-torch-eager-s0-3f2a.json
      harness reproduce theirs/ --to mine/
      harness reproduce claim.zip --to claim/

    A run is identical (all losses and scores bit for bit), equal within rounding, equivalent (the test of
    harness compare, from three seeds on) or different. A ratio of times is a claim about two
    configurations: both are timed here, and the claim holds, holds in direction or does not hold. All may
    be undecided. What differs between there and here is listed, the likeliest causes first.

    Exit code: 0 if all agree, 1 if one differs or does not hold, 3 if one is undecided and none differs, 2
    on wrong input or if something is lacking, 130 after Ctrl-C (repeat the command with --to to continue).
    """  # noqa: D301  click's mark for lines that it must not wrap
    from harness.core.documents.render.terminal import terminal_text
    from harness.sharing.bundle.opening import opened
    from harness.sharing.reproduce.bundles import confirmation, enter, is_bundle
    from harness.sharing.reproduce.find import selected
    from harness.sharing.reproduce.page import Reproduced, compared, document, exit_code, unrepeated
    from harness.sharing.reproduce.repetition import Pair, Place

    interrupt_on_termination()
    to = given.to or _fresh_folder()
    of_bundle = any(map(is_bundle, given.paths))
    if of_bundle and len(given.paths) > 1:
        raise UsageError("a bundle is repeated in a folder of its own; give it alone")
    folder = to.absolute() if of_bundle else to
    paths = opened(given.paths[0], folder, confirmation(yes=given.yes)) if of_bundle else given.paths
    selection = selected(paths, of_bundle=of_bundle)
    for clause in selection.left_out:
        print_error(f"left out: {clause}")
    if of_bundle:
        enter(folder)
        to, folder = to / _REPRODUCED, folder / _REPRODUCED
    if given.environment:
        ctx.exit(_in_environment(selection.kinds, folder, given))
    _refuse_lacking(selection.kinds)
    _refuse_own(folder, selection.kinds)
    place = Place(prepare_folder(folder), given.quiet, given.jobs)
    reproduced: list[Reproduced] = []
    for kind, repetition, records in selection.kinds:
        try:
            repeated = repetition.repeat(records, kind, place)
        except HarnessError as error:  # what was repeated before is judged all the same
            reproduced += [unrepeated(kind, stored, str(error)) for stored in records]
            continue
        pairs = [Pair(theirs, mine) for theirs, mine in zip(records, repeated, strict=True)]
        for pair, agreement in zip(pairs, repetition.agreements(pairs), strict=True):
            reproduced.append(compared(kind, repetition, pair, agreement))
    if given.form == "json":
        echo_json(msgspec.json.encode({"records": reproduced}))
    else:
        echo(terminal_text(document(reproduced, to)))
    ctx.exit(exit_code(reproduced))


def _in_environment(kinds: Sequence[Any], folder: Path, given: Given) -> int:
    """Repeat the records by this command in an environment of their versions; return its exit code."""
    from harness.sharing.reproduce.environment import call_in_environment, requirements_of

    every = [stored for readable in kinds for stored in readable.records]
    arguments = ["reproduce", "--to", str(folder.absolute()), "--format", given.form]
    arguments += ["--jobs", str(given.jobs)] if given.jobs else []
    arguments += ["--quiet"] if given.quiet else []
    arguments += [f"--plugin={file}" for file in plugin_files()]
    paths = [str(stored.path.absolute()) for stored in every]
    requirements = requirements_of(stored.record for stored in every)
    return call_in_environment(requirements, [*arguments, "--", *paths], quiet=given.quiet)


def _refuse_own(folder: Path, kinds: Sequence[Any]) -> None:
    """Raise UsageError where ``folder`` has the records, which would stand for their own repetition."""
    for stored in [stored for readable in kinds for stored in readable.records]:
        if stored.path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"--to {folder} has {stored.path}, which is to be repeated; give another folder")


def _refuse_lacking(kinds: Sequence[Any]) -> None:
    """Name all that is lacking, each thing once with the records that need it."""
    needed: dict[str, list[str]] = {}
    for readable in kinds:
        for stored in readable.records:
            for clause in readable.repetition.lacking(stored):
                needed.setdefault(clause, []).append(str(stored.path))
    if needed:
        lines = [
            f"{clause} (for {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)})"
            for clause, names in needed.items()
        ]
        raise UsageError("\n".join(["nothing was repeated, because this machine lacks:", *lines]))


def _fresh_folder() -> Path:
    return Path(f"reproduced-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}")
