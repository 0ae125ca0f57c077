"""Findings as sentences: what a person should take away, with how sure it is."""

from collections.abc import Sequence

from harness.analysis.conditions import Conditions, Difference
from harness.analysis.comparison import Comparison, PairComparison as Pair
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import Findings
from harness.analysis.gap_differences import GapDifference
from harness.analysis.grouping import LeftOut
from harness.analysis.kept_apart import KeptApart, NoPartner, NotCertified
from harness.analysis.overfit import Overfitting
from harness.analysis.study_effects import EARLY_STOPPING, Effect, StudyFinding
from harness.report.numbers import estimate, percent, probability, score_digits, seeds, significant
from harness.stats.equivalence import Equivalence
from harness.stats.estimate import Estimate
from harness.stats.intervals import CONFIDENCE
from harness.training.measures import Measure

#: Memorisation ratios below this are of generators that copy.
_COPIES_BELOW = 0.9
#: What a ratio is where a quarter of the samples is copied.
_QUARTER_COPIED = 0.75

#: Settings that are told in full; filters bring out the others.
SHOWN_SECTIONS = 12
NOTHING_FOUND = (
    "Nothing here can be compared, and no run scored an epoch. What was left out, and why, stands below."
)


def headlines(findings: Findings) -> dict[str, list[str]]:
    """The sentences that lead a report, under the question that they answer; only what has an answer."""
    found = findings.sections[:SHOWN_SECTIONS]
    told = {
        "Which is faster, and is it as good?": [
            pair_sentence(one.comparison, pair) for one in found for pair in one.comparison.pairs
        ],
        "Which remedy helps?": [study_sentence(study) for study in findings.studies],
        "Does it overfit?": [overfitting_sentence(one) for section in found for one in section.overfittings],
        "Do the frameworks overfit alike?": [
            gap_sentence(gap, one.comparison) for one in found for gap in one.gaps
        ],
    }
    return {question: answers for question, answers in told.items() if answers}


def cut(sentences: Sequence[str], most: int) -> list[str]:
    """The first of them, and how many more there are."""
    more = len(sentences) - most
    return [*sentences[:most], *([f"and {more} more"] if more > 0 else [])]


def pair_sentence(comparison: Comparison, pair: Pair) -> str:
    """What the fastest side and another differ in: speed, and whether the quality is the same."""
    where = machine_words(comparison.section.setting)
    claim = f"On {where}, {_speed(comparison, pair)}{_quality(comparison.measure, pair)}."
    return f"{claim}{_done_first(pair)} {_source(pair)}"


def machine_words(setting: Conditions) -> str:
    """The machine, the device where it is no CPU, and the threads."""
    device = "" if setting.device == "cpu" else f" with {setting.device}"
    threads = f"{setting.threads} thread{'s' * (setting.threads != 1)}"
    return f"{setting.machine.partition(',')[0]}{device} ({threads})"


def _speed(comparison: Comparison, pair: Pair) -> str:
    fast, slow, what = pair.fast.side.name, pair.slow.side.name, f"`{comparison.section.title}`"
    if pair.speed is None:
        return (
            f"{fast} and {slow} made no steady steps with the same seed on {what}, so speed is not compared"
        )
    ratio = estimate(pair.speed, 2).replace(" [", "× [", 1)
    if pair.duel is not None and pair.duel.result.verdict == "same":
        return f"{fast} and {slow} train {what} equally fast within {100 * pair.duel.margin:g} % ({ratio})"
    if pair.duel is not None and pair.speed_verdict == "undecided":
        return f"{fast} and {slow} train {what} at speeds that their duel could not tell apart ({ratio})"
    if pair.speed.low is None:
        return (
            f"{fast} trained {what} {ratio}× faster than {slow} in one pair of runs, which is no evidence yet"
        )
    if pair.duel is None and not pair.speed.excludes(1.0):  # a duel has a verdict of its own
        return f"{fast} and {slow} train {what} at speeds that these runs do not tell apart ({ratio})"
    return f"{fast} trains {what} {ratio} faster than {slow}"


def _done_first(pair: Pair) -> str:
    """That the side of the slower steps is done sooner: it starts faster, and the run is short."""
    ours, theirs = pair.fast.training_seconds, pair.slow.training_seconds
    if pair.speed is None or pair.speed.around(1.0) or ours is None or theirs is None:
        return ""
    if theirs.value >= ours.value:
        return ""
    return (
        f" Yet {pair.slow.side.name} was done with the whole training sooner, "
        f"first step included: {significant(theirs.value)} s against {significant(ours.value)} s."
    )


def _quality(measure: Measure, pair: Pair) -> str:
    found = pair.quality
    if found.difference is not None:
        found = found._replace(difference=found.difference.negated())
    if found.difference is None:
        return f"; their {measure.name} cannot be compared: no seed has a test score of both"
    basis = ", ".join(part for part in (seeds(found.difference.n), probability(found.p)) if part)
    digits = score_digits(measure)
    if found.verdict == "equal":
        margin = _singular(f"±{significant(found.margin)} {measure.unit}".rstrip())
        return f" at equal {measure.name} ({margin}, {basis})"
    by = estimate(found.difference, digits, measure.unit, sign=True)
    if found.verdict == "different":
        better = (found.difference.value > 0) == measure.higher_is_better
        worth = "better" if better else "worse"
        return f", and the {measure.name} of {pair.fast.side.name} is {worth} by {by} ({basis})"
    return (
        f"; whether their {measure.name} is equal cannot be told (that of {pair.fast.side.name} is {by}, "
        f"{seeds(found.difference.n)}{_would_do(found)})"
    )


def _would_do(found: Equivalence) -> str:
    return f"; about {found.seeds_needed:,} would do" if found.seeds_needed else ""


def _singular(margin: str) -> str:
    return margin.removesuffix("s") if margin.startswith("±1 ") else margin


def _source(pair: Pair) -> str:
    """Where the times come from, and how far they moved meanwhile."""
    if pair.duel is not None:
        found = pair.duel.result
        return f"(Times of a duel on {pair.duel.day}: {found.pairs} pairs, {probability(found.p_value)}.)"
    sides: tuple[ConfigurationSummary, ...] = (pair.fast, pair.slow)
    drifts = [abs(side.drift) for side in sides if side.drift is not None]
    spreads = [side.spread for side in sides if side.spread is not None]
    told = [f"up to {percent(max(drifts))} within a run"] if drifts else []
    told += [f"up to {percent(max(spreads))} between runs of one side"] if spreads else []
    moved = f"; steps moved by {', '.join(told)}" if told else ""
    return f"(Times of runs, not of a duel{moved}.)"


def overfitting_sentence(found: Overfitting) -> str:
    """The verdict of one side, as ``overfits from epoch 6; 2.1 points lost by epoch 20; …``."""
    return f"{found.side.name} on `{found.section.title}` {overfitting_verdict(found)}."


def overfitting_verdict(found: Overfitting) -> str:
    """The verdict without its subject."""
    basis = f" ({seeds(len(found.side.runs))})"
    if "train real" in found.bands:
        return _adversarial_verdict(found) + basis
    if found.onset.epoch is None:
        return "cannot be read: a loss is not finite"
    gap = f"gap {estimate(found.gap, score_digits(found.measure), found.measure.unit)}"
    if found.onset.epoch == 0:
        none = f"does not overfit within {found.epochs} epoch{'s' * (found.epochs != 1)}{_sometimes(found)}"
        return f"{none}; {gap}{_unsteady(found)}{basis}"
    begins = f"overfits from epoch {found.onset.epoch}{_onset_range(found)}{_mostly(found)}"
    return f"{begins}: {_cost(found)}; {gap}{basis}"


def _onset_range(found: Overfitting) -> str:
    between = found.onset.interval
    return f" [{between[0]}, {between[1]}]" if between and between[0] != between[1] else ""


def _sometimes(found: Overfitting) -> str:
    share = found.onset.share
    return f" (but {percent(share)} of resampled seeds do)" if share and share >= 0.05 else ""  # noqa: PLR2004


def _mostly(found: Overfitting) -> str:
    share = found.onset.share
    return f" (in {percent(share)} of resampled seeds)" if share and share < CONFIDENCE else ""


def _unsteady(found: Overfitting) -> str:
    measure, lost = found.measure, found.lost
    if lost is None or not measure.unit or lost.value <= measure.margin:
        return ""
    return (
        f"; the last epoch is {estimate(lost, 1, measure.unit)} below the best one all the same: "
        "training is not steady there"
    )


def _cost(found: Overfitting) -> str:
    measure, lost, gained = found.measure, found.lost, found.gained
    digits = score_digits(measure)
    if lost is None or gained is None:
        return "its cost is not known"
    if lost.value <= 0 or (lost.low is not None and lost.low <= 0):
        risen = estimate(found.generalization_loss, 0, "%")
        change = estimate(measure.as_change(gained), digits, measure.unit, sign=True)
        return (
            f"validation loss ends {risen} above its lowest, yet no loss of {measure.name} is certain, "
            f"and stopping early would change the test score by {change}"
        )
    told = f"{estimate(lost, digits, measure.unit)} of validation {measure.name} lost by epoch {found.epochs}"
    recovered = estimate(gained, digits, measure.unit, sign=True)
    if not gained.excludes(0.0):
        return f"{told}; what early stopping recovers on the test data is not certain ({recovered})"
    if gained.value < 0:
        change = estimate(measure.as_change(gained), digits, measure.unit, sign=True)
        return f"{told}; yet early stopping would change the test score by {change}"
    return f"{told}; early stopping recovers {estimate(gained, digits, measure.unit)} on the test data"


def _adversarial_verdict(found: Overfitting) -> str:
    gap = estimate(found.gap, 1, "points", sign=True)
    told = f"discriminator's gap {gap} between training and held-out pictures"
    if found.memorization_ratio:
        ratio = found.memorization_ratio
        told += f", memorisation ratio {estimate(ratio, 2)}: {_copying(ratio)}"
    opened = found.gap is not None and found.gap.low is not None and found.gap.low > 0
    return f"{'overfits in its discriminator' if opened else 'shows no certain overfitting'}: {told}"


def _copying(ratio: Estimate) -> str:
    if ratio.low is None or ratio.high is None:
        return "one seed does not tell whether it copies"
    if ratio.high < _COPIES_BELOW:
        return "samples lie nearer to training than to held-out pictures"
    if ratio.low < _QUARTER_COPIED:
        return "whether it copies cannot be told"
    return "no sign that it copies a quarter of its samples or more"


def gap_sentence(found: GapDifference, comparison: Comparison) -> str:
    """Whether two sides overfit alike."""
    result, measure = found.result, found.measure
    by = estimate(result.difference, score_digits(measure), measure.unit, sign=True)
    verdicts = {
        "equal": "is equal",
        "different": "differs",
        "undecided": "cannot be told to be equal or different",
    }
    margin = _singular(f"±{significant(result.margin)} {measure.unit}".rstrip())
    n = result.difference.n if result.difference else 0
    return (
        f"The gap of {found.one.name} and {found.other.name} on `{comparison.section.title}` "
        f"{verdicts[result.verdict]} (difference {by}, margin {margin}, {seeds(n)}{_would_do(result)})."
    )


def study_sentence(found: StudyFinding) -> str:
    """What a study recommends on one side."""
    best = found.recommended
    where = f"{found.configuration.name} on `{found.group_title}`"
    if best is None or best.score_change is None:
        tried = [effect.score_change.n for effect in found.effects[1:] if effect.score_change]
        fewest, most = min(tried or [found.effects[0].seeds]), max(tried or [found.effects[0].seeds])
        none = f"none improves the test {found.measure.name} for certain"
        told = "one seed says nothing certain" if most == 1 else none
        count = f"{fewest} to {seeds(most)}" if fewest < most else seeds(fewest)
        subject = "Remedies"
    else:
        count, told, subject = seeds(best.score_change.n), recommendation(found, best), "Remedy"
    basis = count + ("" if found.section.setting.certified else ", not certified")
    told = f"{subject} for {found.study.kind}, {where}: {told} ({basis})."
    return told + _harm(found)


def _harm(found: StudyFinding) -> str:
    """What surely makes it worse; of data taken away, what that says of more."""
    digits, unit = score_digits(found.measure), found.measure.unit
    told = [
        f"{effect.variant.name} "
        f"({estimate(found.measure.as_change(effect.score_change), digits, unit, sign=True)})"
        for effect in found.harmful
    ]
    if not told:
        return ""
    # It makes fewer steps too, in as many epochs: only a gap that opens tells the one from the other.
    less_data = any(
        effect.gap_change is not None
        and effect.gap_change.low is not None
        and effect.gap_change.low > 0
        and any("train_fraction" in text for text in effect.variant.assignments)
        for effect in found.harmful
    )
    more = "; less data hurts and widens the gap, so that more data should help" if less_data else ""
    return f" Worse for certain: {', '.join(told)}{more}."


def recommendation(found: StudyFinding, best: Effect) -> str:
    """The remedy with what it changes."""
    measure = found.measure
    name = best.variant.name
    how = f" (--set {' --set '.join(best.variant.assignments)})" if best.variant.assignments else ""
    gap = ""
    if found.effects[0].gap and best.gap:
        ends = f"{significant(found.effects[0].gap.value)} to {significant(best.gap.value)}"
        gap = f", gap {ends} {found.gap_measure.unit}".rstrip()
    change = estimate(measure.as_change(best.score_change), score_digits(measure), measure.unit, sign=True)
    time = f", training time ×{best.time_ratio.value:.2f}" if best.time_ratio else ""
    stop = "at the best epoch" if name == EARLY_STOPPING else ""
    return (
        " ".join(part for part in (f"{name}{how}", stop) if part)
        + f": test {measure.name} {change}{gap}{time}"
    )


def left_out_sentence(left_out: LeftOut) -> str:
    """Which runs nothing uses, and why."""
    runs = _runs(left_out.runs)
    reasons = {
        "superseded": "superseded by newer runs with the same seeds",
        "running": "still running, or the harness was killed",
    }
    reason = reasons.get(left_out.reason, left_out.reason)
    message = f": {left_out.message}" if left_out.message else ""
    return f"{runs} of {left_out.task} on {left_out.configuration}: {reason}{message}"


def kept_apart_sentence(apart: KeptApart) -> str:
    """Which runs are not compared, and the conditions that separate them from others."""
    if isinstance(apart, NotCertified):
        reason = "; ".join(apart.reasons) or "no certificate was requested"
        names = ", ".join(apart.configurations)
        return f"{names} on {apart.title} ({_runs(apart.runs)}): not certified: {reason}"
    differences = ", ".join(_difference(difference) for difference in apart.differences)
    if isinstance(apart, NoPartner):
        return (
            f"{apart.configuration} on {apart.title} ({_runs(apart.runs)}): "
            f"no other configuration under these conditions; the nearest differs in {differences}"
        )
    nearest = f"the nearest differ in {differences}" if differences else "of this version there are none"
    return (
        f"{apart.remedy} for {apart.configuration} on {apart.title} ({_runs(apart.runs)}): "
        f"no {apart.reference} runs under these conditions; {nearest}"
    )


def _difference(difference: Difference) -> str:
    """``threads (2, not 1)``; values that say nothing to a reader are left out."""
    words = {"description": "the options or description of the task", "fingerprint": "the bytes of the data"}
    if text := words.get(difference.name):
        return text
    names = {"dataset": "data", "max_steps": "step limit", "version": "task version"}
    ours, theirs = (_value(value) for value in difference[1:])
    return f"{names.get(difference.name, difference.name)} ({ours}, not {theirs})"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"
