"""Hostile archives: names that lead outside, links, devices and bombs."""

import io
import os
import stat
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import data_files

from harness.errors import DataError
from harness_tasks.datasets import bundle as bundles
from harness_tasks.datasets.bundle import open_bundle


def quiet(what, done, total):
    pass


def names_in(path, scratch):
    with open_bundle(path, scratch, quiet) as bundle:
        return {name: member.read() for name, member in bundle.items()}


HOSTILE = ["../escaped", "a/../../escaped", "/tmp/escaped", "..\\escaped", "C:\\escaped", "a/..", "//escaped"]  # noqa: S108


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("write", [data_files.write_tar, data_files.write_zip])
def test_a_name_outside_refuses_the_archive(name, write, tmp_path):
    path = write(tmp_path / "archive", {"fine": b"1", name: b"2"})
    with pytest.raises(DataError, match="would lie outside the archive"):
        names_in(path, tmp_path)
    assert list(tmp_path.iterdir()) == [path]


PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c.txt"]), min_size=1, max_size=5).filter(any)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=PARTS, as_zip=st.booleans())
def test_no_name_that_comes_through_leads_outside(parts, as_zip, tmp_path):
    name = "/".join(parts)
    write = data_files.write_zip if as_zip else data_files.write_tar
    path = write(tmp_path / "archive", {name: b""})
    try:
        names = names_in(path, tmp_path)
    except DataError:
        return
    assert not name.startswith("/")
    assert not any(os.path.normpath(found).startswith(("..", "/")) for found in names)
    assert list(tmp_path.iterdir()) == [path]


LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]


@pytest.mark.parametrize("kind", [*LINKS, "zip"])
def test_links_and_devices_refuse_an_archive(kind, tmp_path):
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
            info = zipfile.ZipInfo("train")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc")
    else:
        with tarfile.open(tmp_path / "archive", "w") as archive:
            info = tarfile.TarInfo("train")
            info.type, info.linkname = kind, "/etc"
            archive.addfile(info)
    with pytest.raises(DataError, match="is a link or a device"):
        names_in(tmp_path / "archive", tmp_path)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "zip"])
def test_a_bomb_is_refused_before_it_is_unpacked(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_TOTAL_BYTES", 2**20)
    files = {str(number): bytes(2**19) for number in range(16)}
    path = tmp_path / "archive"
    data_files.write_zip(path, files) if mode == "zip" else data_files.write_tar(path, files, mode)
    unpacked = [0]
    with (
        pytest.raises(DataError, match="is refused: it holds more than 1 MiB"),
        open_bundle(path, tmp_path, lambda _what, done, _total: unpacked.append(done)),
    ):
        pass
    assert max(unpacked) <= 2**20


def test_a_file_larger_than_any_of_the_data_set_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_MEMBER_BYTES", 10)
    path = data_files.write_tar(tmp_path / "archive", {"data_batch_1": bytes(11)})
    with pytest.raises(DataError, match="has 11 bytes, more than any file"):
        names_in(path, tmp_path)


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 2)
    files = dict.fromkeys("abc", b"")
    with pytest.raises(DataError, match="more than 2 files: give the data set's own folder"):
        names_in(data_files.write_folder(tmp_path / "folder", files), tmp_path)
    with pytest.raises(DataError, match="2 files or"):
        names_in(data_files.write_tar(tmp_path / "archive", files), tmp_path)


def encrypted(content):
    changed = bytearray(content)
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
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


def test_a_tar_inside_is_no_zip_even_if_it_ends_like_one(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inner", b"1")
    path = data_files.write_tar(tmp_path / "archive", {"last.zip": inner.getvalue()}, "w:")
    assert list(names_in(path, tmp_path)) == ["last.zip"]


def tar_header(kind, size, name="a"):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


TOO_LONG = r"a header has 900,\d+,\d+ bytes, more than 16,384"
NO_SIZE = "member 'a' has an impossible size"


@pytest.mark.parametrize(
    ("content", "length", "words"),
    [
        # Holes, which take no space.
        (tar_header(tarfile.GNUTYPE_LONGNAME, 900_000_000), 900_001_024, TOO_LONG),
        (tar_header(tarfile.GNUTYPE_LONGLINK, 900_000_000), 900_001_024, TOO_LONG),
        (tar_header(tarfile.XHDTYPE, 900_000_000), 900_001_024, TOO_LONG),
        (tar_header(tarfile.REGTYPE, 2**62), 2_560, NO_SIZE),
        (tar_header(tarfile.REGTYPE, 5_000), 2_560, NO_SIZE),
        (
            (tar_header(tarfile.GNUTYPE_LONGNAME, 1) + b"a".ljust(512, b"\0")) * 5_000,
            5_120_000,
            "is truncated or broken",
        ),
    ],
    ids=[
        "long name",
        "long link",
        "long header",
        "impossible size",
        "size beyond the end",
        "endless headers",
    ],
)
def test_a_hostile_tar_header_is_not_followed(tmp_path, content, length, words):
    path = tmp_path / "archive"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(length)
    with pytest.raises(DataError, match=words):
        names_in(path, tmp_path)


@pytest.mark.parametrize("write", [data_files.write_tar, data_files.write_zip])
def test_long_names_in_sum(write, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_NAMES_BYTES", 300)
    path = write(tmp_path / "archive", {letter * 150: b"" for letter in "abc"})
    with pytest.raises(DataError, match="MiB of names"):
        names_in(path, tmp_path)


def test_the_list_of_a_zip_is_bounded_and_its_files_are_not_by_that(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_ZIP_LIST_BYTES", 60_000)
    path = data_files.write_zip(tmp_path / "archive", {"a": os.urandom(300_000)})
    assert len(names_in(path, tmp_path)["a"]) == 300_000
    path = data_files.write_zip(tmp_path / "archive", {f"{number:04}": b"" for number in range(2_000)})
    with pytest.raises(DataError, match="a header has"):
        names_in(path, tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a file or folder"):
        names_in(tmp_path / "pipe", tmp_path)
