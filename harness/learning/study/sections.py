"""The answer of a study, and the parts of its page: a table from which a kind of study takes those it has."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from harness.core.documents.document import (
    Card,
    Cards,
    Cell,
    Figure,
    Figures,
    Node,
    Paragraph,
    Picture,
    Section,
    Span,
    Table,
    Text,
    Tone,
)
from harness.core.documents.numbers import (
    NOTHING,
    counted,
    estimate,
    listed,
    percent_change,
    score_digits,
    score_text,
    score_unit,
    seeds,
    significant,
    time_ratio,
)
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.runs.overfit import Overfitting
from harness.learning.study.effects import (
    Effect,
    StudyFinding,
    Verdict,
)
from harness.learning.study.quantities import Quantity
from harness.learning.study.record import Study
from harness.learning.study.scaling import Scaling, scaling
from harness.learning.study.tuning import (
    at_edges,
    best_trial,
    criterion,
)
from harness.spec.task import BinaryClassification, Classification
from harness.weights.explain.study_part import (
    MARGIN,
    SURVIVES,
    Agreement,
    Survival,
    agreements,
    networks_of,
    survivals,
)

# The answer of a study, in the words of reports.

#: An undecided variant that needs more seeds than this is not worth a number.
_MOST_SEEDS = 200


def study_title(study: StudyFinding) -> str:
    """``Study of overfitting: torch:eager, cnn on digits, 10 epochs``."""
    return f"Study of {study.study.kind.name}: {study.configuration.name}, {study.group_title}"


def study_sentence(study: StudyFinding) -> str:
    """The answer for one configuration, with what it rests on."""
    counts = [effect.seeds for effect in study.effects]
    fewest, most = min(counts), max(counts)
    basis = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
    certified = "" if study.group.conditions.certified else ", not certified"
    return f"{study.configuration.name} ({basis}{certified}): {headline(study)}. {answer(study)}"


def headline(study: StudyFinding) -> str:
    """The first sentence of a configuration's part, without a full stop."""
    kind, task = study.study.kind, f"{study.study.task} on {study.study.dataset}"
    if (own := _own_headline(study, task)) is not None:
        return own
    if kind.reference == "best":
        tied = [each.variant.name for each in study.of_verdict("equal", "undecided", "few", "better")]
        with_others = f"; {listed(tied)} may be as good" if tied else f"; every other {kind.noun} is worse"
        name = study.reference.variant.name
        return f"{task}: {name} is the best {kind.noun} on validation data{with_others}"
    if study.recommended is not None:
        return f"{task}: {study.recommended.variant.name} helps most"
    worse = [effect.variant.name for effect in study.of_verdict("worse")]
    if worse and all(effect.described.data for effect in study.effects[1:]):
        return f"{task}: {study.reference.variant.name} is certainly better than {listed(worse)}"
    return f"{task}: no {kind.noun} is certainly better than {study.reference.variant.name}"


def _own_headline(study: StudyFinding, task: str) -> str | None:
    """The answer of a kind that asks for more than which variant is better; None: it does not."""
    sections = study.study.kind.sections
    if "onset" in sections:
        return _onset_headline(task, reference_curve(study))
    if "scaling" in sections and (law := scaling(study)) is not None:
        return f"{task}: twice the data would lower the {law.quantity.measure.name} by {law.gain_text}"
    if "explanations" in sections and _speaks_for_all(study):
        found = agreements(networks_of(study.group.configurations))
        return f"{task}: {agreement_text(found)}" if found else None
    return None


def _speaks_for_all(study: StudyFinding) -> bool:
    """Whether its part is the first, which says what is known of all configurations together."""
    return study.configuration is study.group.configurations[0]


def _onset_headline(task: str, plain: Overfitting | None) -> str:
    if plain is None or plain.onset.epoch is None:
        return f"{task}: overfitting is not assessed, because a loss is not finite"
    return f"{task} {_onset_text(plain)}{f' of {plain.epochs}' if plain.onset.epoch else ''}"


def _onset_text(curve: Overfitting) -> str:
    """``overfits from epoch 3`` or ``does not overfit within 12 epochs``."""
    if curve.onset.epoch:
        return f"overfits from epoch {curve.onset.epoch}"
    return f"does not overfit within {counted(curve.epochs, 'epoch')}"


def answer(study: StudyFinding) -> str:
    """Which variants are better, worse or as good as the reference, in a few sentences."""
    name, noun = study.reference.variant.name, study.study.kind.noun
    if study.effects[1:] and all(effect.verdict == "few" for effect in study.effects[1:]):
        return (
            f"So few seeds do not show which {noun} is better: fewer than {FEWEST_FOR_INTERVAL} give no "
            f"interval. Add seeds with --seeds {study.study.kind.seeds}."
        )
    sentences = []
    if study.study.kind.reference == "best":
        sentences.append(f"{name}: {_levels(study, study.reference)}")
    if study.recommended is not None:
        others = [each for each in study.of_verdict("better") if each is not study.recommended]
        more = f"; {_changes_text(study, others)}" if others else ""
        sentences.append(f"Better than {name}: {_changes_text(study, [study.recommended])}{more}")
    elif "onset" in study.study.kind.sections:  # of other kinds the headline says so
        sentences.append(f"No {noun} is certainly better than {name}")
    titles: dict[Verdict, str] = {
        "mixed": "Better in one respect, worse in another",
        "equal": f"As good as {name}",
        "undecided": "Undecided",
        "worse": f"Worse than {name}",
    }
    for verdict, title in titles.items():
        if found := study.of_verdict(verdict):
            sentences.append(f"{title}: {_changes_text(study, found)}")
    return " ".join(f"{sentence}." for sentence in sentences)


def _levels(study: StudyFinding, effect: Effect) -> str:
    return ", ".join(
        f"{study.quantities[name].measure.name} {level_text(study.quantities[name], effect.levels[name])}"
        for name in study.study.kind.decisive
    )


def _changes_text(study: StudyFinding, effects: Sequence[Effect]) -> str:
    return "; ".join(
        f"{effect.variant.name}{_how(effect)} ({changes_text(study, effect)})" for effect in effects
    )


def _how(effect: Effect) -> str:
    """How to apply a variant; empty where a reader of the sentence has no use for it."""
    options = " ".join(f"--set {assignment}" for assignment in effect.variant.assignments)
    return f" with {options}" if options and effect.verdict == "better" else ""


def changes_text(study: StudyFinding, effect: Effect) -> str:
    """``test loss −1.65 [−1.9, −1.4], test accuracy +1.2 [0.4, 2.0] points``: the decisive changes."""
    texts = [
        f"{study.quantities[name].measure.name} {change_text(study.quantities[name], effect.changes[name])}"
        for name in study.study.kind.decisive
    ]
    if effect.verdict == "undecided" and (needed := seeds_needed(study, effect)):
        texts.append(f"about {needed} seeds would decide if the difference stays as it is")
    return ", ".join(texts)


def seeds_needed(study: StudyFinding, effect: Effect) -> int | None:
    """The seeds after which the interval of a decisive change would exclude 0, if mean and spread stay.

    The width of an interval falls with the root of the number of seeds. None where it is not known, as where
    the interval contains the chance in tuning, which more seeds do not make smaller.
    """
    if study.study.trials:
        return None
    counts = []
    for name in study.study.kind.decisive:
        change = effect.changes[name]
        if change is not None and change.low is not None and change.high is not None and change.value:
            half = (change.high - change.low) / 2
            counts.append(int(np.ceil(change.n * (half / abs(change.value)) ** 2)))
    needed = min(counts, default=_MOST_SEEDS + 1)
    return max(needed, effect.seeds + 1) if needed <= _MOST_SEEDS else None


def level_text(of: Quantity, level: Estimate | None) -> str:
    """A level with its unit: ``71.2 % [70.1, 72.3]``."""
    return estimate(level, score_digits(of.measure), score_unit(of.measure))


def change_text(of: Quantity, change: Estimate | None) -> str:
    """A change in the form of its quantity."""
    if of.ratio:
        return time_ratio(change) if of.measure.unit == "s" else percent_change(change) if change else NOTHING
    return estimate(change, score_digits(of.measure), of.measure.unit, sign=True)


# The parts of a page.


class _Part(NamedTuple):
    """The title of a part, what stands above its charts and below them; texts are paragraphs."""

    title: str
    above: Sequence[str | Node]
    below: Sequence[Node] = ()
    has_charts: bool = True


def reference_curve(study: StudyFinding) -> Overfitting | None:
    """What the curves of the reference show."""
    return study.curves().get(study.reference.variant.name)


def _onset(study: StudyFinding) -> _Part | None:
    """Where overfitting begins."""
    plain = reference_curve(study)
    if plain is None:
        return None
    title = "Where it begins here" if plain.onset.epoch else "Does the network overfit here?"
    return _Part(title, beginning(plain) if plain.onset.epoch is not None else [])


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
            "The validation loss does not stay 5 % above its lowest value until the end, so the network "
            f"does not overfit within {counted(last, 'epoch')}. More epochs (--epochs) or less data may make "
            "it overfit."
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


def _effects(study: StudyFinding) -> _Part | None:
    """How each variant changes what decides."""
    if not study.effects[1:]:
        return None
    reference = study.reference.variant.name
    same_seeds = " All were trained on the same seeds."
    return _Part(f"Compared with {reference}", [Paragraph((Span(answer(study)), same_seeds))])


def ranked(study: StudyFinding) -> list[tuple[Effect, Estimate]]:
    """The variants in the order of the first decisive quantity, with their levels."""
    of = study.quantities[study.study.kind.decisive[0]]
    known = [(effect, level) for effect in study.effects if (level := effect.levels[of.name]) is not None]
    return sorted(known, key=lambda each: each[1].value, reverse=of.measure.higher_is_better)


def _ranking(study: StudyFinding) -> _Part:
    """The variants in the order of their test scores."""
    kind = study.study.kind
    first = study.quantities[kind.decisive[0]]
    rows = [
        [
            str(place),
            effect.variant.name,
            level_text(first, level),
            _VERDICTS[effect.verdict][0] if effect.verdict else "the reference",
            " ".join(effect.variant.assignments) or NOTHING,
        ]
        for place, (effect, level) in enumerate(ranked(study), 1)
    ]
    headers = ["rank", kind.noun, first.measure.name, f"against {study.reference.variant.name}", "settings"]
    title = f"Each {kind.noun} with its best setting, over {seeds(max(each.seeds for each in study.effects))}"
    table = Table(headers, rows, title, announced=True, form="texts")
    return _Part("The order", [_reference_text(study), table], has_charts=False)


def _reference_text(study: StudyFinding) -> str:
    """Why the others are compared with this variant."""
    name, kind = study.reference.variant.name, study.study.kind
    return (
        f"The others are compared with {name}, which was best on validation data before the seeds of this "
        f"comparison were trained. Ranks that are close are not certain: see what is undecided."
        if kind.reference == "best"
        else f"The others are compared with {name}."
    )


def _curves(study: StudyFinding) -> _Part:
    """The validation curves of all variants."""
    return _Part(f"The course of training with each {study.study.kind.noun}", [])


def _variants(study: StudyFinding) -> _Part | None:
    """What each variant is, and what it did."""
    shown = study.effects if study.study.kind.reference == "best" else study.effects[1:]
    if not shown:
        return None
    curves = study.curves()
    cards = Cards([_card(study, effect, curves) for effect in shown])
    return _Part(f"What each {study.study.kind.noun} is", [cards], has_charts=False)


#: A verdict on a card.
_VERDICTS: Mapping[Verdict, tuple[str, Tone]] = {
    "better": ("▲ better", "good"),
    "worse": ("▼ worse", "bad"),
    "mixed": ("◆ better and worse", "unsure"),
    "equal": ("= as good", "muted"),
    "undecided": ("◦ undecided", "muted"),
    "few": ("◦ too few seeds", "muted"),
}


def _card(study: StudyFinding, effect: Effect, curves: Mapping[str, Overfitting]) -> Card:
    word, tone = _VERDICTS[effect.verdict] if effect.verdict else ("the reference", "muted")
    outcome = changes_text(study, effect) if effect.verdict else _levels(study, effect)
    curve = curves.get(effect.variant.name) if "onset" in study.study.kind.sections else None
    if curve is not None and curve.onset.epoch is not None and not curve.adversarial:
        outcome += f"; {_onset_text(curve)}"
    nodes: list[Node] = [Paragraph(effect.described.meaning), Paragraph(outcome, "small")]
    if options := " ".join(f"--set {assignment}" for assignment in effect.variant.assignments):
        nodes.append(Paragraph((Span(options, "code"),)))
    title: Text = (f"{effect.variant.name} ", Span(word, tone=tone))
    return Card(title, nodes, tone=tone)


def more_data(study: StudyFinding) -> str:
    """What less data shows about more; empty where the study did not try it."""
    tried = [effect for effect in study.effects[1:] if "train_fraction" in effect.variant.options]
    if not tried:
        return ""
    changes = "; ".join(f"{each.variant.name}: {changes_text(study, each)}" for each in tried)
    # Less data also makes fewer steps, so only a wider gap shows that the data are what is missing.
    widened = [
        each for each in tried if (gap := each.changes.get("gap")) and gap.low is not None and gap.low > 0
    ]
    if any(each.verdict == "worse" for each in widened):
        return (
            f"With less data the network does worse and the gap widens ({changes}). So more data should help."
        )
    return f"Change with less data: {changes}. This does not show whether more data would help."


def _more_data(study: StudyFinding) -> _Part | None:
    text = more_data(study)
    return _Part("Would more data help?", [text]) if text else None


def _target(study: StudyFinding) -> _Part | None:
    """How fast each variant reaches the target."""
    target, kind = study.study.target, study.study.kind
    names = [each for each in ("steps to target", "time to target") if each in study.quantities]
    if target is None or not names:
        return None
    measure = study.measure
    missed = [
        f"{effect.variant.name} ({effect.seeds - reached} of {effect.seeds})"
        for effect in study.effects
        if (reached := _reached(effect, names[0])) < effect.seeds
    ]
    texts = [
        (
            f"The target is a validation {measure.name} of {score_text(measure, target)}: what the worst "
            f"winner of the tuning had reached, so that every {kind.noun} can. The scores after each epoch "
            "are searched for the first that reaches it."
        )
    ]
    if low := _far_behind(study):
        texts.append(
            f"{low} is so far behind that the target is low: a study without it (--variants) has a sharper "
            "one."
        )
    if missed:
        texts.append(f"Seeds that did not reach it are left out of the means: {', '.join(missed)}.")
    return _Part("How fast is the target reached?", texts)


#: A winner that reaches less than this share of the best one's score sets a low target.
_FAR_BEHIND = 0.8


def _far_behind(study: StudyFinding) -> str:
    """The variant whose winner sets a low target; empty without one."""
    measure, trials = study.measure, study.study.trials
    names = dict.fromkeys(trial.variant for trial in trials)
    winners = {name: best_trial(trials, name, measure) for name in names}
    values = {name: trial.value for name, trial in winners.items() if trial and trial.value}
    if not values:
        return ""
    best, worst = max(values.values()), min(values.values())
    low = worst if measure.higher_is_better else best
    is_low = worst < _FAR_BEHIND * best
    return next((name for name, value in values.items() if value == low), "") if is_low else ""


def _reached(effect: Effect, name: str) -> int:
    level = effect.levels[name]
    return level.n if level is not None else 0


def _tuning(study: StudyFinding) -> _Part | None:
    """What the trials found, and how much each variant depends on them."""
    if not study.study.trials:
        return None
    return _Part("How much depends on tuning", edge_sentences(study.study), [tuning_table(study)])


def tuning_table(study: StudyFinding) -> Table:
    """A row for each variant that was tuned: what its trials reached, and the setting that was chosen."""
    trials, noun = study.study.trials, study.study.kind.noun
    measure = criterion(study.study.kind, study.configuration.runs[0].record.task.description)
    rows = []
    for variant in dict.fromkeys(trial.variant for trial in trials):
        own = [trial for trial in trials if trial.variant == variant]
        values = sorted(
            (trial.value for trial in own if trial.value is not None), reverse=measure.higher_is_better
        )
        best = best_trial(own, variant, measure)
        ended = sum(trial.stopped for trial in own)
        failed = sum(trial.value is None for trial in own)
        amounts = (
            [significant(values[place]) for place in (0, len(values) // 2, -1)] if values else [NOTHING] * 3
        )
        chosen = " ".join(best.assignments) if best else NOTHING
        rows.append([variant, str(len(own)), *amounts, str(ended), str(failed), chosen])
    unit = f" ({score_unit(measure)})" if score_unit(measure) else ""
    headers = [noun, "trials", f"best{unit}", f"median{unit}", f"worst{unit}"]
    headers += ["ended early", "failed", "chosen"]
    title = f"Validation {measure.name} of the trials"
    return Table(headers, rows, title, announced=True, form="texts")


def edge_sentences(study: Study) -> list[str]:
    """A warning for each setting that was found at an end of its range."""
    chosen = [(study.described(each.name), each.assignments) for each in study.variants]
    sentences = []
    for edge in at_edges(chosen):
        low, high = edge.range.low, edge.range.high
        further = f"{low / 10:g}:{high:g}" if edge.is_low else f"{low:g}:{high * 10:g}"
        advice = f": --search {edge.variant}.{edge.option}={further}" if edge.range.log else ""
        sentences.append(
            f"{edge.variant} is best with {edge.option}={edge.value:g}, at the end of its range "
            f"({low if edge.is_low else high:g}). A better setting may lie beyond{advice}."
        )
    return sentences


def _scaling(study: StudyFinding) -> _Part:
    """The power law of the score against the amount of data."""
    law = scaling(study)
    none = "The runs do not show a power law: fewer than three amounts of data were trained."
    return _Part("Score against data", [none if law is None else _law_text(law)])


def _law_text(law: Scaling) -> str:
    name = law.quantity.measure.name
    return (
        f"With all {law.samples[-1]:,} training samples the {name} is {significant(law.levels[-1])}. The "
        f"fitted law says that twice as many would lower it to {significant(law.doubled.value)} "
        f"[{significant(law.doubled.low)}, {significant(law.doubled.high)}], by {law.gain_text}. Its "
        f"exponent is {law.exponent.value:.2f} [{law.exponent.low or 0:.2f}, {law.exponent.high or 0:.2f}]; "
        f"what more data cannot remove is {significant(law.floor)}. The intervals contain the spread over "
        "seeds, not the error of the law itself: the further from the data, the less it says."
    )


def _gradients(study: StudyFinding) -> _Part | None:
    """How hard each loss pushes, by how wrong the answer is."""
    task = study.configuration.runs[0].record.task.description
    if not isinstance(task.objective, (Classification, BinaryClassification)):
        return None
    text = (
        "For two classes, the size of the gradient at the output of the right class, by the probability "
        "that the network gives it. On the left the answer is wrong and sure: there cross-entropy pushes "
        "hardest, and squared error of the probabilities hardly at all."
    )
    return _Part("What a wrong answer teaches", [text])


def _explanations(study: StudyFinding) -> _Part | None:
    """Whether maps agree between frameworks as much as between seeds, and what they are worth."""
    left = survivals(study)
    if not left:
        return None
    nodes: list[Node] = []
    if _speaks_for_all(study):
        found = agreements(networks_of(study.group.configurations))
        sentence = agreement_text(found)
        nodes += [Paragraph((Span(f"{sentence[:1].upper()}{sentence[1:]}."),)), _agreement_table(found)]
    flagged = [each.method for each in left if each.is_flagged]
    text = (
        f"The maps of {listed(flagged)} survive: they do not depend on what the network has learned."
        if flagged
        else "No map survives re-initialised layers: they depend on what the network has learned."
    )
    nodes += [Paragraph((Span(text),)), _survival_table(left)]
    return _Part("Do explanations agree, and do they depend on the network?", nodes)


_AGREEMENT_WORDS: Mapping[str, str] = {
    "as much": "agree between frameworks as much as between seeds",
    "less": "agree less between frameworks than between seeds",
    "more": "agree more between frameworks than between seeds",
    "undecided": "may agree less or more between frameworks than between seeds; more seeds would decide",
    "few": "need at least three seeds for an interval",
    "one framework": "are of one framework; name several with --backend",
}


def agreement_text(found: Sequence[Agreement]) -> str:
    """The verdict on each method, those with the same one together."""
    verdicts = {each.verdict: [one.method for one in found if one.verdict == each.verdict] for each in found}
    if len(verdicts) == 1:
        return f"maps of networks trained apart {_AGREEMENT_WORDS[found[0].verdict]}"
    parts = [f"{listed(methods)} {_AGREEMENT_WORDS[verdict]}" for verdict, methods in verdicts.items()]
    return f"of networks trained apart, maps of {'; those of '.join(parts)}"


def _agreement_table(found: Sequence[Agreement]) -> Table:
    rows = [
        [
            each.method,
            *(estimate(one, 2) for one in (each.seeds, each.frameworks, each.same_seed)),
            estimate(each.difference, 2, sign=True),
            each.verdict,
        ]
        for each in found
    ]
    headers = [
        "method",
        "between seeds",
        "between frameworks",
        "frameworks, same seed",
        "difference",
        "verdict",
    ]
    legend = (
        "Spearman's rank correlation of the maps of the same test samples: 1 is the same order of all "
        "positions, 0 none in common. Between seeds: of one framework, of networks with different seeds. "
        "Between frameworks: with different seeds, too. Intervals leave out a seed at a time. As much: the "
        f"difference is certainly below {MARGIN:g}."
    )
    return Table(headers, rows, "Agreement of networks trained apart", (legend,), announced=True)


def _survival_table(left: Sequence[Survival]) -> Table:
    layers = [layer for layer, _ in left[0].layers]
    rows: list[list[Cell | str]] = []
    for each in left:
        courses = [estimate(Estimate(value, None, None, 1), 2) for _, value in each.layers]
        verdict = Cell("survives", "bad") if each.is_flagged else Cell("depends on the weights", "good")
        rows.append([each.method, *courses, estimate(each.last, 2), verdict])
    headers = ["method", *(f"to {layer}" for layer in layers), "all layers", "verdict"]
    legend = (
        "Rank correlation of a map before and after layers were re-initialised, from the last layer down to "
        f"the one that is named (Adebayo et al. 2018). From {SURVIVES:g} on, with all layers re-initialised, "
        "a map is flagged."
    )
    return Table(headers, rows, "Randomised layers", (legend,), announced=True)


def _explained(title: str, text: str, needed: str = "") -> Callable[[StudyFinding], _Part | None]:
    """A part that explains its charts; it is left out where no variant has the quantity ``needed``."""

    def part(study: StudyFinding) -> _Part | None:
        if needed and not any(effect.levels.get(needed) for effect in study.effects):
            return None
        return _Part(title, [text])

    return part


#: The parts of a page that a kind of study may name.
_PARTS: Mapping[str, Callable[[StudyFinding], _Part | None]] = {
    "onset": _onset,
    "ranking": _ranking,
    "effects": _effects,
    "curves": _curves,
    "variants": _variants,
    "more data": _more_data,
    "target": _target,
    "tuning": _tuning,
    "scaling": _scaling,
    "gradients": _gradients,
    "explanations": _explanations,
    "recalls": _explained(
        "Which classes are recognised?",
        "Each bar is the share of a class's test samples that the network recognises; the number of its "
        "training samples stands beside its name.",
    ),
    "trade-off": _explained(
        "Precision against recall",
        "To the right more samples of the rare classes are found; further up more of the answers that name "
        "a rare class are right. A remedy that moves to the right and down buys one with the other.",
    ),
    "reliability": _explained(
        "Is the confidence right?",
        "A point is a bin of answers of similar confidence: to the right the network is surer, further up "
        "more answers are right. On the dashed line it is as often right as it is sure; below it is too "
        "sure.",
        needed="calibration error",
    ),
    "samples": _explained(
        "Copies or new images?",
        "For each recipe the eight generated images that look most like copies, of the best epoch: above, "
        "generated; in the middle the nearest training image; below the nearest image that was held out.",
    ),
    "frechet": _explained(
        "How good do they look?",
        "The lowest point is the best epoch. The dashed lines say what the numbers mean: noise, and other "
        "real images. A low distance is no proof of new images: copies have one, too.",
    ),
    "privacy": _explained(
        "What does protection cost?",
        "A point is DP-SGD with some noise: to the left more is proved. The dashed lines are the "
        "protections without a proof. Where the AUC is 0.5, this attack finds nothing.",
        needed="epsilon",
    ),
}


def sections(study: StudyFinding, prefix: str) -> list[Node]:
    """The parts that the kind names and the study has the data for; their ids begin with ``prefix``."""
    drawn: list[Node] = []
    for kind in study.study.kind.sections:
        part = _PARTS[kind](study) if kind in _PARTS else None
        if part is not None:
            above = [Paragraph(each) if isinstance(each, str) else each for each in part.above]
            charts = [Figures(partial(_figures, study, prefix, kind))] if part.has_charts else []
            drawn.append(
                Section(part.title, [*above, *charts, *part.below], f"{prefix}-{kind.replace(' ', '-')}")
            )
    return drawn


def _figures(study: StudyFinding, prefix: str, kind: str) -> list[Figure | Picture]:
    from harness.learning.study.charts import CHARTS

    return [*CHARTS[kind](study, prefix)]


def figures_of_study(study: StudyFinding, prefix: str) -> list[Figure | Picture]:
    """Every chart of a study's page that it has the data for."""
    from harness.learning.study.charts import CHARTS

    return [
        figure
        for kind in study.study.kind.sections
        if kind in CHARTS
        for figure in CHARTS[kind](study, prefix)
    ]
