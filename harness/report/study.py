"""Studies: which remedy helps, in sentences and a table, and a document that explains itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness.analysis.findings import Findings
from harness.analysis.grouping import group_runs
from harness.analysis.overfit import Overfitting
from harness.analysis.run_curves import Run
from harness.analysis.study import REMEDIES, STUDIES, Study, study_records
from harness.analysis.study_effects import (
    DATA_VARIANTS,
    EARLY_STOPPING,
    Effect,
    StudyFinding,
    study_findings,
    unpaired_remedies,
)
from harness.errors import UsageError
from harness.report.document import (
    Card,
    Cards,
    Cell,
    Document,
    Facts,
    Figure,
    Figures,
    Folded,
    Node,
    Paragraph,
    Section,
    Span,
    Table,
    Text,
    Tone,
)
from harness.report.numbers import (
    BUSY_LEGEND,
    NOTHING,
    RATIO_LEGEND,
    busy_mark,
    counted,
    estimate,
    score_digits,
    seeds,
    significant,
    time_ratio,
)
from harness.report.render.terminal import terminal_text
from harness.report.runs.tables import ratio_cell, score_header
from harness.runs.store import Store
from harness.stats.intervals import FEWEST_FOR_INTERVAL

# What each remedy does.

#: By the name in :data:`harness.analysis.study.REMEDIES`; early stopping is no run of its own.
REMEDY_TEXTS: Mapping[str, str] = {
    "dropout": (
        "Switches off a random half of the units in each training step, so that the network cannot rely "
        "on any single one."
    ),
    "l2": (
        "Adds the squared size of the weights to the loss. Large weights become expensive, and the "
        "network changes more gently between samples."
    ),
    "l1": (
        "Adds the absolute size of the weights to the loss, which pushes weights that are not needed to zero."
    ),
    "augmentation": (
        "Mirrors and shifts the training pictures at random, so that the network rarely sees exactly the "
        "same picture twice."
    ),
    "half the width": (
        "Halves every hidden layer. A smaller network has less room to memorise, but may also learn less."
    ),
    "early stopping": (
        "Takes the weights of the epoch with the lowest validation loss instead of the last ones. It "
        "needs no other training."
    ),
    "half the data": (
        "Trains on half of the samples. This is not a remedy: it shows what more data would change."
    ),
    "a quarter of the data": "Trains on a quarter of the samples. This is not a remedy either.",
    "class weights": "Counts each sample of a rare class more in the loss.",
    "oversampling": "Draws the samples of rare classes more often.",
    "all data": (
        "Trains on the data before any class was thinned. This is not a remedy: it shows what is lost."
    ),
}


# What a study recommends, in the words of reports.

_TOO_FEW = f"fewer than {FEWEST_FOR_INTERVAL} seeds give no interval"


def study_title(study: StudyFinding) -> str:
    """``Remedies for overfitting: torch:eager, cnn on digits, 10 epochs``."""
    return f"Remedies for {study.study.kind}: {study.configuration.name}, {study.group_title}"


def study_sentence(study: StudyFinding) -> str:
    """What a study recommends for one configuration."""
    best = study.recommended
    certified = "" if study.group.conditions.certified else ", not certified"
    if best is not None and best.score_change is not None:
        basis = f"{seeds(best.score_change.n)}{certified}"
        verdict = f"{_recommendation(study, best)} ({basis})"
    else:
        counts = [effect.score_change.n for effect in study.effects[1:] if effect.score_change]
        counts = counts or [study.effects[0].seeds]
        fewest, most = min(counts), max(counts)
        paired = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
        improves = f"none improves test {study.measure.name} significantly"
        verdict = f"{_TOO_FEW if most < FEWEST_FOR_INTERVAL else improves} ({paired}{certified})"
    sentence = f"Remedy for {study.study.kind} of {study.configuration.name}: {verdict}.{_harm(study)}"
    return sentence if study.overfits else f"{_no_overfitting(study)} {sentence}"


def _no_overfitting(study: StudyFinding) -> str:
    return (
        f"The plain task does not overfit within {_epochs(study.study.epochs)}, so this study "
        "cannot show what prevents overfitting."
    )


def _recommendation(study: StudyFinding, best: Effect) -> str:
    """The remedy, how to apply it, and what it changes."""
    name = best.variant.name
    parts = [f"test {study.measure.name} {_score_change(study, best)}"]
    if study.effects[0].gap and best.gap:
        levels = f"{significant(study.effects[0].gap.value)} to {significant(best.gap.value)}"
        parts.append(f"gap from {levels} {study.gap_measure.unit}".rstrip())
    if best.time_ratio and not study.disturbed:
        parts.append(f"training time {time_ratio(best.time_ratio)}")
    options = "".join(f" --set {assignment}" for assignment in best.variant.assignments)
    how = f" ({options.strip()})" if options else ""
    stop = " at the best epoch" if name == EARLY_STOPPING else ""
    return f"{name}{how}{stop}: {', '.join(parts)}"


def _score_change(study: StudyFinding, effect: Effect) -> str:
    measure = study.measure
    return estimate(measure.as_change(effect.score_change), score_digits(measure), measure.unit, sign=True)


def _harm(study: StudyFinding) -> str:
    """The remedies that make the score worse; of less data, what that shows about more."""
    changes = [f"{effect.variant.name} ({_score_change(study, effect)})" for effect in study.harmful]
    if not changes:
        return ""
    more_data = "; less data hurts and widens the gap, so more data should help" if _needs_data(study) else ""
    return f" Significantly worse: {', '.join(changes)}{more_data}."


def _needs_data(study: StudyFinding) -> bool:
    """Whether less data hurts by overfitting: it also makes fewer steps, so only a wider gap shows which."""
    return any(
        effect.gap_change is not None
        and effect.gap_change.low is not None
        and effect.gap_change.low > 0
        and "train_fraction" in effect.variant.options
        for effect in study.harmful
    )


# A study in plain words, for readers who meet overfitting for the first time.


class Lesson(NamedTuple):
    """What happened with one remedy: ``verdict`` is one of helps, harms, unclear, and few for few seeds.

    ``onset`` says from which epoch on it overfits, or that it does not; empty where that is not assessed.
    """

    name: str
    options: str
    meaning: str
    outcome: str
    verdict: str
    onset: str


def headline(study: StudyFinding, plain: Overfitting | None) -> str:
    """The first sentence of a configuration's part."""
    task = f"{study.study.task} on {study.study.dataset}"
    if study.study.kind != "overfitting":
        return f"{task} with rare classes, and what helps"
    if plain is None or plain.onset.epoch is None:
        return f"{task}: overfitting is not assessed, because a loss is not finite"
    if not plain.onset.epoch:
        return f"{task} does not overfit within {_epochs(plain.epochs)}"
    return f"{task} overfits from epoch {plain.onset.epoch} of {plain.epochs}"


def answer(study: StudyFinding) -> str:
    """Which remedy helps, in one sentence."""
    score = f"test {study.measure.name}"
    if study.recommended is not None:
        change = _score_change(study, study.recommended)
        return f"What helps most here is {study.recommended.variant.name}: {score} {change}."
    if all(effect.score_change is None or effect.score_change.low is None for effect in study.effects[1:]):
        return (
            "So few seeds do not show whether a remedy helps: the differences may be chance. "
            "Add seeds with --seeds 5."
        )
    return f"No remedy clearly improves the {score} here."


def beginning(plain: Overfitting) -> list[str]:
    """Where overfitting begins and what it costs, as sentences with the numbers of this study."""
    train, validation = (plain.bands[f"{split} loss"].mean for split in ("train", "validation"))
    epochs = plain.bands["validation loss"].epochs
    best = int(np.abs(np.array(epochs) - (plain.best_epoch or epochs[-1])).argmin())
    lowest, end, last = float(validation[best]), float(validation[-1]), epochs[-1]
    count = len(plain.configuration.runs)
    median = f" (median over {seeds(count)})" if count > 1 else ""
    lowest_at = (
        f"The validation loss is lowest after epoch {epochs[best]}{median}: {significant(lowest)}. "
        f"The training loss is {significant(float(train[best]))} there."
    )
    if plain.onset.epoch:
        later = (
            f"After epoch {last} the training loss has fallen to {significant(float(train[-1]))}, "
            f"but the validation loss has risen to {significant(end)}, by {100 * (end / lowest - 1):.0f} %. "
            f"From epoch {plain.onset.epoch} on it stays at least 5 % above its lowest value: "
            "there overfitting begins."
        )
    else:
        later = (
            "The validation loss does not stay 5 % above its lowest value until the end, so the network does "
            f"not overfit within {_epochs(last)}. More epochs (--epochs) or less data may make it overfit."
        )
    return [lowest_at, later, *_scores(plain)]


def _scores(plain: Overfitting) -> list[str]:
    """The final scores; whether the accuracy shows the overfitting too."""
    measure = plain.measure
    if measure.key == "loss" or f"train {measure.key}" not in plain.bands:
        return []
    train, validation = (
        float(plain.bands[f"{split} {measure.key}"].mean[-1]) for split in ("train", "validation")
    )
    final = (
        f"In the end {train:.1f} % of the training samples and {validation:.1f} % of the validation samples "
        f"are classified correctly: a gap of {train - validation:.1f} points."
    )
    dropped = plain.lost is not None and plain.lost.low is not None and plain.lost.low > 0
    if not plain.onset.epoch or dropped:
        return [final]
    unseen = (
        "The validation accuracy did not clearly drop: the network became more sure of its mistakes. "
        "The loss shows that, the accuracy does not."
    )
    return [final, unseen]


def lessons(study: StudyFinding, curves: Mapping[str, Overfitting]) -> list[Lesson]:
    """What each remedy is and what it did."""
    return [_lesson(study, effect, curves) for effect in study.effects[1:]]


def _lesson(study: StudyFinding, effect: Effect, curves: Mapping[str, Overfitting]) -> Lesson:
    change = effect.score_change
    verdict = "few" if change is None or change.low is None else "unclear"
    if change is not None and change.excludes(0.0):
        verdict = "helps" if change.value > 0 else "harms"
    outcome = (
        f"test {study.measure.name} {_score_change(study, effect)}" if change else "no run on the same seeds"
    )
    plain_gap = study.effects[0].gap
    if effect.gap and plain_gap and study.study.kind == "overfitting":
        unit, digits = study.gap_measure.unit, score_digits(study.gap_measure)
        before, after = (
            estimate(msgspec.structs.replace(gap, low=None, high=None), digits)
            for gap in (plain_gap, effect.gap)
        )
        outcome += f"; gap {before} → {after} {unit}".rstrip()
    options = " ".join(f"--set {assignment}" for assignment in effect.variant.assignments)
    name = effect.variant.name
    return Lesson(name, options, REMEDY_TEXTS.get(name, ""), outcome, verdict, _onset(curves.get(name)))


def _onset(curve: Overfitting | None) -> str:
    if curve is None or curve.onset.epoch is None or curve.adversarial:
        return ""
    if curve.onset.epoch:
        return f"overfits from epoch {curve.onset.epoch}"
    return f"does not overfit within {_epochs(curve.epochs)}"


def _epochs(count: int) -> str:
    return counted(count, "epoch")


def more_data(study: StudyFinding) -> str:
    """What less data shows about more; empty where the study did not try it."""
    tried = [
        effect for effect in study.effects[1:] if effect.variant.name in DATA_VARIANTS and effect.score_change
    ]
    if not tried or study.study.kind != "overfitting":
        return ""
    worse = [effect for effect in tried if effect.score_change and effect.score_change.value < 0]
    wider = [effect for effect in worse if effect.gap_change and effect.gap_change.value > 0]
    changes = ", ".join(f"{effect.variant.name}: {_score_change(study, effect)}" for effect in tried)
    if wider and any(effect in study.harmful for effect in wider):
        return (
            f"With less data the test score falls and the gap widens ({changes}). So more data should help."
        )
    return (
        f"Change of the test {study.measure.name} with less data: {changes}. "
        "This does not show whether more data would help."
    )


def study_table(study: StudyFinding) -> Table:
    """A row for each remedy: its levels, and its differences from the plain runs."""
    measure = study.measure
    digits, gap_digits = score_digits(measure), score_digits(study.gap_measure)
    unit, gap_unit = (f" ({of.unit})" if of.unit else "" for of in (measure, study.gap_measure))
    headers = ["remedy", "options", "seeds", f"gap{gap_unit}", score_header(measure)]
    headers.append(f"change of gap{gap_unit}")
    headers += [f"change of test{unit}", "change of training time"]
    rows = []
    for index, effect in enumerate(study.effects):
        changes: list[Cell | str] = [NOTHING] * 3
        if index:
            changes = [
                estimate(effect.gap_change, gap_digits, sign=True),
                estimate(measure.as_change(effect.score_change), digits, sign=True),
                _marked(ratio_cell(effect.time_ratio), disturbed=study.disturbed),
            ]
        row = [effect.variant.name, " ".join(effect.variant.assignments) or NOTHING, str(effect.seeds)]
        rows.append([*row, estimate(effect.gap, gap_digits), estimate(effect.score, digits), *changes])
    reference = study.effects[0].variant.name
    title = (
        f"Remedies, and their changes from {reference} on the same seeds: mean [95 % interval; those of "
        "changes hold for all remedies together]"
    )
    return Table(
        headers, rows, title, (RATIO_LEGEND, *[BUSY_LEGEND] * study.disturbed), announced=True, form="named"
    )


def _marked(cell: Cell, *, disturbed: bool) -> Cell:
    return cell._replace(text=busy_mark(cell.text, disturbed=disturbed))


# The document of a study, which explains itself.

_MEANING = {
    "overfitting": (
        "What overfitting is",
        """\
A network learns from training samples, but it has to work on new ones. Some samples are therefore held \
out: validation samples, which show during training how well the network does on new data, and test \
samples, which are used once, at the end.
At first the network gets better on both. Later it may begin to memorise the training samples, with their \
noise: the training loss falls further, and the validation loss rises. That is overfitting. The difference \
between the two is the generalisation gap.
The loss measures how wrong the network is and how sure it is of it; the accuracy counts only how many \
answers are right. A network that becomes more and more sure of the same mistakes shows it in the loss \
first.""".splitlines(),
    ),
    "imbalance": (
        "What imbalance does",
        """\
Here half of the classes were thinned to a tenth of their training samples. A network that hardly ever sees \
a class can ignore it and still be right most of the time.
The balanced accuracy shows it: the share of right answers is computed for each class, and the mean over \
the classes is taken, so that a rare class counts as much as a frequent one.""".splitlines(),
    ),
}
_TERMS = {
    "epoch": "One pass over all training samples.",
    "loss": "The number that training makes small. The lower, the better the network fits the samples.",
    "gap": (
        "The difference between the training and the validation score: how much better the network does "
        "on samples that it has learned from."
    ),
    "best epoch": "The epoch with the lowest validation loss.",
    "overfitting begins": (
        "The first epoch from which the validation loss stays at least 5 % above its lowest value to the "
        "end, while the training loss keeps below what it was there."
    ),
    "seed": (
        "The start of the random numbers: initial weights and order of the samples. Each seed is one "
        "training; results that differ between seeds are chance."
    ),
    "interval": (
        "The numbers in brackets. With 95 % confidence the effect over all seeds lies between them. If an "
        "interval of a change contains 0, the study does not show whether the remedy helps."
    ),
}
_EFFECTS: dict[str, tuple[str, Tone]] = {
    "helps": ("▲ helps", "good"),
    "harms": ("▼ worse", "bad"),
    "unclear": ("◦ no clear effect", "muted"),
    "few": ("◦ too few seeds", "muted"),
}
_PLAIN = ("-plain-loss", "-plain-score")
_REMEDIES = ("-losses", "-remedies")


def study_document(findings: Sequence[StudyFinding]) -> Document:
    """The findings of one study, a part for each configuration, with what the words mean."""
    first = findings[0]
    title, meaning = _MEANING[first.study.kind]
    nodes: list[Node] = [Section(title, [Paragraph(text) for text in meaning], "meaning")]
    nodes += study_parts(findings)
    nodes.append(Section("Terms", [Facts(_TERMS)], "terms"))
    record = first.runs[0].record
    meta = [
        first.group_title,
        ", ".join(study.configuration.name for study in findings),
        seeds(max(effect.seeds for study in findings for effect in study.effects)),
        record.machine.cpu,
        record.started_at[:10],
    ]
    verdict = headline(first, _plain_curve(first))
    return Document(f"study of {first.study.kind}", verdict, nodes, meta=meta)


def study_parts(findings: Sequence[StudyFinding]) -> list[Node]:
    """A part for each configuration; with its headline where there are several."""
    parts: list[Node] = []
    for number, study in enumerate(findings, 1):
        nodes = _part(study, f"part-{number}")
        title = f"{study.configuration.name}: {headline(study, _plain_curve(study))}"
        parts += [Section(title, nodes, f"part-{number}")] if len(findings) > 1 else nodes
    return parts


def _plain_curve(study: StudyFinding) -> Overfitting | None:
    return study.curves().get(study.effects[0].variant.name)


def _part(study: StudyFinding, name: str) -> list[Node]:
    """Where overfitting begins, what each remedy does, whether more data would help, and all numbers."""
    curves, plain = study.curves(), _plain_curve(study)
    nodes: list[Node] = []
    if plain is not None and study.study.kind == "overfitting":
        title = "Where it begins here" if plain.onset.epoch else "Does the network overfit here?"
        sentences = beginning(plain) if plain.onset.epoch is not None else []
        begins: list[Node] = [*map(Paragraph, sentences), Figures(partial(_figures, study, name, _PLAIN))]
        nodes.append(Section(title, begins, f"{name}-begins"))
    if remedies := lessons(study, curves):
        same_seeds = " Every remedy was trained on the same seeds as the plain network."
        helps: list[Node] = [
            Paragraph((Span(answer(study)), same_seeds)),
            Figures(partial(_figures, study, name, _REMEDIES)),
            Cards(list(map(_card, remedies))),
        ]
        nodes.append(Section("What each remedy does", helps, f"{name}-helps"))
    if more := more_data(study):
        shown: list[Node] = [Paragraph(more), Figures(partial(_figures, study, name, ("-data",)))]
        nodes.append(Section("Would more data help?", shown, f"{name}-more-data"))
    return [*nodes, Folded("All numbers", [study_table(study)], f"{name}-numbers")]


def _card(lesson: Lesson) -> Card:
    effect, tone = _EFFECTS[lesson.verdict]
    title: Text = (f"{lesson.name} ", Span(effect, tone=tone))
    outcome = f"{lesson.outcome}; {lesson.onset}" if lesson.onset else lesson.outcome
    nodes: list[Node] = [Paragraph(lesson.meaning), Paragraph(outcome, "small")]
    if lesson.options:
        nodes.append(Paragraph((Span(lesson.options, "code"),)))
    return Card(title, nodes, tone=tone)


def _figures(study: StudyFinding, prefix: str, kinds: tuple[str, ...]) -> list[Figure]:
    from harness.report.charts.study import study_figures

    return [figure for figure in study_figures(study, prefix) if figure.name.endswith(kinds)]


def studies_text() -> str:
    """The kinds of study, and of each its remedies with the options that they set and what they do."""
    early = (EARLY_STOPPING, NOTHING, REMEDY_TEXTS[EARLY_STOPPING])
    nodes: list[Node] = []
    for kind, (plain, *remedies) in REMEDIES.items():
        rows = [(plain.name, " ".join(plain.assignments) or NOTHING, "The reference of the others.")]
        rows += [
            (each.name, " ".join(each.assignments) or NOTHING, REMEDY_TEXTS[each.name]) for each in remedies
        ]
        rows += [early] * (kind == "overfitting")
        headers = ["remedy", "options", "what it does"]
        nodes.append(Table(headers, rows, f"harness study {kind}", announced=True))
    return terminal_text(Document("study", "Studies", nodes))


def study_text(study: Study, store: Store) -> str:
    """The findings of this study alone, from its runs in the store."""
    from harness.report.runs.findings import findings_document

    findings = _alone(study, store)
    if not findings.studies:
        return "No plain run has succeeded yet: there is nothing to compare the remedies with."
    return terminal_text(findings_document(findings))


def study_page(study: Study, store: Store) -> str:
    """The same as a page that explains itself.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    from harness.report.render.html import html_page
    from harness.report.runs.findings import findings_document

    findings = _alone(study, store)
    return html_page(study_document(findings.studies) if findings.studies else findings_document(findings))


def _alone(study: Study, store: Store) -> Findings:
    ordered = group_runs(map(Run.of, study_records(study, store)))
    unpaired = unpaired_remedies(study, ordered.groups)
    return Findings([], study_findings(study, ordered.groups), ordered.left_out, [*unpaired])


def newest_study(name: str, results: Path) -> "StudyReport":
    """The newest study whose name begins with ``name``.

    Raises:
        UsageError: there is none, or none of its plain runs has succeeded.
    """
    paths = [path for path in STUDIES.paths(results) if path.stem.startswith(name)]
    if not paths:
        known = ", ".join(path.stem for path in STUDIES.paths(results)) or "none"
        raise UsageError(
            f"no study {name!r} in {results}; recorded: {known}. Make one with: harness study overfitting "
            "--task mlp --backend torch"
        )
    study = STUDIES.read(max(paths, key=lambda path: path.stat().st_mtime))
    findings = _alone(study, Store(results)).studies
    if not findings:
        raise UsageError(f"no plain run of the study {study.id} has succeeded yet")
    return StudyReport(findings)


@dataclass(frozen=True)
class StudyReport:
    """The result of :func:`harness.study`; a notebook displays it, a part for each configuration."""

    findings: list[StudyFinding]

    def _repr_html_(self) -> str:
        from harness.report.render.html import html_fragment

        title = Paragraph(headline(self.findings[0], _plain_curve(self.findings[0])), "answer")
        return html_fragment([title, *study_parts(self.findings)])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def __str__(self) -> str:
        lines = []
        for study in self.findings:
            lines += [headline(study, _plain_curve(study)), answer(study)]
            lines += [f"- {each.name}: {each.outcome}" for each in lessons(study, study.curves())]
        return "\n".join(lines)
