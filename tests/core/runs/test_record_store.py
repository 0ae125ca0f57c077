"""Records on disk: complete or not at all, read back unchanged, and found by id or path."""

import errno
import json
import os
import stat
from pathlib import Path

import msgspec
import pytest
from support.records import as_stored, make_record, make_unfinished_record, save_runs

from harness.core.documents import kinds as documents
from harness.core.documents.kinds import UnreadableRecord, encode_document
from harness.core.machine.description import GitState
from harness.core.runs import record as records
from harness.core.runs.record import Failure, Record
from harness.core.runs.store import RUNS, Store
from harness.errors import HarnessError, UsageError

IDS = ("20260101-000000-a", "20260101-000000-ab", "20260102-000000-b")
ROOT = Path(__file__).resolve().parents[3]
STORED = [
    *sorted((ROOT / "tests/support/stored_records/runs").glob("*.json")),
]


@pytest.fixture
def store(tmp_path):
    return save_runs(tmp_path / "results")


@pytest.fixture
def filled(tmp_path):
    return save_runs(tmp_path / "results", *map(make_record, IDS))


def _names(store):
    return sorted(path.name for path in store.folder.iterdir())


# --- Reading and writing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        make_record(),
        make_unfinished_record(),
        make_record(failure=Failure("fell", 7, "SIGKILL", "trace\nback", ["ünder", "lines"])),
        make_record(machine=msgspec.structs.replace(make_record().machine, git=GitState("abc", dirty=None))),
        make_record(
            max_steps=3, device="cuda:0 (NVIDIA H100)", measured={"device_peak_memory_bytes": 2.0**40}
        ),
    ],
)
def test_a_record_is_read_back_unchanged(store, record):
    path = store.save(record)
    assert path == store.folder / f"{record.id}.json"
    assert RUNS.read(path) == record


def test_a_record_is_readable_json(store):
    text = store.save(make_record()).read_text()
    assert text.startswith('{\n "schema": 5,\n "id": ')
    assert text.endswith("}\n")
    assert json.loads(text)["epochs"][1]["validation"] == {"loss": None, "accuracy": 0.5}


def test_others_may_read_a_record(store):
    assert stat.S_IMODE(store.save(make_record()).stat().st_mode) == 0o644


def test_a_field_of_a_later_version_is_ignored(tmp_path):
    document = json.loads(encode_document(make_record()))
    path = tmp_path / "later.json"
    path.write_bytes(as_stored(document | {"energy_joules": 3}))
    assert RUNS.read(path) == make_record()


def test_saving_again_replaces(store):
    store.save(make_unfinished_record("one", status="running"))
    path = store.save(make_record("one"))
    assert _names(store) == ["one.json"]
    assert RUNS.read(path).status == "ok"


def _changed(**changes):
    """The record's fields with these changes, without its checksum; None removes one."""
    fields = json.loads(encode_document(make_record())) | changes
    return json.dumps(
        {name: value for name, value in fields.items() if name != "checksum" and value is not None}
    )


def _with_block(**changes):
    return _changed(blocks=[{"epoch": 1, "steps": 1, "batch_size": 64, "seconds": 0.1} | changes])


UNREADABLE = {
    "later": json.dumps({"schema": 6, "id": ["of", "a", "later", "kind"]}),
    "cut": encode_document(make_record())[:700],
    "empty": "",
    "earlier": _changed(schema=0),
    "no steps": _with_block(steps=0),
    "no time": _with_block(seconds=0.0),
    "foreign": '{"benchmarks": []}',
    "list": "[1, 2]",
    "page": "<html>",
    "no seed": _changed(seed=None),
    "seed as text": _changed(seed="zero"),
    "status": _changed(status="splendid"),
    "no text": b'{"schema": 5, "id": "\xff"}',
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_without_a_record_is_named_with_the_reason(tmp_path, kind, snapshot):
    path, content = tmp_path / "odd.json", UNREADABLE[kind]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UnreadableRecord) as caught:
        RUNS.read(path)
    assert str(caught.value).replace(str(path), "FILE") == snapshot


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_records_are_read_and_written_alike(path):
    record = RUNS.read(path)
    assert record.schema == records.SCHEMA
    assert documents.decode(encode_document(record), Record, records.SCHEMA) == record


def test_a_folder_in_place_of_a_record_is_named(tmp_path):
    with pytest.raises(UnreadableRecord, match=f"^{tmp_path} cannot be read: Is a directory"):
        RUNS.read(tmp_path)


def test_one_broken_file_does_not_hide_the_others(filled):
    (filled.folder / f"{IDS[1]}.json").write_text("{")
    first, second, third = RUNS.read_each(filled.paths())
    assert isinstance(first, Record)
    assert isinstance(second, UnreadableRecord)
    assert isinstance(third, Record)


# --- Faults while writing ------------------------------------------------------------------------


def _raising(error):
    def fail(*_):
        raise error

    return fail


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("owner", "call", "error"),
    [(os, "fsync", FULL), (Path, "replace", FULL), (os, "fsync", KeyboardInterrupt())],
    ids=["full disk", "no new name", "interrupt"],
)
def test_a_save_that_ends_midway_leaves_the_old_record_and_nothing_else(
    store, monkeypatch, owner, call, error
):
    old = make_record("one")
    path = store.save(old)
    expected = HarnessError if error is FULL else KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, _raising(error))
        with pytest.raises(expected, match=r"one\.json: No space left" if error is FULL else None):
            store.save(make_unfinished_record("one"))
    assert _names(store) == ["one.json"]
    assert RUNS.read(path) == old


def test_the_content_is_on_disk_before_the_name_is(store, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_size, _names(store)))

    monkeypatch.setattr(os, "fsync", fsync)
    path = store.save(make_record("one"))
    (size, before), (_, after) = synced  # the file, and then the folder that names it
    assert size == path.stat().st_size
    assert "one.json" not in before
    assert "one.json" in after


def test_a_shared_folder_that_cannot_be_synchronised_holds_records_too(store, monkeypatch):
    """Those of VirtualBox and of some networks refuse it, after the record was written."""
    fsync = os.fsync

    def refuse_folders(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(file)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    assert store.save(make_record()).is_file()


@pytest.mark.parametrize("link", ["results", "results/runs"])
def test_a_results_folder_that_is_a_dangling_link_is_refused_with_its_target(tmp_path, link):
    path = tmp_path / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path / "unmounted")
    with pytest.raises(UsageError, match=rf"{link} is a link to .*unmounted, which does not exist"):
        Store(tmp_path / "results").prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_results_folder_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o555)
    with pytest.raises(UsageError, match="Permission denied"):
        Store(tmp_path).prepare()


def test_preparing_leaves_an_empty_folder_and_may_be_repeated(store):
    store.prepare()
    assert _names(store) == []


def test_records_come_oldest_first_and_nothing_else_does(filled):
    (filled.folder / "notes.txt").write_text("mine")
    assert [path.stem for path in filled.paths()] == list(IDS)
