"""What a record contains so that its command can be repeated: the user's own code, and versions.

The content of a file lies once in the folder of results, under its sha256; records name it.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.machine.files import read_file, replace_file, without_home
from harness.core.plugins import registry
from harness.core.plugins.distributions import HARNESS, required_by
from harness.core.plugins.files import given_plugin_files
from harness.core.plugins.sources import imported_modules, own_files
from harness.errors import HarnessError, UsageError

#: The folder in a folder of results that has the content of source files.
SOURCES = "sources"
#: Larger files are named by their hash, and their content is not kept.
MOST_BYTES = 2**20
#: The most files of a record whose content is kept.
MOST_FILES = 500


class SourceFile(msgspec.Struct, frozen=True):
    """A file of the user's own code that a command ran: its path, the sha256 of its content, and its size.

    ``path`` is relative to the folder in which the command ran. Outside of it, it is whole, or begins with
    ``~`` for the home folder.
    ``kept`` is False if the content is not stored: the file was larger than 1 MiB, or beyond the 500th.
    """

    path: str
    sha256: str
    bytes: int
    kept: bool = True


class Needs(NamedTuple):
    """What a record names of the code that its command ran: targets such as ``net.py:make``, and backends."""

    targets: Sequence[str] = ()
    backends: Sequence[str] = ()


class Contents(NamedTuple):
    """The folder in which a command ran, its source files, and the versions of what it imported."""

    folder: str
    sources: list[SourceFile]
    distributions: dict[str, str]


def contents_of(needs: Needs, results: Path) -> Contents:
    """Return the contents of a new record with these ``needs``, and keep the source files in ``results``.

    Files given by ``--plugin`` belong to every record.
    """
    paths = own_files(needs.targets, given_plugin_files())
    requirements = [HARNESS, *(each for backend in needs.backends for each in _requirements(backend))]
    return Contents(
        without_home(str(Path.cwd())),
        [*_kept(paths, results)],
        required_by(requirements, imported_modules(paths)),
    )


def _requirements(backend: str) -> Iterable[str]:
    with contextlib.suppress(HarnessError):  # unknown here: the record says so
        return registry.backend(backend).requires
    return ()


def _kept(paths: Iterable[Path], results: Path) -> Iterable[SourceFile]:
    folder, count = Path.cwd(), 0
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:  # gone since it was imported
            continue
        digest = hashlib.sha256(content).hexdigest()
        kept = len(content) <= MOST_BYTES and count < MOST_FILES
        if kept:
            _store(source_path(results, digest), content)
        count += kept
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else without_home(str(path))
        yield SourceFile(name, digest, len(content), kept)


def _store(path: Path, content: bytes) -> None:
    """Write a source file unless it is there; one that was edited since is written again."""
    with contextlib.suppress(OSError):
        if read_file(path, MOST_BYTES) == content:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)


def source_path(results: Path, sha256: str) -> Path:
    """Return the place in a folder of results of the content with this hash."""
    return results / SOURCES / f"{sha256}.py"


def read_source(results: Path, source: SourceFile) -> bytes:
    """Return the content of a source file that a record names, from the record's folder of results."""
    path = source_path(results, source.sha256)
    if not source.kept:
        raise UsageError(f"{source.path} is not kept: it has {source.bytes:,} bytes, sha256 {source.sha256}")
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path}, the content of {source.path}, cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise UsageError(f"{path}, the content of {source.path}, was changed after it was written")
    return content
