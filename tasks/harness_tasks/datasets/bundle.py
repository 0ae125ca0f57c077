"""The files of a folder, a zip or a tar as a mapping from names to contents.

Nothing is ever unpacked to a path that an archive names. An archive with members that point outside it
(absolute names, ``..``, links, devices) is refused as a whole. The memory
for its names and headers is limited to a small multiple of what CIFAR-10 needs.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from harness.errors import DataError
from harness.spec import DownloadProgress

#: Limits far above the needs of CIFAR-10 in any form (0.19 GB, 60,000 files, the largest 31 MB), so that no
#: small archive can fill the disk or the memory.
MAX_TOTAL_BYTES = 2**30
MAX_MEMBER_BYTES = 2**26
MAX_MEMBERS = 200_000
#: Of all names together; those of 60,000 images have 2 MB.
MAX_NAMES_BYTES = 2**25
#: Limits of the headers before a member of a tar, such as a long name, and of a zip's list of members.
MAX_TAR_HEADER_BYTES = 2**14
MAX_ZIP_LIST_BYTES = 2**24
#: Levels of folders below the named one: a cache, an enclosing folder, ``train``, a class.
MAX_DEPTH = 4

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,  # of a position in the file
    NotImplementedError,  # of a zip of a later version
    RecursionError,  # of nested headers
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_COMPRESSIONS: dict[bytes, ModuleType] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}


@dataclass(frozen=True, slots=True)
class Member:
    """One file: ``where`` names it in errors, ``size`` is in bytes."""

    where: str
    size: int
    content: Callable[[], bytes]

    def read(self) -> bytes:
        """Read the whole content."""
        if self.size > MAX_MEMBER_BYTES:
            raise DataError(f"{self.where} has {self.size:,} bytes, more than any file of this data set")
        with _broken(self.where):
            return self.content()


Bundle = dict[str, Member]


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    size: int
    kind: int  # a file type of the stat module
    content: Callable[[], bytes]


class _BoundedReads:
    """A file of which at most ``most_bytes`` are read in one call, whatever an archive's headers ask for."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file = file
        self.most_bytes = most_bytes
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self.most_bytes:
            raise ValueError(f"a header has {size:,} bytes, more than {self.most_bytes:,}")
        content = self._file.read(min(size, self.most_bytes) if size >= 0 else self.most_bytes + 1)
        if len(content) > self.most_bytes:
            raise ValueError(f"a header has more than {self.most_bytes:,} bytes")
        return content


@contextlib.contextmanager
def open_bundle(path: Path, scratch: Path, progress: DownloadProgress) -> Iterator[Bundle]:
    """Open the files by their names with ``/``, readable as long as the context lasts.

    Args:
        path: A folder, a zip, or a tar that may be compressed by gzip, bzip2 or xz; recognised by content.
        scratch: A folder for an unnamed file with the uncompressed tar, whose members can then be read in any
            order. The file disappears with the process.
        progress: Called with the number of uncompressed bytes.
    """
    if path.is_dir():
        with _broken(str(path)):
            bundle = _folder(path)
        yield bundle
        return
    if not path.is_file():
        raise DataError(f"{path} is not a file or folder")
    with contextlib.ExitStack() as stack:
        with _broken(str(path)):
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            start = file.read(6)
            file.seek(0)
        if start.startswith(b"PK\x03\x04"):
            with _broken(str(path)):
                bounded = _BoundedReads(file, MAX_ZIP_LIST_BYTES)
                archive = stack.enter_context(zipfile.ZipFile(cast("IO[bytes]", bounded)))
                bundle = _index(path, _zip_entries(archive))
                bounded.most_bytes = MAX_MEMBER_BYTES
        else:
            if compression := next((_COMPRESSIONS[m] for m in _COMPRESSIONS if start.startswith(m)), None):
                packed = stack.enter_context(compression.open(file))
                file = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
                _uncompress(path, packed, file, progress)
            with _broken(str(path)):
                bundle = _index(path, _tar_entries(file))
        yield bundle


@contextlib.contextmanager
def _broken(where: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DataError(
            f"{where} is truncated or broken, or not a folder, zip or tar (gz, bz2, xz): {error}"
        ) from error


def _uncompress(path: Path, packed: IO[bytes], target: IO[bytes], progress: DownloadProgress) -> None:
    done = 0
    while chunk := _read_chunk(path, packed):
        done += len(chunk)
        if done > MAX_TOTAL_BYTES:
            raise _too_large(path)
        target.write(chunk)
        progress("uncompressing", done, 0)
    target.seek(0)


def _read_chunk(path: Path, packed: IO[bytes]) -> bytes:
    with _broken(str(path)):
        return packed.read(2**20)


def _folder(path: Path) -> Bundle:
    bundle: Bundle = {}
    for directory, folders, names in os.walk(path, followlinks=True):
        here = Path(directory)
        deep = len(here.relative_to(path).parts) >= MAX_DEPTH
        folders[:] = [] if deep else [name for name in folders if not _is_noise(name)]
        for file in (here / name for name in names if not _is_noise(name)):
            if file.is_file():
                name = file.relative_to(path).as_posix()
                bundle[name] = Member(str(file), file.stat().st_size, file.read_bytes)
        if len(bundle) > MAX_MEMBERS:
            raise DataError(f"{path} holds more than {MAX_MEMBERS:,} files: give the data set's own folder")
    return bundle


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        if info.flag_bits & 1:
            raise zipfile.BadZipFile("it is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("it uses a compression other than deflate")
        kind = stat.S_IFDIR if info.is_dir() else stat.S_IFMT(info.external_attr >> 16) or stat.S_IFREG

        def content(info: zipfile.ZipInfo = info) -> bytes:
            with archive.open(info) as file:
                return file.read(info.file_size)

        yield _Entry(info.filename, info.file_size, kind, content)


def _tar_entries(file: IO[bytes]) -> Iterator[_Entry]:
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    bounded = cast("IO[bytes]", _BoundedReads(file, MAX_TAR_HEADER_BYTES))
    with tarfile.open(fileobj=bounded, mode="r:") as archive:
        while info := archive.next():
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all headers
            start, size = info.offset_data, info.size
            if not 0 <= size <= length - start or info.issparse():
                raise tarfile.ReadError(f"member {info.name[:200]!r} has an impossible size")
            kind = stat.S_IFREG if info.isfile() else stat.S_IFDIR if info.isdir() else 0

            def content(start: int = start, size: int = size) -> bytes:
                file.seek(start)
                return file.read(size)

            yield _Entry(info.name, size, kind, content)
        # tarfile takes a truncation between two members, or a bad header after the first one, for the end.
        file.seek(archive.offset)
        if file.read(512) != bytes(512):
            raise tarfile.ReadError("the end-of-archive marker is missing")


def _index(path: Path, entries: Iterable[_Entry]) -> Bundle:
    bundle: Bundle = {}
    total = names = 0
    for number, entry in enumerate(entries, 1):
        parts = _safe_parts(path, entry)
        total += entry.size
        names += len(entry.name)
        if total > MAX_TOTAL_BYTES or names > MAX_NAMES_BYTES or number > MAX_MEMBERS:
            raise _too_large(path)
        if entry.kind == stat.S_IFREG and not any(map(_is_noise, parts)):
            bundle["/".join(parts)] = Member(f"{path}: {entry.name[:200]}", entry.size, entry.content)
    return bundle


def _safe_parts(path: Path, entry: _Entry) -> list[str]:
    parts = entry.name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
        raise DataError(f"{path} is refused: its member {entry.name[:200]!r} would lie outside the archive")
    if entry.kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{path} is refused: its member {entry.name[:200]!r} is a link or a device")
    return [part for part in parts if part not in ("", ".")]


def _too_large(path: Path) -> DataError:
    return DataError(
        f"{path} is refused: it holds more than {MAX_TOTAL_BYTES // 2**20:,} MiB, {MAX_MEMBERS:,} files "
        f"or {MAX_NAMES_BYTES // 2**20} MiB of names, far more than this data set"
    )


def _is_noise(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"
