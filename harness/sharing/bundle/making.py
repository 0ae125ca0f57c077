"""Making a bundle: records without private texts, their sources, data and pages, in one zip file."""

import contextlib
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.core.documents.contents import SOURCES, SourceFile, read_source
from harness.core.documents.find import Result
from harness.core.documents.kinds import encode_document
from harness.core.machine.files import is_folder, read_file
from harness.core.machine.ownership import create_file, draft_of
from harness.core.plugins.distributions import HARNESS
from harness.core.plugins.kept_data import DataFile
from harness.core.runs.store import RUNS, WEIGHTS_SUFFIX
from harness.core.shell import features
from harness.core.shell.commands.report import command as report
from harness.errors import HarnessError, UsageError
from harness.sharing.bundle import manifest
from harness.sharing.bundle.manifest import File, Manifest
from harness.sharing.bundle.parts import parts_of
from harness.sharing.bundle.private import Found, Private
from harness.spec.description import description_sha256

_README = """\
{title}

Repeat what is in this bundle, on a machine with harness {version}:

    harness reproduce {name}

It shows the code, the requirements, the interpreters and the variables of the bundle, and asks before it runs
any of them. This command only unpacks the bundle, and lists the same:

    harness bundle --open {name} --to FOLDER

{pages}The records are in {results}/, {data}the code that they ran is in {results}/{sources}/, by its
sha256. bundle.json has the sha256 of every file. It shows accidents, not forgery: whoever changes a file can
write its hash anew.
"""
#: As all files of a bundle have the same time, equal content is an equal bundle, and no time is given away.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_MOST_SHOWN = 5


class Asked(NamedTuple):
    """What a bundle has beside records and sources; ``as_is``: files may have names and home folders."""

    data: bool = False
    weights: bool = False
    as_is: bool = False


class Made(NamedTuple):
    """The files of a bundle by their names, and clauses about what is left out."""

    files: dict[str, Path]
    left_out: list[str]


class _Named(NamedTuple):
    """A record as it is stored, and the folder of its results."""

    result: Result
    record: Any
    document: dict[str, Any]
    results: Path

    @property
    def name(self) -> str:
        """The name of its file in the bundle."""
        return f"{manifest.RESULTS}/{self.result.kind.folder}/{self.result.path.name}"

    @property
    def folder(self) -> str:
        return str(self.document.get("folder") or "")

    @property
    def sources(self) -> list[SourceFile]:
        return getattr(self.record, "sources", [])

    def data(self) -> Iterator[tuple[DataFile, str | None]]:
        """Yield the user's data files that the record names, with the fingerprint of the data."""
        for key, part in parts_of(self.document):
            if key == "dataset" and isinstance(part, dict) and isinstance(part.get("file"), dict):
                yield msgspec.convert(part["file"], DataFile), part.get("fingerprint")


def make(results: Sequence[Result], asked: Asked, staging: Path, name: str) -> Made:
    """Write the files of a bundle of ``results`` to the empty folder ``staging``.

    ``name`` is that of the zip.

    Raises:
        UsageError: a record cannot be read or is not finished, data have changed, a source has private texts,
            or the bundle is too large.
        OSError: a file cannot be written.
    """
    records = [_read(result) for result in dict.fromkeys(results)]
    others = [_read(result) for result in _others(records)]
    every = [*records, *others]
    private = Private(each.document for each in every)
    making = _Making(staging, private, asked)
    for each in every:
        making.add_record(each)
    making.follow_descriptions(every)
    pages = making.add_pages(records)
    making.refuse_private()
    has_data = f"the data in {manifest.DATA}/, " if asked.data and (staging / manifest.DATA).is_dir() else ""
    title = ", ".join(each.result.kind.counted(1) for each in records[:1]) if len(records) == 1 else ""
    readme = _README.format(
        title=f"A bundle of {title or f'{len(records)} records'}",
        version=metadata.version(HARNESS),
        name=name,
        pages=f"{' and '.join(pages)} shows the results. " if len(pages) == 1 else "",
        results=manifest.RESULTS,
        data=has_data,
        sources=SOURCES,
    )
    making.add(manifest.README, readme.encode())
    files = {str(path.relative_to(staging)): path for path in sorted(staging.rglob("*")) if path.is_file()}
    _refuse_size(files)
    listed = Manifest(
        format=manifest.FORMAT,
        harness=metadata.version(HARNESS),
        records=[each.name for each in records],
        others=[each.name for each in others],
        files={name: _described(path) for name, path in files.items()},
    )
    making.add(manifest.MANIFEST, msgspec.json.format(msgspec.json.encode(listed), indent=1) + b"\n")
    return Made({manifest.MANIFEST: staging / manifest.MANIFEST, **files}, making.left_out)


def _read(result: Result) -> _Named:
    record = result.kind.read(result.path)
    document = msgspec.json.decode(read_file(result.path))
    document.pop("checksum")
    if getattr(record, "status", "") == "running":
        raise UsageError(f"{result.path} is the record of work that is still running; wait for its end")
    return _Named(result, record, document, result.path.parent.parent)


def _others(records: Iterable[_Named]) -> list[Result]:
    named = {each.result.path.resolve() for each in records}
    found = {}
    for each in records:
        for path in each.result.kind.others(each.record, each.results):
            if path.resolve() not in named:
                found[path.resolve()] = features.records().result_in(path)
    return [*found.values()]


class _Making:
    """The files of one bundle while it is made."""

    def __init__(self, staging: Path, private: Private, asked: Asked) -> None:
        self._staging, self._private, self._asked = staging, private, asked
        self.left_out: list[str] = []
        self._sources: dict[str, tuple[str, bytes]] = {}
        self._data: dict[str, Path] = {}

    def add(self, name: str, content: bytes) -> None:
        """Write a file of the bundle."""
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def add_record(self, named: _Named) -> None:
        """Add a record, the files beside it, its sources, and its data."""
        moved: dict[str, str] = {}
        targets = named.result.kind.needs(named.record).targets
        if targets and not named.sources:
            names = ", ".join(self._private.text(target) for target in dict.fromkeys(targets))
            self._leave_out(f"{named.result.path.stem}: its record does not contain the code of {names}")
        for source in named.sources:
            moved |= self._moved(source.path, named)
            self._add_source(source, named)
        for file, fingerprint in named.data():
            moved |= self._moved(file.path, named)
            self._add_data(file, fingerprint, named)
        document = self._private.removed(named.document, moved)
        self.add(named.name, encode_document(document))
        named.result.kind.read(self._staging / named.name)
        for path in _beside(named.result.path):
            name = f"{manifest.RESULTS}/{named.result.kind.folder}/{path.name}"
            if path.name.endswith(WEIGHTS_SUFFIX) and not self._asked.weights:
                self._leave_out(f"{path.name}: weights are added by --weights")
            elif manifest.PLACES.fullmatch(name) is None:  # such as the page of a study
                self._leave_out(f"{path.name}: no bundle may have such a file")
            else:
                self.add(name, read_file(path))

    def follow_descriptions(self, records: Sequence[_Named]) -> None:
        """Replace the hashes of tasks in which paths were replaced: by them a study knows its runs."""
        runs = [RUNS.read(self._staging / each.name) for each in records if each.result.kind is RUNS]
        hashes = {run.task.sha256: description_sha256(run.task.description) for run in runs}
        changed = {old: new for old, new in hashes.items() if old != new}
        for name in [each.name for each in records] if changed else []:
            document = msgspec.json.decode(read_file(self._staging / name))
            document.pop("checksum")
            text = msgspec.json.encode(document).decode()
            for old, new in changed.items():
                text = text.replace(old, new)
            self.add(name, encode_document(msgspec.json.decode(text)))

    def _leave_out(self, clause: str) -> None:
        if clause not in self.left_out:
            self.left_out.append(clause)

    def _moved(self, path: str, named: _Named) -> dict[str, str]:
        """Return the new path of a file in a bundle, by each path that the record may have of it."""
        place = self._private.place_of(path, named.folder)
        whole = Path(named.folder, path)
        if not whole.is_absolute() or place == path:
            return {}
        relative = os.path.relpath(whole, named.folder or whole.parent)
        return {str(whole): place} | ({relative: place} if relative.startswith("..") else {})

    def _add_source(self, source: SourceFile, named: _Named) -> None:
        name = f"{manifest.RESULTS}/{SOURCES}/{source.sha256}.py"
        try:
            content = read_source(named.results, source)
        except UsageError as error:
            self._leave_out(self._private.text(str(error)))
            return
        self._sources[name] = (source.path, content)
        self.add(name, content)

    def _add_data(self, file: DataFile, fingerprint: str | None, named: _Named) -> None:
        path, place = Path(named.folder, file.path), self._private.place_of(file.path, named.folder)
        if place in self._data:
            if self._data[place] != path:
                raise UsageError(f"{path} and {self._data[place]} would have one place; make two bundles")
            return
        if not path.exists():
            self._leave_out(f"{place}: the data are no longer at {path}")
            return
        every = sorted(each for each in path.rglob("*") if each.is_file()) if is_folder(path) else [path]
        files = [each for each in every if each.suffix.lower()[1:] in manifest.DATA_SUFFIXES]
        size = sum(each.stat().st_size for each in files)
        if not self._asked.data:
            self._leave_out(f"{place}: data of {size:,} bytes are added by --data")
            return
        if size > manifest.MOST_DATA_BYTES:
            self._leave_out(
                f"{place}: data of {size:,} bytes; {manifest.MOST_DATA_BYTES:,} bytes are the most"
            )
            return
        self._data[place] = path
        _refuse_changed(path, file, fingerprint)
        for each in files:
            inner = each.relative_to(path) if each != path else ""
            self.add(str(Path(manifest.DATA, place, inner)), read_file(each))

    def add_pages(self, records: Sequence[_Named]) -> list[str]:
        """Add the pages of the records, made of what the bundle has of them; return their names."""
        runs = [each for each in records if each.result.kind is RUNS]
        pages = [("runs", runs)] if runs else []
        pages += [(each.result.path.stem, [each]) for each in records if each.result.kind is not RUNS]
        names = []
        for stem, shown in pages:
            name = manifest.PAGE if len(pages) == 1 else f"{manifest.PAGES}/{stem}.html"
            path = self._staging / name
            path.parent.mkdir(exist_ok=True)
            paths = [str(self._staging / each.name) for each in shown]
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    arguments = [
                        *paths,
                        "--results",
                        str(self._staging / manifest.RESULTS),
                        "--to",
                        str(path),
                    ]
                    report.main(arguments, "harness report", standalone_mode=False)
            except HarnessError as error:
                self._leave_out(f"{name}: {self._private.text(str(error))}")
                continue
            # The page may name the folder in which it was made.
            text = path.read_text("utf-8").replace(f"{self._staging}/", "")
            path.write_text(text, "utf-8")
            names.append(name)
        return names

    def refuse_private(self) -> None:
        """Raise UsageError if a source has private texts; ``--as-is`` allows those that are no secrets."""
        found: dict[str, list[Found]] = {}
        for path, content in self._sources.values():
            parts = [each for each in self._private.found_in(content) if each.secret or not self._asked.as_is]
            if parts:
                found[path] = parts
        if found:
            raise UsageError(_refusal(found))


def _refusal(found: Mapping[str, Sequence[Found]]) -> str:
    places = [f"{path}:{each.line} has {each.what}" for path, every in found.items() for each in every]
    more = f", and {len(places) - _MOST_SHOWN} more" if len(places) > _MOST_SHOWN else ""
    secret = any(each.secret for every in found.values() for each in every)
    remedy = (
        "take the secrets out of the code and run it again"
        if secret
        else "change the code and run it again, or add --as-is to give it away"
    )
    return f"{'; '.join(places[:_MOST_SHOWN])}{more}: {remedy}"


def _refuse_changed(path: Path, file: DataFile, fingerprint: str | None) -> None:
    from harness.core.data_files.reading import read_data_file  # NumPy is behind it
    from harness.core.data_files.settings import settings_of

    now = read_data_file(path, settings_of(file.settings)).dataset.fingerprint
    if fingerprint is not None and now != fingerprint:
        raise UsageError(
            f"{path} is not what the record was made of: the fingerprint of its data is {now}, and was "
            f"{fingerprint}; restore the file, or leave out --data"
        )


def _beside(record: Path) -> list[Path]:
    """Return the files that belong to a record, beside it: their names begin with its id."""
    return sorted(
        path
        for path in record.parent.iterdir()
        if path.is_file() and path != record and path.name.startswith((f"{record.stem}-", f"{record.stem}."))
    )


def _described(path: Path) -> File:
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _refuse_size(files: Mapping[str, Path]) -> None:
    size = sum(path.stat().st_size for path in files.values())
    if size > manifest.MOST_BYTES or len(files) >= manifest.MOST_FILES:
        raise UsageError(
            f"the bundle would have {len(files):,} files of {size:,} bytes; {manifest.MOST_FILES:,} files of "
            f"{manifest.MOST_BYTES:,} bytes are the most. Bundle fewer records."
        )


def write_zip(files: Mapping[str, Path], path: Path) -> None:
    """Write a zip of ``files``, by their names, completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    draft = draft_of(path)
    try:
        with open(create_file(draft), "wb") as file, zipfile.ZipFile(file, "w") as archive:  # noqa: PTH123
            for name, content in files.items():
                _add(archive, name, content.read_bytes())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file, deflated unless it would then look like one that is made to fill a disk."""
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = _MODE << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    if len(content) > manifest.MOST_RATIO * len(zlib.compress(content)):
        entry.compress_type = zipfile.ZIP_STORED
    archive.writestr(entry, content)
