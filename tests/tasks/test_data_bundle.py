"""Archives that are broken, too large, or name paths outside of them."""

import os
import tarfile
import zipfile

import pytest
from support import data_files

from harness.errors import DataError
from harness_tasks.datasets import bundle as bundles
from harness_tasks.datasets.bundle import open_bundle


def quiet(what, done, total):
    pass


def names_in(path, scratch):
    with open_bundle(path, scratch, quiet) as bundle:
        return {name: member.read() for name, member in bundle.items()}


@pytest.mark.parametrize("write", [data_files.write_tar, data_files.write_zip])
def test_nothing_is_written_to_a_path_of_an_archive(write, tmp_path):
    path = write(tmp_path / "archive", {"fine": b"1", "../escaped": b"2"})
    assert names_in(path, tmp_path)["fine"] == b"1"
    assert list(tmp_path.iterdir()) == [path]
    assert not (tmp_path.parent / "escaped").exists()


def test_links_of_a_tar_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / "archive", "w") as archive:
        info = tarfile.TarInfo("train")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    assert names_in(tmp_path / "archive", tmp_path) == {}


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "zip"])
def test_a_bomb_is_refused_before_it_is_unpacked(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_TOTAL_BYTES", 2**21)
    files = {str(number): bytes(2**19) for number in range(16)}
    path = tmp_path / "archive"
    data_files.write_zip(path, files) if mode == "zip" else data_files.write_tar(path, files, mode)
    unpacked = [0]
    with (
        pytest.raises(DataError, match="is refused: it holds more than 2 MiB"),
        open_bundle(path, tmp_path, lambda _what, done, _total: unpacked.append(done)),
    ):
        pass
    assert max(unpacked) <= 2**22


def test_a_file_larger_than_any_of_the_data_set_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_MEMBER_BYTES", 10)
    path = data_files.write_tar(tmp_path / "archive", {"data_batch_1": bytes(11)})
    with pytest.raises(DataError, match="has 11 bytes, more than any file"):
        names_in(path, tmp_path)


def encrypted(content):
    changed = bytearray(content)
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
    changed[6] |= 1
    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.replace(b"content", b"CONTENT"), "archive: a is truncated or broken"),
        (encrypted, "encrypted"),
    ],
    ids=["damaged", "encrypted"],
)
def test_a_zip_that_cannot_be_read(tmp_path, change, words):
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"content of the file")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        names_in(path, tmp_path)


def test_a_folder_that_contains_itself_ends(tmp_path):
    folder = data_files.write_folder(tmp_path / "folder", {"a/b": b"1"})
    (folder / "a" / "again").symlink_to(folder)
    assert names_in(folder, tmp_path)["a/b"] == b"1"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a file or folder"):
        names_in(tmp_path / "pipe", tmp_path)
