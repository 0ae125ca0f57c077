"""The answer of a study on one configuration: sentences, and the table of all numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.documents.document import Cell, Table, Tone
from harness.core.documents.numbers import (
    BUSY_LEGEND,
    FEW_SEEDS_LEGEND,
    NOTHING,
    RATIO_LEGEND,
    busy_mark,
    estimate,
    listed,
    percent_change,
    score_digits,
    score_unit,
    seeds,
    time_ratio,
    with_unit,
)
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.judging import NO_NEED, Verdict
from harness.learning.study.needs import need_text, needs, needs_text
from harness.learning.study.parts import parts_of
from harness.learning.study.quantities import Quantity

#: Variants that a headline names; more are counted.
_MOST_NAMED = 3


def study_title(study: StudyFinding) -> str:
    """Return ``Study of overfitting: torch:eager, cnn on digits, 10 epochs``."""
    return f"Study of {study.study.kind.name}: {study.configuration.name}, {study.group_title}"


def study_sentence(study: StudyFinding) -> str:
    """State the answer for one configuration, with the seeds that it rests on."""
    counts = [effect.seeds for effect in study.effects]
    fewest, most = min(counts), max(counts)
    basis = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
    certified = "" if study.group.conditions.certified else ", not certified"
    return f"{study.configuration.name} ({basis}{certified}): {headline(study)}. {answer(study)}"


def headline(study: StudyFinding) -> str:
    """State the answer for a configuration in one sentence, without a full stop.

    It rests on the verdicts of :func:`study_table`.
    """
    kind, task = study.study.kind, f"{study.study.task} on {study.study.dataset}"
    for part in parts_of(kind):
        if part.headline is not None and (own := part.headline(study, task)) is not None:
            return own
    return f"{task}: {verdict_text(study)}"


def verdict_text(study: StudyFinding) -> str:
    """State which variants are best, or which help; then those that diverged."""
    if too_few(study):
        said = f"too few seeds to say which {study.study.kind.noun} is better"
    elif len(steady := [each for each in study.effects if each.verdict != "diverged"]) == 1:
        said = f"there is nothing to compare {steady[0].variant.name} with"
    else:
        said = _best_text(study) if study.asks_for_best else helpful_text(study)
    diverged = [_diverged_text(each) for each in study.of_verdict("diverged")]
    return "; ".join([said, *diverged])


def too_few(study: StudyFinding) -> bool:
    """Check that no variant has the seeds that an interval needs."""
    judged = [each for each in study.effects if each.verdict not in {None, "diverged", "control"}]
    return bool(judged) and all(each.verdict == "few" for each in judged)


def _diverged_text(effect: Effect) -> str:
    if not effect.seeds:
        return f"{effect.variant.name} diverged"
    count = len(effect.diverged)
    return f"{effect.variant.name} diverged with {count} of {seeds(effect.seeds + count)}"


def _best_text(study: StudyFinding) -> str:
    """State the variants that cannot be distinguished from the best, and how much worse others are."""
    noun = study.study.kind.noun
    in_set, worse = study.may_be_best, study.of_verdict("worse")
    if best := study.of_verdict("best"):
        return f"{best[0].variant.name} is the best {noun}"
    count = len(in_set) + len(worse)
    names = listed([each.variant.name for each in in_set])
    alike = (
        "are equally good" if all(each.verdict == "equal" for each in in_set) else "cannot be distinguished"
    )
    if not worse:
        return f"the {count} {plural(noun)} {alike}"
    who = names if len(in_set) <= _MOST_NAMED else f"{len(in_set)} of {count} {plural(noun)}"
    said = [
        f"{each.names} {_are(each.effects)} worse{each.how} by {_span(each)}"
        for each in _by_deciding(study, worse, -1)
    ]
    return "; ".join([f"{who} {alike}", *said])


class _Claim(NamedTuple):
    """Variants that are certainly better, or certainly worse, in a quantity."""

    of: Quantity
    effects: list[Effect]
    how: str
    """`` in test accuracy``; empty where only one quantity decides."""

    @property
    def names(self) -> str:
        """The names of the variants."""
        return listed([each.variant.name for each in self.effects])

    @property
    def aside(self) -> str:
        """The quantity in brackets, for variants that help."""
        return f" (better{self.how})" if self.how else ""


def _by_deciding(study: StudyFinding, effects: Sequence[Effect], sign: int) -> list[_Claim]:
    """Divide variants by the first decisive quantity in which they are better (1) or worse (-1)."""
    claims: dict[str, _Claim] = {}
    several = len(study.study.kind.decisive) > 1
    for each in effects:
        of = study.quantities[each.deciding(sign) or study.study.kind.decisive[0]]
        how = f" in {of.measure.name}" * several
        claims.setdefault(of.name, _Claim(of, [], how)).effects.append(each)
    return [*claims.values()]


def _span(claim: _Claim) -> str:
    """Return the amounts by which the variants are worse: ``3.1 to 33.2 points``."""
    of = claim.of
    amounts = [abs(change.value) for each in claim.effects if (change := each.changes[of.name]) is not None]
    digits = score_digits(of.measure)
    ends = [estimate(Estimate(each, None, None, 1), digits) for each in (min(amounts), max(amounts))]
    return f"{' to '.join(dict.fromkeys(ends))} {of.measure.unit}".rstrip()


def named_first(study: StudyFinding) -> str:
    """Return the decisive quantity from which the first claim of :func:`verdict_text` follows."""
    helpful = [] if study.asks_for_best else [study.recommended, *study.helpful]
    claims: list[tuple[Effect, int]] = [(each, 1) for each in helpful if each is not None]
    claims += [(each, -1) for each in study.of_verdict("worse")]
    claims += [(each, 1) for each in study.of_verdict("mixed")]
    named = (name for effect, sign in claims if (name := effect.deciding(sign)) is not None)
    return next(named, study.study.kind.decisive[0])


def helpful_text(study: StudyFinding) -> str:
    """State which variants are certainly better than the reference, and whether one helps most."""
    reference, noun = study.reference.variant.name, study.study.kind.noun
    if (most := study.recommended) is not None:
        (claim,) = _by_deciding(study, [most], 1)
        return f"{claim.names} helps{' most' * (len(study.helpful) > 1)}{claim.aside}"
    if helpful := _by_deciding(study, study.helpful, 1):
        said = [
            f"{each.names} {'help' if len(each.effects) > 1 else 'helps'}{each.aside}" for each in helpful
        ]
        return "; ".join([*said, "which helps most is undecided"])
    judged = [effect for effect in study.effects[1:] if effect.verdict not in {"diverged", "control"}]
    if judged and judged == study.of_verdict("equal"):
        return f"{listed([each.variant.name for each in judged])} {_are(judged)} as good as {reference}"
    worse = _by_deciding(study, study.of_verdict("worse"), -1)
    if worse and all(effect.described.data for effect in study.effects[1:]):
        return "; ".join(f"{reference} is certainly better than {each.names}{each.how}" for each in worse)
    said = [f"no {noun} is certainly better than {reference}"]
    said += [f"{each.names} {_are(each.effects)} worse{each.how}" for each in worse]
    for better in _by_deciding(study, study.of_verdict("mixed"), 1):
        said += [
            f"{each.names} {_are(each.effects)} better{better.how} and worse{each.how}"
            for each in _by_deciding(study, better.effects, -1)
        ]
    return "; ".join(said)


def _are(effects: Sequence[Effect]) -> str:
    return "are" if len(effects) > 1 else "is"


def plural(noun: str) -> str:
    """Return the plural of a regular noun: ``losses``, ``remedies``, ``optimizers``."""
    if noun.endswith("s"):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def answer(study: StudyFinding, *, with_amounts: bool = True) -> str:
    """State in a few sentences which variants are better, worse or as good as the reference, or the best.

    ``with_amounts`` adds each change with its interval, and the settings of those that are better.
    """
    name = study.reference.variant.name
    if too_few(study):
        return (
            f"Fewer than {FEWEST_FOR_INTERVAL} seeds give no interval, because their spread is not known, "
            f"and so no answer. Add seeds with --seeds {study.study.kind.seeds}."
        )
    titles: dict[Verdict, str] = {
        "yes": "Yes",
        "no": "No",
        "best": "The best",
        "better": f"Better than {name}",
        "mixed": "Better in one respect, worse in another",
        "equal": "As good as the best" if study.asks_for_best else f"As good as {name}",
        "undecided": "May be the best" if study.asks_for_best else "Undecided",
        "worse": "Worse than the best" if study.asks_for_best else f"Worse than {name}",
        "few": f"Fewer seeds than the {FEWEST_FOR_INTERVAL} of an interval",
        "control": "A control, which shows what data are worth",
    }
    sentences: list[str] = []
    for verdict, title in titles.items():
        if found := study.of_verdict(verdict):
            names = listed([effect.variant.name for effect in found])
            sentences.append(f"{title}: {_changes_text(study, found) if with_amounts else names}")
    if needed := needs([study]):
        sentences.append(needs_text(needed, " if the differences stay as they are"))
    sentences += [f"{_diverged_text(each)}: it is not ranked" for each in study.of_verdict("diverged")]
    return " ".join(f"{sentence}." for sentence in sentences)


def levels_text(study: StudyFinding, effect: Effect) -> str:
    """Write ``test accuracy 71.2 % [70.1, 72.3]``: the decisive quantities of a variant."""
    return ", ".join(
        f"{study.quantities[name].measure.name} {level_text(study.quantities[name], effect.levels[name])}"
        for name in study.study.kind.decisive
    )


def _changes_text(study: StudyFinding, effects: Sequence[Effect]) -> str:
    return "; ".join(
        f"{effect.variant.name}{_how(effect)} ({_amounts_text(study, effect)})" for effect in effects
    )


def _how(effect: Effect) -> str:
    """Return the options that apply a variant; empty for one that is not better."""
    options = " ".join(f"--set {assignment}" for assignment in effect.variant.assignments)
    return f" with {options}" if options and effect.verdict in {"best", "better"} else ""


def changes_text(study: StudyFinding, effect: Effect) -> str:
    """Write the decisive changes of a variant, and what a verdict on it needs."""
    text = _amounts_text(study, effect)
    if study.asks_each or not effect.seeds or effect.verdict != "undecided" or effect.need == NO_NEED:
        return text
    stays = " if the difference stays as it is" * (effect.need.seeds is not None)
    return f"{text}, {need_text(effect.need)}{stays}"


def _amounts_text(study: StudyFinding, effect: Effect) -> str:
    """Write ``test loss −1.65 [−1.9, −1.4], test accuracy +1.2 [0.4, 2.0] points``: the decisive changes.

    The decisive levels where nothing is compared.
    """
    if study.asks_each or not effect.seeds:
        return levels_text(study, effect)
    return ", ".join(
        f"{study.quantities[name].measure.name} {change_text(study.quantities[name], effect.changes[name])}"
        for name in study.study.kind.decisive
    )


def level_text(of: Quantity, level: Estimate | None) -> str:
    """Write a level with its unit: ``71.2 % [70.1, 72.3]``."""
    return estimate(level, score_digits(of.measure), score_unit(of.measure))


def change_text(of: Quantity, change: Estimate | None) -> str:
    """Write a change in the form of its quantity: a ratio, or a difference with its unit."""
    if of.ratio:
        return time_ratio(change) if of.measure.unit == "s" else percent_change(change) if change else NOTHING
    return estimate(change, score_digits(of.measure), of.measure.unit, sign=True)


def ranked(study: StudyFinding) -> list[tuple[Effect, Estimate]]:
    """Order the variants that did not diverge by the first decisive quantity; returns each with its level."""
    of = study.quantities[study.study.kind.decisive[0]]
    steady = [effect for effect in study.effects if effect.verdict != "diverged"]
    known = [(effect, level) for effect in steady if (level := effect.levels[of.name]) is not None]
    return sorted(known, key=lambda each: each[1].value, reverse=of.measure.higher_is_better)


#: A verdict in a table and on a card; against the best, the second one.
_WORDS: Mapping[Verdict | None, tuple[str, Tone]] = {
    "best": ("▲ best", "good"),
    "better": ("▲ better", "good"),
    "worse": ("▼ worse", "bad"),
    "mixed": ("◆ better and worse", "unsure"),
    "equal": ("= as good", "muted"),
    "undecided": ("◦ undecided", "muted"),
    "yes": ("▼ yes", "bad"),
    "no": ("▲ no", "good"),
    "few": ("◦ too few seeds", "muted"),
    "diverged": ("▼ diverged", "bad"),
    "control": ("control", "muted"),
    None: ("the reference", "muted"),
}


def verdict_word(study: StudyFinding, effect: Effect) -> tuple[str, Tone]:
    """Return the verdict on a variant in a few words, with its tone."""
    if study.asks_for_best and effect.verdict == "undecided":
        return "◦ may be best", "muted"
    return _WORDS[effect.verdict]


def study_table(study: StudyFinding) -> Table:
    """Return a row for each variant: verdict, levels, and the changes of decisive quantities and times."""
    measured = list(study.quantities.values())
    decisive = study.study.kind.decisive
    with_level = [each for each in measured if not each.ratio]
    with_change = [each for each in measured if each.ratio or (each.name in decisive and not study.asks_each)]
    headers = [
        study.study.kind.noun,
        "settings",
        "seeds",
        "verdict",
        *(with_unit(each.measure) for each in with_level),
    ]
    headers += [_change_header(study, each) for each in with_change]
    rows: list[list[Cell | str]] = []
    for effect in study.effects:
        levels = [estimate(effect.levels[each.name], score_digits(each.measure)) for each in with_level]
        changes = [_change_cell(study, each, effect) for each in with_change]
        word, tone = verdict_word(study, effect)
        settings = " ".join(effect.variant.assignments) or NOTHING
        name = effect.variant.name
        rows.append([name, settings, _seeds_text(effect), Cell(word, tone), *levels, *changes])
    return Table(headers, rows, _table_title(study), _table_legend(study), announced=True, form="named")


def _change_header(study: StudyFinding, of: Quantity) -> str:
    if study.asks_for_best and not of.ratio:
        return f"{of.measure.name}: from the best"
    return f"change of {of.measure.name}"


def _seeds_text(effect: Effect) -> str:
    ended = len(effect.diverged)
    return f"{effect.seeds} ({ended} diverged)" if ended else str(effect.seeds)


def _table_title(study: StudyFinding) -> str:
    names = listed([study.quantities[name].measure.name for name in study.study.kind.decisive])
    reference = study.reference.variant.name
    if study.asks_each:
        return "Mean [95 % interval]"
    if study.asks_for_best:
        ratios = any(each.ratio for each in study.quantities.values())
        return (
            f"Differences in {names} from the best of the others on the same seeds: mean [95 % intervals "
            f"that hold together]{f'; ratios are relative to {reference}' * ratios}"
        )
    return (
        f"Changes from {reference} on the same seeds: mean [95 % interval; those of {names} hold for all "
        "together]"
    )


def _table_legend(study: StudyFinding) -> tuple[str, ...]:
    ratios = any(each.ratio for each in study.quantities.values())
    few = any(0 < effect.seeds < FEWEST_FOR_INTERVAL for effect in study.effects)
    levels = [level for effect in study.effects for level in effect.levels.values() if level is not None]
    constant = any(level.low is None and level.n >= FEWEST_FOR_INTERVAL for level in levels)
    return (
        *[RATIO_LEGEND] * ratios,
        *[FEW_SEEDS_LEGEND] * few,
        *["A number without an interval is the same with every seed."] * constant,
        *[BUSY_LEGEND] * study.disturbed,
    )


def _change_cell(study: StudyFinding, of: Quantity, effect: Effect) -> Cell:
    change = effect.changes[of.name]
    disturbed = study.disturbed and change is not None and of.measure.unit == "s"
    cell = Cell(busy_mark(change_text(of, change), disturbed=disturbed))
    shown = of.name in study.study.kind.decisive and effect.verdict in {"best", "better", "worse", "mixed"}
    if change is None or not shown or not change.excludes(1.0 if of.ratio else 0.0):
        return cell
    gain = of.measure.sign * (change.value - of.ratio) > 0
    return cell._replace(tone="good" if gain else "bad")
