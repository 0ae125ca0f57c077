"""The index of a site: its records and pages as they were last made, so that only what changed is made again.

The index is a cache in the folder of the site. Without it, everything is made again.
"""

import contextlib
import functools
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec

import harness
from harness.core.machine.files import read_file, replace_file

#: The version of the index; another one is made anew.
_SCHEMA = 1
_NAME = ".index.json"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a results folder, as lists show it."""

    file: str
    """Its path in the results folder."""
    stamp: str
    """Size and time of the last change of the file, and of the files beside it."""
    kind: str
    name: str
    """The name of its page and of its JSON file, without the ending."""
    time: str = ""
    """UTC, ISO 8601."""
    status: str = ""
    task: str = ""
    configurations: str = ""
    outcome: str = ""
    verdict: str = ""
    """PASS, FAIL, INCONCLUSIVE or INVALID of a gate; empty for other records."""
    machine: str = ""
    fault: str = ""
    """Why the file or its page cannot be read; such a record has no page."""

    @property
    def page(self) -> str:
        """The address of its page in the site."""
        return f"records/{self.name}.html"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a group of comparable runs."""

    title: str
    machine: str
    text: str
    compares: bool
    """Whether it compares several configurations."""


class Index(msgspec.Struct, kw_only=True):
    """What a site was made of."""

    schema: int = _SCHEMA
    maker: str = ""
    """The version of the code that made it, and the title and the links of its pages."""
    entries: dict[str, Entry] = {}
    """By their files."""
    pages: dict[str, str] = {}
    """What each page was made of, by its address."""
    answers: dict[str, list[Answer]] = {}
    """The answers of each task."""


def read_index(site: Path, maker: str) -> Index:
    """Read the index of a site; return an empty one where there is none that this ``maker`` has made."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        index = msgspec.json.decode(read_file(site / _NAME), type=Index)
        if index.schema == _SCHEMA and index.maker == maker:
            return index
    return Index(maker=maker)


def write_index(site: Path, index: Index) -> None:
    """Write the index of a site, completely or not at all."""
    replace_file(site / _NAME, msgspec.json.encode(index))


@functools.cache
def code_version() -> str:
    """Return the version of the harness, and the time of the last change of its files."""
    folder = Path(harness.__file__).parent
    newest = max(path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.suffix != ".pyc")
    return f"{metadata.version('dl-harness')} {newest}"


def key_of(entries: Iterable[Entry], *more: object) -> str:
    """Return what a page is made of, as a text that changes where ``entries`` or ``more`` do."""
    import hashlib

    digest = hashlib.sha256(repr(more).encode())
    for entry in entries:
        digest.update(f"{entry.file}\0{entry.stamp}\0".encode())
    return digest.hexdigest()[:16]
