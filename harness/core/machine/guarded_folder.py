"""A folder for temporary files, of which nothing is left however this process ends."""

import contextlib
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

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
