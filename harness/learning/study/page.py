"""Studies as documents: the page that explains itself, the text of the terminal, and notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.core.documents.document import (
    Document,
    Facts,
    Figure,
    Figures,
    Folded,
    Items,
    Node,
    Paragraph,
    Picture,
    Section,
)
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import NOTHING, counted, listed, seeds
from harness.core.runs.request import TRIAL_SEED
from harness.core.runs.store import Store
from harness.errors import UsageError
from harness.learning.runs.findings import Findings
from harness.learning.runs.grouping import grouped
from harness.learning.runs.kept_apart import KeptApart
from harness.learning.runs.page import findings_document
from harness.learning.runs.rows import rows_of
from harness.learning.runs.run_curves import Run
from harness.learning.study.answer import answer, changes_text, headline, study_table
from harness.learning.study.effects import study_findings
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Part, charts_of, parts, parts_of
from harness.learning.study.record import STUDIES, Sampler, Study, study_records
from harness.learning.study.report_section import StudySection, unpaired_variants
from harness.learning.study.trials import criterion
from harness.spec.study import StudyKind

_TERMS = {
    "epoch": "One pass over all training samples.",
    "loss": "The number that training makes small. The lower, the better the network fits the samples.",
    "gap": (
        "The difference between the training and the validation score: how much better the network does "
        "on samples that it has learned from."
    ),
    "best epoch": "The epoch with the lowest validation loss.",
    "seed": (
        "The start of the random numbers: initial weights and order of the samples. Each seed is one "
        "training; results that differ between seeds are chance."
    ),
    "interval": (
        "The numbers in brackets. With 95 % confidence the effect over all seeds lies between them. If an "
        "interval of a change contains 0, the study does not show which is better."
    ),
    "may be the best": (
        "No other variant is certainly better: with these seeds it cannot be distinguished from the best. "
        "All variants that may be the best belong to the answer; more seeds would make them fewer."
    ),
    "control": "A variant that answers nothing itself, but shows what the others are to be compared with.",
}


_SAMPLERS: Mapping[Sampler, str] = {
    "quasi-random": "a Latin hypercube (McKay et al. 1979)",
    "tpe": "a tree-structured Parzen estimator (Bergstra et al. 2011)",
}


def study_document(findings: Sequence[StudyFinding]) -> Document:
    """Return the page of one study: a part for each configuration, with explanations and terms.

    That of a short version is for a lesson: one picture is open, and the other parts are folded.
    """
    first = findings[0]
    study, kind = first.study, first.study.kind
    meaning = [*map(Paragraph, kind.meaning)]
    title = kind.title or kind.question
    how = Folded("Method, as a paragraph for a paper", [Paragraph(method(findings))], "method")
    if study.quick:
        picture = Figures(partial(_one_picture, first))
        parts = Folded("All parts of the study", study_parts(findings), "parts")
        nodes = [picture, _trained(first), _terms(first), *_lesson(kind), Folded(title, meaning, "meaning")]
        nodes += [parts, how]
    else:
        nodes = [Section(title, meaning, "meaning"), _trained(first), *study_parts(findings)]
        nodes += [_terms(first), *_lesson(kind), how]
    record = first.runs[0].record
    meta = [
        first.group_title,
        ", ".join(study.configuration.name for study in findings),
        seeds(max(effect.seeds for study in findings for effect in study.effects)),
        record.machine.cpu,
        record.started_at[:10],
    ]
    verdict = headline(first)
    return Document(f"study of {kind.name}", verdict, nodes, headline=[kind.question, verdict], meta=meta)


def _one_picture(study: StudyFinding) -> list[Figure | Picture]:
    """Return the first chart of the first part that has one."""
    return charts_of(study, "picture")[:1]


def _terms(study: StudyFinding) -> Section:
    terms = {
        **{name: _TERMS[name] for name in ("epoch", "loss", "seed", "interval")},
        **study.study.kind.terms,
    }
    if "gap" in study.quantities:
        terms |= {"gap": _TERMS["gap"], "best epoch": _TERMS["best epoch"]}
    if study.asks_for_best:
        terms |= {"may be the best": _TERMS["may be the best"]}
    if study.of_verdict("control"):
        terms |= {"control": _TERMS["control"]}
    return Section("Terms", [Facts(terms)], "terms")


def _lesson(kind: StudyKind) -> list[Node]:
    """Return what to ask next, and the exercise with its folded solution."""
    nodes: list[Node] = []
    if kind.ask_next:
        nodes.append(Section("What to ask next", [Items(kind.ask_next)], "next"))
    if kind.exercise:
        solution = [Folded("Solution", [Paragraph(kind.solution)], "solution")] if kind.solution else []
        nodes.append(Section("Exercise", [Paragraph(kind.exercise), *solution], "exercise"))
    return nodes


def _trained(study: StudyFinding) -> Section:
    """Return what all variants have in common, with the settings that are not the task's defaults."""
    record, recorded = study.configuration.record, study.study
    data = record.dataset
    counts = ", ".join(f"{count:,} {split}" for split, count in data.samples.items())
    facts: dict[str, object] = {
        "task": f"{recorded.task}: {record.parameters:,} parameters",
        "data set": f"{data.name} ({counts} samples)" if counts else data.name,
        "amount": f"{counted(recorded.epochs, 'epoch')}, batch size {record.batch_text}",
        "settings of all": " ".join(recorded.assignments) or "the task's defaults",
        "scores": f"those {_epoch_of_scores(recorded.kind)}",
        "precision, device": f"{recorded.precision}, {record.device or record.configuration.device}",
    }
    if data.stands_in_for:
        facts["stands in"] = f"{data.name} for {data.stands_in_for}: {data.reason}"
    if recorded.max_steps:
        facts["amount"] = f"{facts['amount']}, at most {recorded.max_steps} steps"
    return Section("What was trained", [Facts(facts)], "trained")


def _epoch_of_scores(kind: StudyKind) -> str:
    return "of the epoch with the lowest validation loss" if kind.at == "best" else "after the last epoch"


def method(findings: Sequence[StudyFinding]) -> str:
    """Describe the method in a paragraph for a paper."""
    first = findings[0]
    study, kind = first.study, first.study.kind
    record = first.configuration.record
    frameworks = listed([each.configuration.name for each in findings])
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record.framework.items()) if version)
    names = listed([effect.variant.name for effect in first.effects])
    certified = " Its work was certified against float64 references." * first.group.conditions.certified
    texts = [
        (
            f"{study.task} was trained on {study.dataset} for {counted(study.epochs, 'epoch')} with "
            f"{frameworks} ({versions}) by harness {record.machine.harness} on "
            f"{record.machine.cpu}.{certified} Compared were {names}."
        )
    ]
    if study.trials:
        measure = criterion(kind, record.task.description)
        ranges = "; ".join(
            f"{each.name}: "
            + ", ".join(
                f"{of.option} in [{of.low:g}, {of.high:g}]{' (logarithmic)' if of.log else ''}"
                for of in each.ranges
            )
            for each in kind.variants
            if each.ranges
        )
        count = max(sum(trial.variant == each.name for trial in study.trials) for each in study.variants)
        where = f", with {study.tuned_on}" if study.tuned_on else ""
        texts.append(
            f"Each was tuned by {counted(count, 'trial')}, drawn by {_SAMPLERS[study.sampler]} ({ranges}), "
            f"one seed each{where}; trials behind the median of earlier ones were ended early (Golovin et "
            f"al. 2017). The setting with the best validation {measure.name} was chosen, and trained again "
            f"on other seeds. Intervals of changes in {measure.name} contain the chance in tuning: the "
            "spread of the best of the trials if these were drawn again (Dodge et al. 2019)."
        )
    scores = (
        f"Test scores are those {_epoch_of_scores(kind)}, over "
        f"{seeds(max(each.seeds for each in first.effects))}"
    )
    compared = f"paired by seed with {first.reference.variant.name}"
    if first.asks_for_best:
        compared = "paired by seed between all variants (multiple comparisons with the best, Hsu 1996)"
    texts.append(
        f"{scores}. Changes are {compared}; intervals are Student's, on the scale of the logit for shares "
        "and of the logarithm for positive quantities, at 95 % for all decisive changes together "
        "(Bonferroni)."
        if not first.asks_each
        else f"{scores}."
    )
    return " ".join(texts)


def _sections(study: StudyFinding, prefix: str) -> list[Node]:
    """Return the parts for which the study has the data; their ids begin with ``prefix``."""
    drawn: list[Node] = []
    for part in parts_of(study.study.kind):
        content = part.content(study)
        if content is not None:
            above = [Paragraph(each) if isinstance(each, str) else each for each in content.above]
            charts = [Figures(partial(_charts, part, study, prefix))] if part.charts is not None else []
            name = f"{prefix}-{part.name.replace(' ', '-')}"
            drawn.append(Section(content.title, [*above, *charts, *content.below], name))
    absent = [name for name in study.study.kind.sections if name not in parts()]
    note = f"Not shown: {listed(absent)}. No installed feature has a part of this name." if absent else ""
    return [*drawn, Paragraph(note)]


def _charts(part: Part, study: StudyFinding, prefix: str) -> list[Figure | Picture]:
    return [*part.charts(study, prefix)] if part.charts is not None else []


def study_parts(findings: Sequence[StudyFinding], prefix: str = "part") -> list[Node]:
    """Return a part for each configuration; with its headline where there are several."""
    parts: list[Node] = []
    for number, study in enumerate(findings, 1):
        name = f"{prefix}-{number}"
        nodes = [*_sections(study, name), Folded("All numbers", [study_table(study)], f"{name}-numbers")]
        title = f"{study.configuration.name}: {headline(study)}"
        parts += [Section(title, nodes, name)] if len(findings) > 1 else nodes
    return parts


def row(study: Study) -> Listed:
    """Return the row of a study in a list of results."""
    return Listed(study.task, NOTHING, f"{study.kind.name}: {len(study.variants)} variants")


def text_document(study: Study, results: Path) -> Document:
    """Return the findings of one study, from its runs in the results folder, for a terminal."""
    findings, report = recorded_study(study, Store(results))
    if not findings:
        name = study.reference_variant.name
        none = f"No run of {name} has succeeded yet: there is nothing to compare the others with."
        if study.reference_variant.description in _diverged_descriptions(study, Store(results)):
            none = f"Every run of {name} diverged: there is nothing to compare the others with."
        return Document("study", study.kind.question, [Paragraph(none)])
    return findings_document(report)


def page_document(study: Study, results: Path) -> Document:
    """Return the page of one study, from its runs in the results folder."""
    findings, report = recorded_study(study, Store(results))
    return study_document(findings) if findings else findings_document(report)


class RecordedStudy(NamedTuple):
    """What the runs of one study show: on each configuration, and as a report of these runs alone."""

    findings: list[StudyFinding]
    report: Findings


def recorded_study(study: Study, store: Store) -> RecordedStudy:
    """Read the findings of one study from its runs in the store."""
    records = list(study_records(study, store))
    table = rows_of(map(Run.of, records))
    groups = grouped(table.rows)
    diverged = [record for record in records if record.status == "diverged"]
    found = study_findings(study, groups, diverged)
    findings = [replace(finding, results=store.folder.parent) for finding in found]
    sections = [StudySection(finding) for finding in findings]
    apart: list[KeptApart] = [*unpaired_variants(study, groups)]
    left_out = [each for each in table.left_out if each.reason != "trial"]
    return RecordedStudy(findings, Findings([], sections, left_out, apart))


def _diverged_descriptions(study: Study, store: Store) -> set[str]:
    """Return the descriptions of the study's runs that diverged and were to be compared."""
    compared = (record for record in study_records(study, store) if record.seed != TRIAL_SEED)
    return {record.task.sha256 for record in compared if record.status == "diverged"}


def newest_study(name: str, results: Path) -> "StudyReport":
    """Read the newest study whose name begins with ``name``."""
    paths = [path for path in STUDIES.paths(results) if path.stem.startswith(name)]
    if not paths:
        known = ", ".join(path.stem for path in STUDIES.paths(results)) or "none"
        raise UsageError(
            f"no study {name!r} in {results}; recorded: {known}. Make one with: harness study overfitting "
            "--backend torch"
        )
    study = STUDIES.read(max(paths, key=lambda path: path.stat().st_mtime))
    findings = recorded_study(study, Store(results)).findings
    if not findings:
        raise UsageError(
            f"no run of {study.reference_variant.name} in the study {study.id} has succeeded yet"
        )
    return StudyReport(findings)


@dataclass(frozen=True)
class StudyReport:
    """The result of :func:`harness.study`; a notebook displays it, a part for each configuration."""

    findings: list[StudyFinding]

    def _repr_html_(self) -> str:
        from harness.core.documents.render.html import html_fragment

        title = Paragraph(headline(self.findings[0]), "answer")
        return html_fragment([title, *study_parts(self.findings)])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def __str__(self) -> str:
        lines = []
        for study in self.findings:
            lines += [headline(study), answer(study)]
            judged = [each for each in study.effects if each.verdict is not None]
            lines += [f"- {each.variant.name}: {changes_text(study, each)}" for each in judged]
        return "\n".join(lines)
