"""Files that were written while a gate ran: then a side did not run the code that was asked for.

The time of the last change of a file (ctime) is set by the kernel alone, so a file whose content and times
were restored is found too.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import NamedTuple

from harness.timing.engine.steps.search_path import is_installed, is_part_of, top_of
from harness.timing.environments import git


class Written(NamedTuple):
    """A file that was written; ``side`` runs it, and is empty for a file that is no code of a side."""

    side: str
    file: str


class _State(NamedTuple):
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    links: int


class WrittenFiles:
    """A watch over files, from now on."""

    def __init__(self, files: Iterable[str] = ()) -> None:
        """Begin with ``files`` that are no code of a side."""
        with tempfile.TemporaryFile() as file:  # by the clock of files, which may lag behind that of Python
            self.started_ns = os.fstat(file.fileno()).st_ctime_ns
        self._tops: dict[str, str] = {}
        self._tracked: dict[str, list[str]] = {}
        self._before: dict[tuple[str, str], tuple[_State | None, str]] = {}
        self.add("", files)

    def add(self, side: str, files: Iterable[str]) -> None:
        """Watch files that a process of a side has imported."""
        for file in files:
            if (side, file) not in self._before:
                state = _state(file)
                shared = state is not None and state.links > 1
                self._before[side, file] = state, _content(file) if shared else ""

    def add_checkout(self, side: str, folder: str) -> None:
        """Watch all files of a checkout in which nobody but its own processes has anything to write.

        It was made before, so all of its files are older than the watch.
        """
        top = self._tops[side] = top_of(folder)
        self._tracked[side] = [str(Path(top, name)) for name in git.tracked_files(Path(top))]

    def first(self) -> Written | None:
        """Return a file that was written; None without any."""
        for (side, file), (before, content) in self._before.items():
            if not self._is_kept(file, before, content):
                return Written(side, self._named(side, file))
        for side, top in self._tops.items():
            for file in (*self._tracked[side], *_code(top)):
                state = _state(file)
                if state is None or state.ctime_ns > self.started_ns:
                    return Written(side, self._named(side, file))
        return None

    def _is_kept(self, file: str, before: _State | None, content: str) -> bool:
        now = _state(file)
        if now is None or before is None or before.ctime_ns > self.started_ns:
            return False
        if now == before:
            return True
        # Environments in the cache share files: making or removing another one changes links and ctime.
        linked = now.links != before.links and now._replace(ctime_ns=before.ctime_ns, links=before.links)
        return linked == before and content == _content(file) != ""

    def _named(self, side: str, file: str) -> str:
        top = self._tops.get(side)
        if top is not None and is_part_of(file, top):
            return os.path.relpath(file, top)
        return file.rpartition("-packages/")[2] if is_installed(file) else file


def _state(file: str) -> _State | None:
    """Return the state of a file or of a symbolic link; None if it is gone."""
    try:
        found = os.lstat(file)
    except OSError:
        return None
    return _State(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink)


def _content(file: str) -> str:
    with contextlib.suppress(OSError):
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return ""


def _code(top: str) -> Iterator[str]:
    """Yield the modules in a checkout, and links, which may lead to others."""
    for folder, folders, files in os.walk(top):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in {".git", "__pycache__", *links}]
        for name in (*links, *files):
            if name in links or name.endswith((*all_suffixes(),)):
                yield str(Path(folder, name))
