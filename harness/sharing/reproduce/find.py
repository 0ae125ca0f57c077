"""The records that a command line names: files, and folders of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.documents.find import Result
from harness.core.documents.kinds import RecordKind, UnreadableRecord
from harness.core.machine.files import is_file, is_folder
from harness.core.shell import features
from harness.errors import UsageError
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


def records_in(path: Path) -> list[Result]:
    """Return the results in a file, in a results folder, or directly in another folder, oldest first."""
    known = features.records()
    if is_file(path):
        return [known.result_in(path)]
    if not is_folder(path):
        raise UsageError(f"{path} does not exist; give files of records, or folders that have some")
    found = known.results_in(path) or [known.result_in(file) for file in sorted(path.glob("*.json"))]
    if not found:
        raise UsageError(f"no records in {path}; give a results folder, or files of records")
    return found


def selected(paths: Iterable[Path], *, of_bundle: bool) -> Selection:
    """Read the records that ``paths`` name; each file counts once.

    Of folders, and ``of_bundle``, those records are left out that cannot be repeated: of kinds without a
    repetition, and of work that did not succeed.
    """
    kinds: dict[str, Readable] = {}
    problems, left_out, seen = list[str](), list[str](), set[Path]()
    for path in paths:
        of_several = of_bundle or is_folder(path)
        for kind, file in _found(path, problems):
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


def _found(path: Path, problems: list[str]) -> list[Result]:
    try:
        return records_in(path)
    except UsageError as error:
        problems.append(str(error))
        return []
