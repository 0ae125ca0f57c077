"""The index of a site: what each page was made of. It is a cache: without it, every page is made again."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

#: A file's time of change in nanoseconds, and its size.
Stamp = tuple[int, int]
_NAME = ".index.json"


class Entry(msgspec.Struct, kw_only=True):
    """A file of the results folder, and the record in it. ``problem`` says why it cannot be published."""

    stamp: Stamp
    kind: str
    id: str
    started: str = ""
    task: str = ""
    configurations: str = ""
    outcome: str = ""
    status: str = ""
    machine: str = ""
    """The description of the machine, which names its page."""
    label: str = ""
    """Of a run: its configuration."""
    seed: int | None = None
    score: str = ""
    depends: str = ""
    """The digest of the other records that its page shows."""
    beside: list[str] = []
    """Files beside the record that are published with it."""
    problem: str = ""

    @property
    def page(self) -> str:
        """The address of the page, from the top of the site."""
        return f"{self.kind}/{self.id}.html"


class Answer(msgspec.Struct, frozen=True):
    """A question about a task on one machine, and its answer; ``target`` is the address of the details."""

    task: str
    question: str
    answer: str
    where: str
    target: str


class Part(msgspec.Struct):
    """Pages that are made together: the digest of what they were made of, and their names."""

    digest: str
    pages: list[str]
    answers: list[Answer] = []


class Index(msgspec.Struct):
    """Every file of the results folder by ``KIND/ID``, and the parts of the site.

    ``made_by`` identifies the version and the options that made the site.
    """

    made_by: str
    entries: dict[str, Entry] = {}
    parts: dict[str, Part] = {}
    lately: str = ""
    """What changed lately on the branch, as JSON."""

    @classmethod
    def read(cls, folder: Path, made_by: str) -> "Index":
        """Return the index of a site; an empty one if it is missing, damaged or of other options."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found = msgspec.json.decode((folder / _NAME).read_bytes(), type=cls)
            if found.made_by == made_by:
                return found
        return cls(made_by)

    def file(self) -> tuple[str, bytes]:
        """Return the name and the content of the file."""
        return _NAME, msgspec.json.encode(self)


def digest_of(values: Iterable[object]) -> str:
    """Return a digest of texts, numbers and stamps."""
    return hashlib.sha256(repr(list(values)).encode("utf-8", "replace")).hexdigest()[:32]
