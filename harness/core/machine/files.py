"""Files that are written completely or not at all, and read only if they are files of a bounded size."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

#: The most bytes of a file that is read as a whole: records have up to a few megabytes.
MOST_BYTES = 2**27
#: A draft has a name of at most 255 bytes, whatever the name of the file: 60 characters have up to 240.
_NAME_CHARACTERS = 60
_DRAFT = re.compile(r"\..+\.\d+\.tmp")
#: A draft exists for seconds. Processes are no guide: those on other machines write to shared folders, too.
_LONGEST_WRITE_SECONDS = 3600.0


def prove_writable(folder: Path) -> None:
    """Create the folder and write a temporary file in it.

    Raises:
        OSError: the folder is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        for place in (folder, *folder.parents):
            if place.is_symlink() and not place.exists():
                why = f"{place} is a link to {place.readlink()}, which does not exist"
                raise OSError(errno.ENOENT, why) from error
        raise
    with tempfile.TemporaryFile(dir=folder):
        pass


def replace_result(path: Path, content: bytes) -> None:
    """Replace a file as :func:`replace_file`, and make again a folder of results that was removed."""
    try:
        replace_file(path, content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file to the disk, completely or not at all.

    Raises:
        OSError: it cannot be written; the previous content remains.
    """
    temporary = path.with_name(f".{path.name[:_NAME_CHARACTERS]}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # The new name is on the disk only after the folder is; some shared folders do not support syncing.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(folder)


def sweep_drafts(folder: Path) -> None:
    """Delete what writers that were killed in :func:`replace_file` have left in a folder."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _DRAFT.fullmatch(path.name) and _is_abandoned(path):
                path.unlink()


def _is_abandoned(draft: Path) -> bool:
    status = draft.lstat()
    return stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _LONGEST_WRITE_SECONDS


_CHUNK_BYTES = 2**16


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a regular file.

    Neither waits for the writer of a pipe nor reads a device that has no end.

    Raises:
        OSError: it cannot be read, is something else, or has more than ``most_bytes``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor has no path
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # Allocating ``most_bytes`` would take longer than reading a record. The size is only a hint: files
        # grow, and those in /proc report none.
        content = file.read(min(status.st_size, most_bytes) + 1)
        while len(content) <= most_bytes and (more := file.read(_CHUNK_BYTES)):
            content += more
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes:,} bytes", str(path))
    return content


def system_text(path: Path) -> str:
    """Read a file of the operating system, stripped; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


#: Whether a user's text is the path of a file or of a folder. Unlike those of ``Path`` they never raise.
is_file, is_folder = os.path.isfile, os.path.isdir


# Checksums of JSON documents: the last field of a file is the sha256 of all bytes before it.
#
# The checksum covers the bytes of the file, so verifying it decodes nothing. It finds damage and edits, also
# edits that only format the file anew; it is no signature.

#: How a file with a checksum ends.
_END = re.compile(rb',\n *"checksum": "sha256:([0-9a-f]{64})"\n}\n\Z')
_LONGEST_END = 128
#: Key or value in the last bytes shows that there is a checksum, even if the other is damaged. Within other
#: texts, quotes are escaped.
_PART = re.compile(rb'(?<!\\)"(checksum":|sha256:)')


class ContentChanged(Exception):
    """The bytes are not those that were written; the message says so without naming the file."""

    def __init__(self, why: str = "its checksum does not match") -> None:
        super().__init__(f"was changed after it was written (damaged or edited): {why}")


def with_checksum(document: bytes) -> bytes:
    """Add the field ``checksum`` at the end of a document.

    ``document`` is a JSON object of one field or more, in one line or indented.
    """
    content = document.rstrip().removesuffix(b"}").rstrip()
    line = content.rpartition(b"\n")[2] if b"\n" in content else b""
    indent = len(line) - len(line.lstrip(b" "))
    digest = hashlib.sha256(content).hexdigest().encode()
    return content + b",\n" + b" " * indent + b'"checksum": "sha256:' + digest + b'"\n}\n'


def verify_checksum(content: bytes) -> bool:
    """Check whether a file has a checksum, and that it fits the content.

    Raises:
        ContentChanged: it is not.
    """
    end = content[-_LONGEST_END:]
    found = _END.search(end)
    if found is None:
        if _PART.search(end):
            raise ContentChanged
        return False
    before = memoryview(content)[: len(content) - len(end) + found.start()]
    if hashlib.sha256(before).hexdigest().encode() != found[1]:
        raise ContentChanged
    return True


# Documents in the user's cache, a JSON file each: read as they were written, or not at all.
#
# A cache only saves time. Damaged entries are rebuilt; write failures are ignored.

_T = TypeVar("_T")


def cache_folder() -> Path:
    """Return the folder of all caches: ``HARNESS_CACHE_DIR``, or the user's own."""
    return Path(os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness"))


def read_cached(path: Path, kind: type[_T]) -> _T | None:
    """Read the document in a file; None where there is none of this kind, or the file was changed."""
    with contextlib.suppress(
        OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ContentChanged
    ):
        content = read_file(path)
        if verify_checksum(content):
            return msgspec.json.decode(content, type=kind)
    return None


def write_cached(path: Path, document: object) -> None:
    """Write a document where that is possible."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_drafts(path.parent)
        replace_file(path, with_checksum(msgspec.json.encode(document)))


# A folder for temporary files, of which nothing is left however this process ends.

#: Deletes a folder when standard input closes, which it does when the parent closes it or dies. A program to
#: wait for that may be missing, and the folder would be deleted at once; ``read`` is part of the shell. A
#: process that is being killed may still write into the folder, so it tries again until nothing is left.
_DELETE = """
read -r _
for try in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf -- "$1" && [ ! -e "$1" ] && exit
  sleep 0.2
done
"""


class GuardedFolder:
    """A folder that is created when it is first asked for, and deleted by :meth:`close`.

    A small process deletes it if this one is killed.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._path: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """Where it is, until :meth:`close`.

        Raises:
            OSError: it cannot be created.
        """
        if self._path is None:
            # The guard comes first: a kill between the two must not leave the folder either.
            path = Path(tempfile.gettempdir()) / f"{self._prefix}{secrets.token_hex(8)}"
            with contextlib.suppress(OSError):  # without it, only a kill leaves the folder
                self._guard = subprocess.Popen(
                    ["/bin/sh", "-c", _DELETE, "guard", str(path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            path.mkdir(mode=0o700)
            self._path = path
        return self._path

    def close(self) -> None:
        """Delete it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None
