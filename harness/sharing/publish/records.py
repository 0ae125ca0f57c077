"""The records of a site: each without private texts, with its page; a file that cannot be read, with why."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.core.documents.find import Result
from harness.core.documents.kinds import Envelope, RecordKind, UnreadableRecord, decode
from harness.core.documents.numbers import score_value
from harness.core.machine.checksums import with_checksum
from harness.core.machine.files import read_file
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS
from harness.core.training.measures import measure_of_task
from harness.errors import HarnessError
from harness.sharing.bundle.private import Private
from harness.sharing.publish.folder import SiteFolder
from harness.sharing.publish.index import Entry, Stamp
from harness.sharing.publish.layout import Layout, json_link

#: Files beside a record that its pages show.
_BESIDE = ".png"


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def publish_record(
    result: Result, stamp: Stamp, images: Iterable[Path], folder: SiteFolder, layout: Layout
) -> Entry:
    """Write the record, the ``images`` beside it, and its page; return its entry.

    A file that cannot be published gets an entry with the problem.
    """
    kind, path = result
    entry = Entry(stamp=stamp, kind=kind.folder, id=path.stem)
    try:
        record = kind.read(path)
        if getattr(record, "status", "") == "running":
            entry.problem = "it is the record of work that is still running"
            return entry
        document = msgspec.json.decode(read_file(path))
        own = _cleaned(document, getattr(record, "status", None))
        content = with_checksum(msgspec.json.encode(own))
        cleaned = decode(content, kind.type, kind.schema)
        folder.write(f"{kind.folder}/{path.name}", content)
        _describe(entry, kind, cleaned)
        entry.beside = [folder.write(f"{kind.folder}/{each.name}", read_file(each)) for each in images]
        shown = kind.page_of(cleaned, folder.path / kind.folder / path.name)
        files = layout.page(entry.page, shown, actions=json_link(path.name))
        for name, text in files.items():
            folder.write(name, text)
        entry.beside += [name for name in files if name != entry.page]
    except (HarnessError, msgspec.MsgspecError, OSError) as error:
        why = str(error) if isinstance(error, UnreadableRecord) else f"{path.name}: {error}"
        entry.problem = Private([]).text(why.replace(f"{path.parent.parent}/", ""))
    return entry


def images_of(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the images in these folders, by the id of the record with which their names begin."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        ids = {path.stem for path in folder.glob("*.json")}
        for path in sorted(folder.glob(f"*{_BESIDE}")):
            parts = path.stem.split("-")
            own = next(
                (name for end in range(len(parts), 0, -1) if (name := "-".join(parts[:end])) in ids), ""
            )
            found.setdefault(own, []).append(path)
    return found


def _cleaned(document: dict[str, Any], status: str | None) -> dict[str, Any]:
    """Return a record without private texts.

    A host gets a digest of its random id in place of its name: machines of one model stay apart.
    """
    document.pop("checksum", None)
    own = Private([document]).removed(document, {})
    if status is not None:
        own["status"] = status
    machine = document.get("machine")
    host = machine.get("host") if isinstance(machine, Mapping) else None
    if isinstance(host, Mapping) and isinstance(own.get("machine"), dict):
        digest = hashlib.sha256(f"{host.get('id') or host.get('name')}".encode()).hexdigest()
        own["machine"]["host"] = {"name": f"host {digest[:8]}", "id": None}
    return own


def _describe(entry: Entry, kind: RecordKind[Any], record: Any) -> None:
    """Fill the facts that lists show."""
    listed = kind.row_of(record)
    entry.task, entry.configurations, entry.outcome = listed
    if isinstance(record, Envelope):
        entry.started, entry.status = record.started_at, record.status
        host = f", {record.machine.host_text}" if record.machine.host_text else ""
        entry.machine = f"{record.machine.model_text}{host}"
    if kind is RUNS and isinstance(record, Record):
        entry.label, entry.seed = record.configuration.label, record.seed
        entry.score = score_value(measure_of_task(record.task.description), record.test_at_last)
