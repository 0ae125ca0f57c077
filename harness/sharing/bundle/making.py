"""Making a bundle: records with their sources, data and pages, in one zip file."""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from harness.core.documents.contents import SOURCES, read_source
from harness.core.documents.find import Result
from harness.core.documents.kinds import Envelope, encode_document
from harness.core.machine.files import is_folder, read_file
from harness.core.machine.ownership import draft_of
from harness.core.plugins.distributions import HARNESS
from harness.core.runs.store import RUNS, WEIGHTS_SUFFIX
from harness.core.shell import features
from harness.core.shell.commands.report import command as report
from harness.errors import HarnessError, UsageError
from harness.sharing.bundle.offer import parts_of
from harness.sharing.bundle.opening import DATA, MANIFEST, MOST_BYTES, RESULTS, SUFFIXES, Manifest
from harness.spec.description import description_sha256

_README = """\
Repeat what is in this bundle, on a machine with harness {version}:

    harness reproduce {name}

It shows the code, the interpreters and the variables of the bundle, and asks before it runs any of them.
This command only unpacks the bundle, and lists the same:

    harness bundle --open {name} --to FOLDER
"""


class Bundle(NamedTuple):
    """The files of a bundle by name, each as its content or its path, and clauses on what is left out."""

    files: dict[str, bytes | Path]
    left_out: list[str]

    def sizes(self) -> dict[str, int]:
        """Return the size of each file in bytes."""
        return {
            name: len(file) if isinstance(file, bytes) else file.stat().st_size
            for name, file in self.files.items()
        }

    def leave_out(self, clause: str) -> None:
        """State once that something is left out."""
        if clause not in self.left_out:
            self.left_out.append(clause)


def make(results: Sequence[Result], name: str, staging: Path, *, data: bool, weights: bool) -> Bundle:
    """Return the bundle of ``results``, whose zip has this ``name``; pages are made in ``staging``."""
    named = [*dict.fromkeys(results)]
    bundle = Bundle({}, [])
    documents: dict[str, dict[str, Any]] = {}
    for result in [*named, *_others(named)]:
        record = result.kind.read(result.path)
        if getattr(record, "status", "") == "running":
            raise UsageError(f"{result.path} is the record of work that is still running; wait for its end")
        moved: dict[str, str] = {}
        if isinstance(record, Envelope):
            moved = _add_sources(bundle, result, record) | _add_data(bundle, record, data=data)
        documents[_name(result)] = _relative(result.path, moved)
        _add_beside(bundle, result.path, weights=weights)
    bundle.files.update(_with_hashes(documents))
    _add_pages(bundle, named, staging)
    bundle.files["README.txt"] = _README.format(version=metadata.version(HARNESS), name=name).encode()
    bundle.files[MANIFEST] = msgspec.json.encode(Manifest([_name(result) for result in named]))
    size = sum(bundle.sizes().values())
    if size > MOST_BYTES:
        raise UsageError(
            f"the bundle would have {size:,} bytes; {MOST_BYTES:,} are the most. Bundle fewer records."
        )
    return bundle


def _name(result: Result) -> str:
    return f"{RESULTS}/{result.kind.folder}/{result.path.name}"


def _others(named: Iterable[Result]) -> list[Result]:
    """Return the records that the ``named`` ones are about, such as the runs of a study."""
    known = {result.path.resolve() for result in named}
    others: dict[Path, Result] = {}
    for result in named:
        for path in result.kind.others(result.kind.read(result.path), result.path.parent.parent):
            if path.resolve() not in known:
                others[path.resolve()] = features.records().result_in(path)
    return [*others.values()]


def _place(path: str, folder: str) -> str:
    """Return the place in a bundle of a file whose ``path`` a command that ran in ``folder`` has used."""
    whole = PurePosixPath(folder, path)
    if whole.is_relative_to(folder):
        return str(whole.relative_to(folder))
    return str(PurePosixPath("outside", *[part for part in whole.parts if part not in {"/", "~"}]))


def _moved(path: str, folder: str) -> dict[str, str]:
    """Return the place of a file outside ``folder``, by each path that the record may have of it."""
    place = _place(path, folder)
    return {path: place, os.path.relpath(path, folder): place} if place.startswith("outside/") else {}


def _add_sources(bundle: Bundle, result: Result, record: Envelope) -> dict[str, str]:
    moved: dict[str, str] = {}
    targets = result.kind.needs(record).targets
    if targets and not record.sources:
        bundle.leave_out(f"{result.path.stem}: its record does not contain the code of {', '.join(targets)}")
    for source in record.sources:
        moved |= _moved(source.path, record.folder)
        try:
            content = read_source(result.path.parent.parent, source)
        except UsageError as error:
            bundle.leave_out(str(error))
        else:
            bundle.files[f"{RESULTS}/{SOURCES}/{source.sha256}.py"] = content
    return moved


def _add_data(bundle: Bundle, record: Envelope, *, data: bool) -> dict[str, str]:
    """Add the user's data files that a record names, if ``data`` asks for them."""
    moved: dict[str, str] = {}
    files = [part.file for key, part in parts_of(record) if key == "dataset" and part is not None]
    for file in filter(None, files):
        path, place = Path(file.path).expanduser(), _place(file.path, record.folder)
        moved |= _moved(file.path, record.folder)
        every = [each for each in path.rglob("*") if each.is_file()] if is_folder(path) else [path]
        if not path.exists():
            bundle.leave_out(f"{place}: the data are no longer at {path}")
        elif not data:
            size = sum(each.stat().st_size for each in every)
            bundle.leave_out(f"{place}: data of {size:,} bytes are added by --data")
        else:
            known = [each for each in every if each.suffix.lower() in SUFFIXES]
            for each in known:
                bundle.files[str(PurePosixPath(DATA, place, each.relative_to(path)))] = each
    return moved


def _relative(path: Path, moved: dict[str, str]) -> dict[str, Any]:
    """Return a record with its paths in the bundle: relative to the folder in which the command ran."""
    document: dict[str, Any] = msgspec.json.decode(read_file(path))
    del document["checksum"]
    folder = document.get("folder", "")
    text = msgspec.json.encode(document).decode()
    pairs = [(rf"{re.escape(old)}(?![\w.-])", new) for old, new in moved.items()]
    pairs += [(re.escape(f"{folder}/"), "")] if folder not in {"", ".", "/"} else []
    for pattern, new in pairs:
        text = re.sub(rf"(?<![\w./~-]){pattern}", new.replace("\\", r"\\"), text)
    document = msgspec.json.decode(text)
    return document | ({"folder": "."} if folder else {})


def _with_hashes(documents: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    """Encode records, with the hashes of tasks whose paths have changed: by them a study knows its runs."""
    text = msgspec.json.encode(documents).decode()
    for name, document in documents.items():
        if name.startswith(f"{RESULTS}/{RUNS.folder}/"):
            task = msgspec.convert(document, RUNS.type).task
            text = text.replace(task.sha256, description_sha256(task.description))
    return {name: encode_document(document) for name, document in msgspec.json.decode(text).items()}


def _add_beside(bundle: Bundle, record: Path, *, weights: bool) -> None:
    """Add the files that belong to a record, beside it: their names begin with its id."""
    for path in sorted(record.parent.iterdir()):
        is_own = path.name.startswith((f"{record.stem}-", f"{record.stem}.")) and path != record
        if not is_own or not path.is_file() or path.suffix not in SUFFIXES:
            continue
        if path.name.endswith(WEIGHTS_SUFFIX) and not weights:
            bundle.leave_out(f"{path.name}: weights are added by --weights")
        else:
            bundle.files[f"{RESULTS}/{record.parent.name}/{path.name}"] = path


def _add_pages(bundle: Bundle, named: Sequence[Result], staging: Path) -> None:
    """Add the pages of the records: one of all runs, and one of each other record."""
    runs = [result for result in named if result.kind is RUNS]
    pages = [("runs", runs)] if runs else []
    pages += [(result.path.stem, [result]) for result in named if result.kind is not RUNS]
    for stem, shown in pages:
        path = staging / f"{stem}.html"
        words = [*(str(result.path) for result in shown), "--to", str(path)]
        words += ["--results", str(shown[0].path.parent.parent)]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                report.main(words, "harness report", standalone_mode=False)
        except HarnessError as error:
            bundle.leave_out(f"{path.name}: {error}")
        else:
            bundle.files[f"pages/{path.name}"] = path


def write_zip(files: dict[str, bytes | Path], path: Path) -> None:
    """Write a zip of ``files``, completely or not at all."""
    draft = draft_of(path)
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in sorted(files.items()):
                archive.writestr(name, file if isinstance(file, bytes) else file.read_bytes())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
