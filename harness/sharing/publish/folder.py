"""The folder of a site: files are written completely or not at all, and stale ones are removed."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from harness.core.documents.files import fill_folder
from harness.core.machine.ownership import create_file, draft_of, sweep


class SiteFolder:
    """The folder of a site, which is empty or was made by `harness publish`."""

    def __init__(self, path: Path) -> None:
        """Make the folder.

        Raises:
            UsageError: it has files of the user.
            OSError: it cannot be made.
        """
        fill_folder(path)
        self.path = path
        self._made: set[Path] = set()

    def write(self, name: str, content: bytes | str) -> str:
        """Write a file unless it has this content; return its name.

        The site can be made again, so the disk is not waited for.
        """
        path = self.path / name
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            self._made.add(path.parent)
        with contextlib.suppress(OSError):
            if not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data:
                return name
        draft = draft_of(path)
        try:
            with open(create_file(draft), "wb") as file:  # noqa: PTH123  a descriptor has no path
                file.write(data)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return name

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the files of the site that are not among ``names``."""
        kept = set(names)
        for path in [*self.path.rglob("*")]:
            inner = path.relative_to(self.path)
            is_hidden = any(part.startswith(".") for part in inner.parts)  # such as .git
            if not is_hidden and (path.is_symlink() or path.is_file()) and str(inner) not in kept:
                path.unlink()
