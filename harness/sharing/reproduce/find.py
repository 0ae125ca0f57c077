"""The records that a command line names: files, folders of them, and a bundle."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.documents.find import Result
from harness.core.documents.kinds import RecordKind, UnreadableRecord
from harness.core.machine.files import is_file, is_folder
from harness.core.shell import features
from harness.errors import UsageError
from harness.sharing.bundle import opened
from harness.sharing.bundle.confirming import Offer
from harness.sharing.reproduce.repetition import Repetition, Stored, repetition_of


class Readable(NamedTuple):
    """The records of one kind, in the order in which they were named, and how they are repeated."""

    kind: RecordKind[Any]
    repetition: Repetition[Any]
    records: list[Stored[Any]]


class Selection(NamedTuple):
    """The records that can be repeated, by kind, and clauses for those in folders that are left out."""

    kinds: list[Readable]
    left_out: list[str]


class Opening(NamedTuple):
    """How a bundle is opened: into the new folder ``to``, if ``confirm`` returns; see :func:`opened`."""

    to: Path
    confirm: Callable[[Offer], None]


def is_bundle(path: Path) -> bool:
    """Check whether a path names a bundle, by its suffix."""
    return path.suffix.lower() == ".zip" and is_file(path)


def records_in(path: Path, opening: Opening) -> list[Result]:
    """Return the results in a file, in a results folder, or directly in another folder, oldest first.

    A bundle is opened for it.

    Raises:
        UsageError: there is nothing, a file is no record, or a bundle is not opened.
    """
    known = features.records()
    if is_bundle(path):
        return [known.result_in(file) for file in opened(path, *opening)]
    if is_file(path):
        return [known.result_in(path)]
    if not is_folder(path):
        raise UsageError(f"{path} does not exist; give files of records, or folders that have some")
    found = known.results_in(path) or [known.result_in(file) for file in sorted(path.glob("*.json"))]
    if not found:
        raise UsageError(f"no records in {path}; give a results folder, or files of records")
    return found


def selected(paths: Iterable[Path], opening: Opening) -> Selection:
    """Read the records that ``paths`` name; each file counts once, and bundles are opened.

    Of folders and bundles those records are left out that cannot be repeated: of kinds without a repetition,
    and of work that did not succeed.

    Raises:
        UsageError: nothing is left, or what cannot be read or repeated; names every file.
    """
    kinds: dict[str, Readable] = {}
    problems, left_out, seen = list[str](), list[str](), set[Path]()
    for path in paths:
        of_several = is_folder(path) or is_bundle(path)
        for kind, file in _found(path, opening, problems):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            try:
                repetition = repetition_of(kind)
                record = kind.read(file)
                if refusal := repetition.refusal(record):
                    raise UsageError(f"{file}: {refusal}")  # noqa: TRY301  as those of the lines above
            except UnreadableRecord as error:
                problems.append(str(error))
            except UsageError as error:
                (left_out if of_several else problems).append(str(error))
            else:
                readable = kinds.setdefault(kind.name, Readable(kind, repetition, []))
                readable.records.append(Stored(record, file))
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    if not kinds:
        raise UsageError("nothing can be repeated:\n" + "\n".join(dict.fromkeys(left_out)))
    return Selection([*kinds.values()], [*dict.fromkeys(left_out)])


def _found(path: Path, opening: Opening, problems: list[str]) -> list[Result]:
    try:
        return records_in(path, opening)
    except UsageError as error:
        problems.append(str(error))
        return []
