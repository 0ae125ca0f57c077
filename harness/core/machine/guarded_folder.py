"""A folder for temporary files, of which nothing is left however this process ends."""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from harness.core.machine.cache import cache_folder
from harness.core.machine.ownership import abandoned, create_folder, new_folder_in, sweep

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
    """A folder that is created when it is first asked for, and deleted by :meth:`close` or ``with``.

    A small process deletes it if this one is killed. If that is killed, too, the next command that makes such
    a folder does. ``purpose`` is one word in lower case; ``parent`` is by default the system's folder for
    temporary files.
    """

    def __init__(self, purpose: str, parent: Path | None = None) -> None:
        self._purpose, self._parent = purpose, parent
        self._path: Path | None = None
        self._lock = -1
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """Where it is, until :meth:`close`."""
        if self._path is None:
            parent = self._parent or Path(tempfile.gettempdir())
            _sweep_once(parent)
            # The guard comes first: a kill between the two must not leave the folder either.
            path = new_folder_in(parent, self._purpose)
            with contextlib.suppress(OSError):  # without it, a kill leaves the folder to the next command
                self._guard = subprocess.Popen(
                    ["/bin/sh", "-c", _DELETE, "guard", str(path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._lock = create_folder(path)
            self._path = path
        return self._path

    def close(self) -> None:
        """Delete the folder."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path = None
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


#: Looks into a folder once in a process: the folder may have many other entries.
_sweep_once = functools.cache(sweep)


def abandoned_in_caches() -> list[Path]:
    """List the leftovers of ended processes in the caches and in the system's temporary folder."""
    caches = cache_folder()
    parents = [caches, *sorted(caches.glob("*/"))]
    with contextlib.suppress(FileNotFoundError):  # none is writable
        parents.append(Path(tempfile.gettempdir()))
    return [*abandoned(parents)]
