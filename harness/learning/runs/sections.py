"""Sections that other subjects add to a report of runs, such as the studies of the folder.

A subject registers a function of the groups of runs and the folders of results by the hook
``report_sections``. Reports show its sections on the page, among the charts and in a paper.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.core.documents.document import Figure, Node, Picture, Table
from harness.core.shell.features import asked
from harness.learning.guarded import guarded
from harness.learning.runs.conditions import Conditions
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.kept_apart import KeptApart
from harness.learning.runs.rows import ConfigurationRuns


class ReportSection(Protocol):
    """A section of a report of runs about one task. ``name`` is the id of its place in the report."""

    @property
    def prefix(self) -> str:
        """The beginning of its ids, such as ``study``; a number follows."""

    @property
    def task(self) -> str:
        """The task, under which the page shows the section."""

    @property
    def configurations(self) -> Sequence[tuple[RunGroup, ConfigurationRuns]]:
        """The configurations whose runs it uses, each with its group."""

    @property
    def title(self) -> str:
        """The heading."""

    @property
    def label(self) -> str:
        """The heading in the contents, which is shorter."""

    @property
    def sentence(self) -> str:
        """The answer, among the key sentences of the report."""

    @property
    def table(self) -> Table:
        """All numbers, for a paper."""

    def nodes(self, name: str) -> list[Node]:
        """Return the answer, the charts and the numbers."""

    def figures(self, name: str) -> list[Figure | Picture]:
        """Draw the charts."""


class AddedSections(NamedTuple):
    """Sections, and what they change in the rest of the report.

    Runs under the conditions of ``own_groups`` are shown in the sections alone, unless several configurations
    are compared. ``kept_apart`` are runs that fit no section for a reason that the report states.
    ``unreadable`` are messages about files.
    """

    sections: Sequence[ReportSection] = ()
    own_groups: Mapping[Conditions, RunGroup] = {}
    kept_apart: Sequence[KeptApart] = ()
    unreadable: Sequence[str] = ()


#: Returns the sections of these groups of runs.
AddSections = Callable[[Sequence[RunGroup]], AddedSections]


def sections_from(folders: Sequence[Path]) -> list[AddSections]:
    """Return what the features add to a report of the records in ``folders``."""

    def added(sections: Callable[..., AddedSections], groups: Sequence[RunGroup]) -> AddedSections:
        found = sections(groups, folders)
        return found._replace(sections=[_guarded(section) for section in found.sections])

    return [lambda groups: joined(asked("report_sections", lambda sections: [added(sections, groups)]))]


class _Guarded(NamedTuple):
    """A section of another package: all but its drawing is read at once, and its drawing may raise."""

    prefix: str
    task: str
    configurations: Sequence[tuple[RunGroup, ConfigurationRuns]]
    title: str
    label: str
    sentence: str
    table: Table
    nodes: Callable[[str], list[Node]]
    figures: Callable[[str], list[Figure | Picture]]


def _guarded(section: ReportSection) -> ReportSection:
    place = type(section).__module__
    if place.startswith("harness."):
        return section
    *facts, nodes, figures = (getattr(section, name) for name in _Guarded._fields)
    what = f"section {section.title} of {place}"
    return _Guarded._make([*facts, guarded(what, nodes, []), guarded(what, figures, [])])


def joined(added: Sequence[AddedSections]) -> AddedSections:
    """Return the sections of several subjects together."""
    return AddedSections(
        [section for each in added for section in each.sections],
        {conditions: group for each in added for conditions, group in each.own_groups.items()},
        [apart for each in added for apart in each.kept_apart],
        [message for each in added for message in each.unreadable],
    )
