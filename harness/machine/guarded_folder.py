"""A folder for temporary files, of which nothing is left however this process ends."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Deletes a folder when standard input closes, which it does when the parent closes it or dies. A program to
#: wait for that may be missing, and the folder would be deleted at once; ``read`` is part of the shell.
_DELETE = 'read -r _; rm -rf -- "$1"'


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
        """Where it is, until :meth:`close`."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix=self._prefix))
            with contextlib.suppress(OSError):  # without it, only a kill leaves the folder
                self._guard = subprocess.Popen(
                    ["/bin/sh", "-c", _DELETE, "guard", str(self._path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
        return self._path

    def close(self) -> None:
        """Delete it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None
