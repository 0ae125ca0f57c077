"""The copies of records in a site, without private texts, and their pages.

A site holds a folder of results of its own, ``results``. All pages are made from it, so that none of them can
show what a record had that is private. A host is named by a number that follows from its identity: times of
two machines stay apart.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.core.documents.circumstances import shell_line
from harness.core.documents.document import Command, Document, Facts, Paragraph, Section, Span
from harness.core.documents.find import Records, Result
from harness.core.documents.kinds import RecordKind, encode_document
from harness.core.documents.numbers import machine_text
from harness.core.documents.render.html import Frame, html_page
from harness.core.machine.files import read_file
from harness.core.shell.features import records
from harness.errors import HarnessError
from harness.sharing.bundle.private import Private
from harness.sharing.publish.files import write
from harness.sharing.publish.index import Entry

#: The folder of the copies in a site.
RESULTS = "results"
#: Larger files beside records, such as saved weights, are not copied.
_LARGEST_BESIDE = 2_000_000
_SAFE = re.compile(r"[A-Za-z0-9][\w.+-]{0,150}", re.ASCII)


class Source(NamedTuple):
    """A record to be published: its file, its kind, the files beside it, and its stamp."""

    path: Path
    kind: str
    beside: tuple[Path, ...]
    stamp: str


def sources(results: Path) -> Iterator[Source]:
    """Yield every record in a folder of results, those that others are about first."""
    every = records()
    for kind in sorted(every.kinds, key=lambda kind: kind.reads_results):
        folder = results / kind.folder
        if not folder.is_dir():
            continue
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
        paths = [path for path in files if path.suffix == ".json"]
        beside: dict[str, list[Path]] = {path.stem: [] for path in paths}
        for path in files:
            owner = next((stem for stem in _owners(path.name) if stem in beside), None)
            if path.suffix != ".json" and owner is not None:
                beside[owner].append(path)
        for path in paths:
            own = tuple(beside[path.stem])
            stats = [each.stat() for each in (path, *own)]
            stamp = " ".join(f"{each.st_size}:{each.st_mtime_ns}" for each in stats)
            yield Source(path, kind.name, own, stamp)


def _owners(name: str) -> Iterator[str]:
    """Yield the names of the records that a file may belong to: ``ID-losses.npz`` belongs to ``ID``."""
    parts = name.split("-")
    return ("-".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))


def page_name(path: Path) -> str:
    """Return the name of the page of a record in a file, which follows from the name of the file alone."""
    if _SAFE.fullmatch(path.stem):
        return path.stem
    return f"record-{hashlib.sha256(path.stem.encode(errors='replace')).hexdigest()[:16]}"


def publish_record(source: Source, results: Path, site: Path, frame: Frame) -> Entry:
    """Write the copy and the page of a record, and return its entry in the index."""
    file = source.path.relative_to(results).as_posix()
    entry = Entry(file=file, stamp=source.stamp, kind=source.kind, name=page_name(source.path))
    try:
        result = _result(records(), source)
        result.kind.read(source.path)
        record, path = _copied(result, source, site, entry.name)
        document = _page(result.kind, record, path, entry)
        write(site / entry.page, html_page(document, frame))
        row = result.kind.row_of(record)
    except (HarnessError, OSError, ImportError) as error:
        return msgspec.structs.replace(
            entry, fault=str(error).replace(f"{site / RESULTS}/", "").replace(f"{results}/", "")
        )
    return msgspec.structs.replace(
        entry,
        kind=result.kind.name,
        time=record.started_at,
        status=record.status,
        task=row.task,
        configurations=row.configurations,
        outcome=row.outcome,
        verdict=getattr(record, "verdict", None) or "" if result.kind.name == "gate" else "",
        machine=machine_text(record.machine),
    )


def _result(every: Records, source: Source) -> Result:
    """Return the record's kind by its content, where its folder does not say it."""
    kind = next(kind for kind in every.kinds if kind.name == source.kind)
    return Result(kind, source.path) if kind.numerous else every.result_in(source.path)


def _copied(result: Result, source: Source, site: Path, name: str) -> tuple[Any, Path]:
    """Copy a record without private texts, with the files beside it; return the copy and its path."""
    document = msgspec.json.decode(read_file(source.path))
    document.pop("checksum", None)
    cleaned = Private([document]).removed(document, {})
    if host := _host(document):
        cleaned["machine"]["host"] = host
    folder = site / RESULTS / result.kind.folder
    path = folder / f"{name}.json"
    write(path, encode_document(cleaned))
    for each in source.beside:
        if each.stat().st_size <= _LARGEST_BESIDE:
            write(folder / each.name, read_file(each))
    return result.kind.read(path), path


def _host(document: Mapping[str, Any]) -> dict[str, str | None] | None:
    """Return the host of a record under a number that tells it from others."""
    machine = document.get("machine")
    host = machine.get("host") if isinstance(machine, dict) else None
    if not isinstance(host, dict):
        return None
    number = hashlib.sha256(f"{host.get('name')}\0{host.get('id')}".encode()).hexdigest()
    return {"name": f"machine {number[:4]}", "id": None}


def _page(kind: RecordKind[Any], record: Any, path: Path, entry: Entry) -> Document:
    """Return the page of a record, with its command and the address of its JSON at its end."""
    document: Document = kind.page_of(record, path)
    address = f"../{RESULTS}/{kind.folder}/{path.name}"
    own = Section(
        "This record",
        [
            Facts({"id": entry.name, "made": record.started_at, "machine": machine_text(record.machine)}),
            Command(f"harness {shell_line(record.command)}", "It was made by"),
            Command(f"harness reproduce {path.name}", "To repeat it"),
            Paragraph((Span("The record as JSON", "link", target=address),)),
        ],
        "this-record",
    )
    return msgspec.structs.replace(document, nodes=[*document.nodes, own])
