"""The files of a folder, a zip or a tar as a mapping from names to contents.

Nothing is ever written to a path that an archive names: its files are read where they lie.
"""

import contextlib
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from harness.errors import DataError
from harness.spec import DownloadProgress

#: Limits far above the needs of CIFAR-10 in any form (0.19 GB, the largest file 31 MB), so that no small
#: archive can fill the disk or the memory.
MAX_TOTAL_BYTES = 2**30
MAX_MEMBER_BYTES = 2**26
#: Levels of folders below the named one: a cache, an enclosing folder, ``train``, a class.
MAX_DEPTH = 4

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # of an encrypted zip, or a compression that this Python cannot read
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


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


@contextlib.contextmanager
def open_bundle(path: Path, scratch: Path, progress: DownloadProgress) -> Iterator[Bundle]:
    """Open the files by their names with ``/``, readable as long as the context lasts.

    Args:
        path: A folder, a zip, or a tar that may be compressed by gzip, bzip2 or xz; recognised by content.
        scratch: A folder for an unnamed file with the uncompressed tar, whose members can then be read in any
            order. The file disappears with the process.
        progress: Called with the number of uncompressed bytes.
    """
    if not path.is_file() and not path.is_dir():
        raise DataError(f"{path} is not a file or folder")
    with contextlib.ExitStack() as stack:
        with _broken(str(path)):
            if path.is_dir():
                bundle = _folder(path)
            elif zipfile.is_zipfile(path):
                bundle = _zip(path, stack.enter_context(zipfile.ZipFile(path)))
            else:
                bundle = _tar(path, stack.enter_context(tempfile.TemporaryFile(dir=scratch)), progress)
        if sum(member.size for member in bundle.values()) > MAX_TOTAL_BYTES:
            raise _too_large(path)
        yield {name: member for name, member in bundle.items() if not any(map(_is_noise, name.split("/")))}


@contextlib.contextmanager
def _broken(where: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DataError(
            f"{where} is truncated or broken, or not a folder, zip or tar (gz, bz2, xz): {reason}"
        ) from error


def _folder(path: Path) -> Bundle:
    bundle: Bundle = {}
    for directory, folders, names in os.walk(path, followlinks=True):
        here = Path(directory)
        if len(here.relative_to(path).parts) >= MAX_DEPTH:
            folders.clear()
        for file in filter(Path.is_file, map(here.joinpath, names)):
            name = file.relative_to(path).as_posix()
            bundle[name] = Member(str(file), file.stat().st_size, file.read_bytes)
    return bundle


def _zip(path: Path, archive: zipfile.ZipFile) -> Bundle:
    return {
        _name(info.filename): Member(f"{path}: {info.filename}", info.file_size, partial(archive.read, info))
        for info in archive.infolist()
        if not info.is_dir()
    }


def _tar(path: Path, plain: IO[bytes], progress: DownloadProgress) -> Bundle:
    """Uncompress a tar into ``plain``, and list its files."""
    with tarfile.open(path, "r:*") as archive:
        packed = cast("IO[bytes]", archive.fileobj)  # it uncompresses what is read
        packed.seek(0)
        while chunk := packed.read(2**20):
            plain.write(chunk)
            progress("uncompressing", plain.tell(), 0)
            if plain.tell() > MAX_TOTAL_BYTES:
                raise _too_large(path)
    plain.seek(0)
    bundle: Bundle = {}
    with tarfile.open(fileobj=plain, mode="r:") as archive:
        for info in filter(tarfile.TarInfo.isfile, archive):

            def content(start: int = info.offset_data, size: int = info.size) -> bytes:
                plain.seek(start)
                return plain.read(size)

            bundle[_name(info.name)] = Member(f"{path}: {info.name}", info.size, content)
        # tarfile takes a truncation between two members, or a bad header after the first one, for the end.
        plain.seek(archive.offset)
        if plain.read(512) != bytes(512):
            raise tarfile.ReadError("the end-of-archive marker is missing")
    return bundle


def _name(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _too_large(path: Path) -> DataError:
    return DataError(
        f"{path} is refused: it holds more than {MAX_TOTAL_BYTES // 2**20:,} MiB, far more than this data set"
    )


def _is_noise(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"
