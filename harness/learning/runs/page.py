"""The document of findings: for each task the answers, tables, charts and overfitting; then conditions."""

from collections.abc import Iterable, Sequence
from functools import cached_property, partial

from harness.core.documents.document import (
    Command,
    Document,
    Figure,
    Figures,
    Folded,
    Items,
    Medium,
    Node,
    Only,
    Paragraph,
    Passage,
    Picture,
    Section,
    Span,
    Text,
)
from harness.core.documents.numbers import counted
from harness.learning.runs.charts import colours_of, group_figures
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import Findings, GroupFindings, TaskFindings
from harness.learning.runs.kept_apart import kept_apart_sentence, left_out_sentence, variation_sentence
from harness.learning.runs.method import METHOD, caveats, machine_sentence
from harness.learning.runs.outcome_charts import group_pictures, sampled_passages
from harness.learning.runs.overfitting_text import gap_sentence, overfitting_sentence, overfitting_table
from harness.learning.runs.sections import ReportSection
from harness.learning.runs.sentences import (
    DUEL_LEAD,
    NOTHING_COMPARABLE,
    SHOWN_GROUPS,
    basis_text,
    headline,
    next_duel,
    remarks,
    where_text,
)
from harness.learning.runs.tables import (
    comparison_table,
    details_table,
    differences_table,
    group_table,
    phases_table,
    runs_list,
)
from harness.learning.runs.trained import trained_text

_MOST_RUNS = 300
#: All but a terminal that was not asked for everything.
_DETAILED: tuple[Medium, ...] = ("verbose", "markdown", "page")


def findings_document(findings: Findings) -> Document:
    """Return the report of runs as a document."""
    return _Builder(findings).document()


def key_sentences(findings: Findings, *, overfitting: bool = True) -> list[str]:
    """Return the answer of each group and section, the duel that would decide, and overfitting."""
    sentences = list(map(variation_sentence, findings.variations))
    for task in findings.by_task(SHOWN_GROUPS):
        for group in task.groups:
            command = next_duel(group.comparison)
            sentences += [headline(group.comparison), *[f"{DUEL_LEAD} {command}"] * bool(command)]
            sentences += _overfitting(group) if overfitting else []
        sentences += [section.sentence for section in task.sections]
    return sentences


def overfitting_sentences(findings: Findings) -> list[str]:
    """State where each configuration of each group that is shown overfits."""
    groups = [group for task in findings.by_task(SHOWN_GROUPS) for group in task.groups]
    return [sentence for group in groups for sentence in _overfitting(group)]


def _overfitting(group: GroupFindings) -> list[str]:
    """State where each configuration overfits, and whether they overfit to the same degree."""
    return [*map(overfitting_sentence, group.overfittings), *map(gap_sentence, group.gaps)]


#: So many groups of runs give a report its title.
_NAMED_GROUPS = 2


class _Builder:
    """Builds the parts of a document from the findings."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        groups = enumerate(findings.groups[:SHOWN_GROUPS], 1)
        self._ids = {id(group): f"comparison-{number}" for number, group in groups}
        self._ids |= {
            id(section): f"{section.prefix}-{number}" for number, section in enumerate(findings.sections, 1)
        }

    @cached_property
    def _caveats(self) -> list[str]:
        return caveats(self._findings)

    def document(self) -> Document:
        findings = self._findings
        tasks = findings.by_task(SHOWN_GROUPS)
        hidden = len(findings.groups) - SHOWN_GROUPS
        more = f"{hidden} more groups of runs are not shown; select some with filters such as task=cnn."
        nodes: list[Node] = [
            Paragraph("" if findings.groups or findings.sections else NOTHING_COMPARABLE),
            Only(("page",), self._overview),
            *(
                Section(task.task, list(self._task(task)), f"task-{number}", announced=len(tasks) > 1)
                for number, task in enumerate(tasks, 1)
            ),
            Paragraph(more if hidden > 0 else ""),
            Section("Method and notes", list(self._notes()), "method"),
        ]
        titles = dict.fromkeys(group.comparison.group.title for group in findings.groups)
        title = " and ".join(titles) if 0 < len(titles) <= _NAMED_GROUPS else "Benchmark report"
        return Document("", title, nodes, meta=_meta(findings), contents=True)

    def _overview(self) -> list[Node]:
        """Return the answers of several groups, with links to the details."""
        compared: list[Text] = []
        alone: list[Text] = []
        for group in self._findings.groups[:SHOWN_GROUPS]:
            title = Span(group.comparison.group.title, "link", target=self._ids[id(group)])
            shown = compared if group.comparison.pairs else alone
            shown.append((title, f": {headline(group.comparison)}"))
        several = len(compared) + len(alone) > 1
        others = Items(alone)
        number = Span(counted(len(self._caveats), "caution"), "link", target="cautions")
        nodes: list[Node] = [
            Items(compared),
            Folded("Configurations without a comparison", [others], "", len(alone)) if compared else others,
        ]
        cautions = Paragraph(("See ", number, ".") if self._caveats else "")
        return [Section("", [*nodes, cautions] if several else [cautions], "answer", "Answer")]

    def _task(self, task: TaskFindings) -> Iterable[Node]:
        yield from (Paragraph(variation_sentence(variation)) for variation in task.variations)
        groups = [self._group(group) for group in task.groups]
        if task.variations and not any(len(group.comparison.summaries) > 1 for group in task.groups):
            yield Only(("terminal",), [comparison_table(task.groups)])
            yield Only(_DETAILED, groups)
        else:
            yield from groups
        yield from map(self._added, task.sections)
        yield Items(list(map(kept_apart_sentence, task.kept_apart)), "Not compared")
        yield Items(list(map(left_out_sentence, task.left_out)), "Left out")

    def _group(self, group: GroupFindings) -> Section:
        comparison, name = group.comparison, self._ids[id(group)]
        tables = [
            differences_table(comparison),
            overfitting_table(group.overfittings) if group.overfittings else None,
            details_table(comparison),
            phases_table(comparison),
        ]
        nodes: list[Node] = [
            *self._trained(comparison),
            Paragraph(headline(comparison), "answer"),
            Command(next_duel(comparison), DUEL_LEAD),
            group_table(group),
            *self._figures(group, name),
            Items(_overfitting(group), "Overfitting"),
            Items(remarks(comparison), "Notes"),
            *(Folded(table.title, [table._replace(title="")]) for table in tables if table),
        ]
        title = f"{comparison.group.title} ({where_text(comparison.group)})"
        return Section(title, nodes, name, comparison.group.title, announced=True)

    @staticmethod
    def _trained(comparison: Comparison) -> list[Node]:
        """State what was trained and proved; a terminal without --verbose gets only what is unusual."""
        group = comparison.group
        detailed = f"{trained_text(group)} {basis_text(comparison)}.".strip()
        return [
            Only(_DETAILED, [Paragraph(detailed, "small")]),
            Only(("terminal",), [Paragraph(trained_text(group, brief=True), "small")]),
        ]

    def _figures(self, group: GroupFindings, name: str) -> list[Node]:
        """Draw the charts of a group; Markdown has those of one group alone."""
        media: tuple[Medium, ...] = ("page",)
        media += ("markdown",) if name == "comparison-1" else ()
        return [Only(media, [Figures(partial(self._charts, group, name))])]

    def _charts(self, group: GroupFindings, name: str) -> list[Figure | Picture | Passage]:
        results = self._findings.results
        figures = group_figures(group, name, colours_of(self._findings), results)
        return [*figures, *group_pictures(group, name, results), *sampled_passages(group, name)]

    def _added(self, section: ReportSection) -> Section:
        name = self._ids[id(section)]
        return Section(section.title, section.nodes(name), name, section.label, announced=True)

    def _notes(self) -> Iterable[Node]:
        """Return cautions, machines, data and unreadable files; on a page also the method and each run."""
        findings = self._findings
        records = [run.record for run in findings.runs]
        machines = dict.fromkeys(machine_sentence(record) for record in records)
        datasets = [record.dataset for record in records]
        origins = dict.fromkeys(f"{data.name}: {data.origin}" for data in datasets if data.origin)
        where: list[Node] = [Items(list(machines), "Machines"), Items(list(origins), "Data")]
        unreadable = Items(findings.unreadable, "Unreadable files")
        yield Items(self._caveats, "Cautions", id="cautions")
        yield Only(("markdown",), [*where, unreadable])
        yield Only(("page",), partial(self._background, where, unreadable))

    def _background(self, where: Sequence[Node], unreadable: Node) -> list[Node]:
        runs = self._findings.runs
        everything = "`harness report --to results.csv` writes all of them."
        cut = f"The first {_MOST_RUNS} of {len(runs)} runs. {everything}" if len(runs) > _MOST_RUNS else ""
        return [
            unreadable,
            Folded("How it was measured", [Items(METHOD)], "how"),
            Folded("Machines, software and data", where, "machines"),
            Folded("Runs", [Paragraph(cut), runs_list(runs[:_MOST_RUNS])], "runs", len(runs)),
        ]


def _meta(findings: Findings) -> list[str]:
    """State what the report covers, and where and when it was measured."""
    runs = findings.runs
    dates = sorted({run.record.started_at[:10] for run in runs})
    cpus = list(dict.fromkeys(run.record.machine.cpu for run in runs))
    period = [" to ".join(dict.fromkeys((dates[0], dates[-1])))] if dates else []
    return [counted(len(runs), "run"), *period, *cpus]
