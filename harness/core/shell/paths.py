"""Paths on the command line: an option refuses one that cannot be used, before anything begins."""

import contextlib
import errno
from pathlib import Path
from typing import Any

import click

from harness.core.documents.files import refuse_foreign_folder
from harness.core.machine.files import MOST_BYTES, prove_writable, refuse_unreadable
from harness.errors import UsageError

_SHOWN_CHARACTERS = 60
#: Reasons why the system cannot use a path, which lie in the path or its permissions and not in a program.
UNUSABLE = {
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def shown(path: str) -> str:
    """Shorten a path for a message of one line."""
    is_short = len(path) <= 2 * _SHOWN_CHARACTERS
    return path if is_short else f"{path[:_SHOWN_CHARACTERS]}… ({len(path)} characters)"


class UserPath(click.Path):
    """A path that may exist or not, or with ``exists`` must."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Convert ``value`` to a path; refuse an empty text and a text that cannot be a path."""
        text = str(value)
        reason = "" if text else "the path is empty"
        try:
            with contextlib.suppress(FileNotFoundError):
                Path(text).stat()
            self.check(Path(text))
        except ValueError:
            reason = "a path has no NUL character"
        except OSError as error:
            reason = f"{shown(text)}: {error.strerror}"
        except UsageError as error:
            reason = reason or str(error)
        if reason:
            self.fail(reason, param, ctx)
        super().convert(text, param, ctx)
        if not self.file_okay and Path(text).exists() and not Path(text).is_dir():  # a pipe or a device
            self.fail(f"{shown(text)} is no folder", param, ctx)
        return Path(text)

    def check(self, path: Path) -> None:
        """Raise UsageError if a path cannot be used for further reasons."""


class InputFile(UserPath):
    """A regular file, not a pipe or a device, of at most ``most_bytes``; or a folder, if ``or_folder``."""

    def __init__(self, most_bytes: int = MOST_BYTES, *, or_folder: bool = False) -> None:
        super().__init__(exists=True, dir_okay=or_folder)
        self._most_bytes = most_bytes

    def check(self, path: Path) -> None:
        """Raise OSError if the path exists but cannot be read as such a file."""
        if path.exists() and not path.is_dir():
            refuse_unreadable(path, path.stat(), self._most_bytes)


class OutputFile(UserPath):
    """A file to write: its folder exists, and the file itself may exist, too."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def check(self, path: Path) -> None:
        """Raise UsageError if the folder does not exist or is not writable, or if the path names no file."""
        if path.is_dir():
            raise UsageError(f"{path} is a folder")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a regular file")
        _check_parent(path)


class OutputFolder(UserPath):
    """A folder to fill: see :func:`refuse_foreign_folder`."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def check(self, path: Path) -> None:
        """Raise UsageError if the folder has other files."""
        refuse_foreign_folder(path)


class Output(UserPath):
    """A file to write if the path has a suffix, or else a folder to fill."""

    def check(self, path: Path) -> None:
        """Check a file as :class:`OutputFile` and a folder as :class:`OutputFolder`."""
        is_odd = path.name == "-" or path.name.startswith(".") or path.name.endswith(".")
        if is_odd and not path.is_dir():
            raise UsageError(f"{path} is no name of a file with a suffix, nor one of a folder")
        if path.suffix and path.is_dir():
            raise UsageError(f"{path} is a folder; give a file in it, or a folder without a suffix")
        if path.suffix:
            OutputFile().check(path)
        elif path.exists():
            OutputFolder().check(path)
        else:
            _check_parent(path)


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    try:
        prove_writable(path.parent)
    except OSError as error:
        raise UsageError(f"cannot write to {path.parent}: {error.strerror}") from error
