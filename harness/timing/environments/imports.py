"""The files that base and head imported: each side must run the code of its own commit or environment."""

import os
from collections.abc import Iterable
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import Imported
from harness.timing.engine.steps.search_path import is_part_of, top_of
from harness.timing.environments import git


class ImportedFiles:
    """The files that the processes of each side imported, by the label of the side."""

    def __init__(self) -> None:
        self.own: dict[str, set[str]] = {}
        self.installed: dict[str, set[str]] = {}

    def add(self, label: str, imported: Imported) -> None:
        """Add the files of a process of a side."""
        self.own.setdefault(label, set()).update(imported.own)
        self.installed.setdefault(label, set()).update(imported.installed)

    def refuse_wrong_code(self, base: OwnStep, head: OwnStep) -> None:
        """Refuse files of base that its commit lacks, and copies of a commit's code that both sides imported.

        Sides without a foreign checkout, such as two versions of a package, share their code by intention.
        """
        if base.target.foreign is None:
            return
        tops = [top_of(step.target.folder) for step in (base, head)]
        if tops[0] != tops[1]:
            for file in self.own[head.label]:
                if is_part_of(file, tops[0]):
                    raise UsageError(f"{head.label} imports {file}, the code of {base.label}")
            for file in _untracked(tops[0], self.own[base.label]):
                raise UsageError(
                    f"{base.label} imports {file}, which git does not track: it is not in its commit"
                )
        both = self.installed[base.label] & self.installed[head.label]
        refuse_installed_copy(f"{base.label} and {head.label}", both, dict.fromkeys(tops))


def refuse_installed_copy(label: str, installed: Iterable[str], tops: Iterable[str]) -> None:
    """Raise UsageError if sides share an installed file that is a copy of one of a checkout.

    With a layout in which the code of a checkout is not found, a commit would be compared with itself.
    """
    for top in tops:
        tracked = _by_name(top)
        for file in installed:
            place = _place_in_packages(file)
            for name in tracked.get(Path(file).name, ()):
                if f"/{name}".endswith(f"/{place}") and _is_copy(Path(file), Path(top, name)):
                    raise UsageError(
                        f"{label} import the installed {place}, a copy of {name}, in place of the file of "
                        'their commits: set source = "." in the suite (--source . in a bisection), so that '
                        "each commit is installed in an environment of its own"
                    )


def _place_in_packages(file: str) -> str:
    return max(
        (file.rpartition(f"/{name}-packages/") for name in ("site", "dist")), key=lambda each: len(each[0])
    )[2]


def _is_copy(file: Path, original: Path) -> bool:
    """Check that two files have the same content; empty files show nothing."""
    try:
        return (
            0 < file.stat().st_size == original.stat().st_size and file.read_bytes() == original.read_bytes()
        )
    except OSError:
        return False


def _by_name(top: str) -> dict[str, list[str]]:
    """Return the tracked files of a checkout by the last part of their names."""
    found: dict[str, list[str]] = {}
    for name in _tracked(top):
        found.setdefault(name.rpartition("/")[2], []).append(name)
    return found


def _tracked(top: str) -> list[str]:
    try:
        return git.tracked_files(Path(top))
    except HarnessError:  # no repository
        return []


def _untracked(top: str, files: Iterable[str]) -> list[str]:
    """Return those files of a checkout that git does not track, relative to its top; none without git."""
    inside = {os.path.relpath(file, top) for file in files if is_part_of(file, top)}
    tracked = _tracked(top) if inside else []
    return sorted(inside.difference(tracked)) if tracked else []
