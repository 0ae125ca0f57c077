"""The store: complete or not at all, whoever dies or writes at the same time; fingerprints are verified."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from support import data_files

from harness.errors import DataError, HarnessError
from harness.spec.data import Samples, fingerprint
from harness_tasks.datasets import SOURCES, store

CIFAR10 = SOURCES["cifar10"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "cifar10"


def archive(tmp_path, **counts):
    name = f"archive{counts}"
    return data_files.write_tar(tmp_path / name, data_files.picture_files(**counts))


def arrays(folder):
    return [path.name for path in folder.glob("arrays-*")]


def test_the_fingerprint_follows_the_documented_formula():
    train = Samples(np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3), np.array([1, 0]))
    test = Samples(np.ones((1, 2, 2, 3), np.uint8), np.array([7]))
    spelled_out = (
        b"train.inputs |u1 2,2,2,3\n" + bytes(range(24))
        + b"train.targets <i8 2\n" + b"\x01" + bytes(15)
        + b"test.inputs |u1 1,2,2,3\n" + b"\x01" * 12
        + b"test.targets <i8 1\n" + b"\x07" + bytes(7)
    )  # fmt: skip
    assert fingerprint(train, test) == hashlib.sha256(spelled_out).hexdigest()
    # The layout in memory is no part of it, the order of rows is.
    other = Samples(np.asfortranarray(train.inputs), train.targets.astype(">i8"))
    assert fingerprint(other, test) == fingerprint(train, test)
    assert fingerprint(Samples(train.inputs[::-1], train.targets[::-1]), test) != fingerprint(train, test)


def test_a_missing_data_set_is_reported_with_the_remedy(folder):
    assert not CIFAR10.is_ready()
    with pytest.raises(DataError, match=r"is not on this machine.*harness data fetch cifar10"):
        CIFAR10.load()


def flip_the_last_byte(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip_the_last_byte, "sha256"),
        (os.unlink, "an array cannot be read"),
        (lambda path: os.truncate(path, 200), "an array cannot be read"),
        (lambda path: os.truncate(path, 0), "an array cannot be read"),
    ],
    ids=["changed", "lost", "cut", "empty"],
)
def test_a_damaged_array_is_found_and_a_new_import_replaces_it(damage, reason, folder, tmp_path):
    CIFAR10.import_from(archive(tmp_path))
    (path,) = folder.glob("arrays-*/test_inputs.npy")
    damage(path)
    with pytest.raises(DataError, match=f"is damaged.*{reason}"):
        CIFAR10.load()
    CIFAR10.import_from(archive(tmp_path))
    CIFAR10.load()
    assert len(arrays(folder)) == 1


WHOLE = object()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fingerprint", "0" * 64),
        ("counts", {"train": 10, "test": 20}),
        ("classes", ["cat"] * 10),
        ("schema", 2),
        ("name", "cifar100"),
        ("arrays", "../../elsewhere"),
        ("origin", None),
        (WHOLE, "[" * 50_000),
        (WHOLE, '{"schema": 1}'),
        (WHOLE, "\x00"),
    ],
)
def test_a_changed_or_broken_description_is_found(field, value, folder, tmp_path):
    CIFAR10.import_from(archive(tmp_path))
    path = folder / "dataset.json"
    path.write_text(value if field is WHOLE else json.dumps({**json.loads(path.read_text()), field: value}))
    for read in (CIFAR10.load, *((CIFAR10.summarize,) if field is WHOLE else ())):
        with pytest.raises(DataError, match="is damaged"):
            read()


def test_the_new_data_set_replaces_the_old_one_under_a_reader(folder, tmp_path):
    old = CIFAR10.import_from(archive(tmp_path))
    new = CIFAR10.import_from(archive(tmp_path, train=3))
    assert (len(CIFAR10.load().train), len(new.train)) == (30, 30)
    assert len(arrays(folder)) == 1
    assert fingerprint(old.train, old.test) == old.fingerprint  # still mapped by who had it open


KILLED = """
import os, signal, sys
from pathlib import Path
from harness_tasks.datasets import SOURCES

def progress(what, done, total):
    if what == "reading images":
        os.kill(os.getpid(), signal.SIGKILL)

SOURCES["cifar10"].import_from(Path(sys.argv[1]), progress)
"""


@pytest.mark.parametrize("copy_is_here", [True, False])
def test_a_killed_import_leaves_only_what_the_next_one_deletes(copy_is_here, folder, tmp_path):
    before = CIFAR10.import_from(archive(tmp_path)).fingerprint if copy_is_here else None
    command = [sys.executable, "-c", KILLED, str(archive(tmp_path, train=3))]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL

    assert len(arrays(folder)) == 1 + copy_is_here, "the kill came too early to show anything"
    assert CIFAR10.is_ready() == copy_is_here
    if before:
        assert CIFAR10.load().fingerprint == before
    CIFAR10.import_from(archive(tmp_path, test=2))
    assert len(arrays(folder)) == 1


def test_imports_at_the_same_time_take_turns(folder, tmp_path):
    paths = [archive(tmp_path, train=count) for count in (1, 2, 3)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=CIFAR10.import_from, args=(path,)) for path in paths]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(CIFAR10.load().train) in {10, 20, 30}
    assert len(arrays(folder)) == 1


def test_waiting_for_another_writer_is_reported(folder, tmp_path):
    reported = threading.Event()
    path = archive(tmp_path)
    with CIFAR10._store.exclusive(lambda *_: None):
        second = threading.Thread(target=CIFAR10.import_from, args=(path, lambda *_: reported.set()))
        second.start()
        assert reported.wait(30)
        assert not CIFAR10.is_ready()
    second.join()
    assert CIFAR10.is_ready()


def test_a_folder_that_is_not_writable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(HarnessError, match="cannot be written") as caught:
        CIFAR10.import_from(archive(tmp_path))
    assert not isinstance(caught.value, DataError)


def test_a_bit_flipped_in_a_header_is_damage(folder, tmp_path):
    CIFAR10.import_from(archive(tmp_path))
    (path,) = folder.glob("arrays-*/train_inputs.npy")
    whole = path.read_bytes()
    for place in range(128):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x02]) + whole[place + 1 :])
        try:
            CIFAR10.load()
        except DataError as error:
            assert "is damaged" in str(error)  # noqa: PT017  some bits, such as of padding, change nothing


def test_a_reader_meets_the_old_data_set_or_the_new_one(folder, tmp_path, monkeypatch):
    paths = [archive(tmp_path), archive(tmp_path, train=3)]
    fingerprints = [CIFAR10.import_from(path).fingerprint for path in paths]
    mapped = store.map_arrays
    imports = iter([paths[0], paths[1]])

    def replaced_meanwhile(arrays):
        """The reader has read the description when the folder that it names disappears."""
        if path := next(imports, None):
            monkeypatch.setattr(store, "map_arrays", mapped)
            CIFAR10.import_from(path)
            monkeypatch.setattr(store, "map_arrays", replaced_meanwhile)
        return mapped(arrays)

    monkeypatch.setattr(store, "map_arrays", replaced_meanwhile)
    assert CIFAR10.load().fingerprint == fingerprints[1]
    assert len(arrays(folder)) == 1
