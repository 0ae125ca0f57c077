"""Comparisons as sentences: which configuration is fastest or best, and what was not compared."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from harness.core.documents.numbers import (
    busy_mark,
    counted,
    estimate,
    first_of,
    is_zero,
    listed,
    percent,
    probability,
    score_digits,
    score_unit,
    seeds_each,
    significant,
    time_ratio,
)
from harness.core.runs.fields import text_on_axis
from harness.core.runs.record import Evaluation
from harness.core.runs.words import evaluation_text
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Equivalence
from harness.core.training.measures import Measure
from harness.learning.runs.axes import BACKEND, Setting, Trained, trained
from harness.learning.runs.comparison import (
    Comparison,
    PairComparison,
    coincidence,
)
from harness.learning.runs.conditions import Difference
from harness.learning.runs.configuration_summary import timing_warnings
from harness.learning.runs.grouping import (
    DifferentWork,
    KeptApart,
    LeftOut,
    NoPartner,
    NotCertified,
    RunGroup,
)
from harness.learning.runs.variation import Variation

# Runs that were left out or not compared, as sentences that state the reason.

_NAMES = {
    "version": "task version",
    "dataset": "data set",
    "max_steps": "step limit",
    "evaluation": "scores",
    "variables": "environment variables",
}
#: Values that mean nothing to a reader; the name alone is stated.
_WITHOUT_VALUES = {"description": "task options or description", "fingerprint": "bytes of the data set"}


def left_out_sentence(left_out: LeftOut) -> str:
    """Which runs are not used, and why."""
    reasons = {
        "superseded": "superseded by newer runs with the same seeds",
        "running": "still running",
        "lost": "lost: the harness was killed",
    }
    reason = reasons.get(left_out.reason, left_out.reason)
    message = f": {left_out.message}" if left_out.message not in {"", left_out.reason} else ""
    return (
        f"{counted(left_out.runs, 'run')} of {left_out.task} on {left_out.configuration}: {reason}{message}"
    )


def kept_apart_sentence(apart: KeptApart) -> str:
    """Which runs are not compared, and the conditions that separate them from others."""
    if isinstance(apart, NotCertified):
        subject = ", ".join(apart.configurations)
        reason = "; ".join(apart.reasons) or "no certificate was requested"
        return f"{subject} on {apart.title} ({counted(apart.runs, 'run')}): not certified: {reason}"
    if isinstance(apart, DifferentWork):
        return f"{apart.title} ({counted(apart.runs, 'run')}): {difference_of_work(apart)}"
    differences = ", ".join(_difference(difference) for difference in apart.differences)
    subject = f"{apart.configuration} on {apart.title} ({counted(apart.runs, 'run')})"
    if isinstance(apart, NoPartner):
        return f"{subject}: alone under these conditions; the nearest runs differ in {differences}"
    nearest = f"the nearest differ in {differences}" if differences else "this version has none"
    return f"{apart.remedy}, {subject}: no {apart.reference} runs under these conditions; {nearest}"


def _difference(difference: Difference) -> str:
    """``threads (1, not 2)``."""
    if difference.name in _WITHOUT_VALUES:
        return _WITHOUT_VALUES[difference.name]
    name = _NAMES.get(difference.name, difference.name)
    return f"{name} ({_value(difference.ours)}, not {_value(difference.theirs)})"


def _value(value: object) -> str:
    if isinstance(value, Evaluation):
        return evaluation_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def difference_of_work(different: DifferentWork) -> str:
    """Which configurations do different work, and the first step that shows it."""
    (first, second), (ours, theirs) = different.configurations, different.losses
    return (
        f"{first} and {second} do different work: with seed {different.seed}, the loss of step "
        f"{different.step} is {_loss(ours)} and {_loss(theirs)}"
    )


def _loss(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.6g}"


# Why the scores of a forecast differ between validation and test data, as a sentence.

_NAIVE = "naive_loss"


def forecast_remarks(comparison: Comparison) -> Iterable[str]:
    """What the naive forecast shows about the parts of the series; nothing for other tasks."""
    configuration = comparison.summaries[0].configuration
    record = configuration.runs[0].record
    test = (record.test_at_last or {}).get(_NAIVE)
    validation = record.epochs[-1].validation.get(_NAIVE) if record.epochs else None
    if not test or not validation:
        return
    score = configuration.runs[0].score(comparison.measure.key)
    beats = f" {configuration.name} has {significant(score)} on the test data." if score else ""
    harder = "harder" if test > validation else "easier"
    yield (
        "The test data are later than the validation data, which alone makes their scores differ: repeating "
        f"the last value (the naive forecast) has a mean squared error of {significant(validation)} on the "
        f"validation data and of {significant(test)} on the {harder} test data.{beats}"
    )


# Why times of runs are unreliable, in words.

#: Stands next to a ratio of times of runs that no headline may state.
UNRELIABLE = "unreliable"


def warning_text(pairs: Sequence[PairComparison]) -> str:
    """``1 run each; other programs used up to 1.7 of 2 CPUs in 3 of 6 runs``, of all pairs together."""
    fewest = min(pair.warnings.seeds for pair in pairs if pair.warnings)
    warnings = timing_warnings([pairs[0].reference, *(pair.other for pair in pairs)], fewest)
    reasons = []
    if warnings.few_seeds:
        reasons.append(f"{counted(warnings.seeds, 'run')} each")
    if warnings.disturbed:
        used = f"other programs used up to {warnings.taken:.1f} of {warnings.cpus} CPUs"
        reasons.append(f"{used} in {warnings.disturbed} of {warnings.runs} runs")
    if warnings.unsteady and warnings.variation is not None:
        reasons.append(f"step time varied by {percent(warnings.variation)} within a run")
    if warnings.unsettled:
        reasons.append(f"{warnings.unsettled} of {warnings.runs} runs ended before their steps had settled")
    return "; ".join(reasons)


#: Configurations whose ratio a headline states; tables hold them all.
_STATED_RATIOS = 3
#: Groups of runs that a report shows; filters bring up the others.
SHOWN_GROUPS = 12
NOTHING_COMPARABLE = "There is nothing to compare, and no run scored an epoch. The reasons are listed below."


def headline(comparison: Comparison) -> str:
    """The answer in one line: speed and quality of the configurations of a group."""
    if comparison.pairs and comparison.group.is_of_settings:
        parts = [best_setting(comparison), quality_sentence(comparison), _reaching(comparison)]
        return " ".join(filter(None, parts))
    if same := same_sentence(comparison):
        is_shown = all(pair.quality_verdict == "equal" for pair in comparison.pairs)
        return " ".join([same, _speed(comparison), *[quality_sentence(comparison)] * is_shown])
    if comparison.pairs:
        return f"{_speed(comparison)} {quality_sentence(comparison)}"
    if len(comparison.summaries) > 1:
        if comparison.different is not None:
            return f"The configurations are not compared: {difference_of_work(comparison.different)}."
        return "The configurations are not compared, because their work is not certified."
    (summary,) = comparison.summaries
    measure = comparison.measure
    quality = estimate(summary.quality, score_digits(measure), score_unit(measure))
    step = estimate(summary.step_seconds and summary.step_seconds.scaled(1e3), None, "ms")
    step = busy_mark(step, disturbed=summary.disturbed)
    figures = f"test {measure.name} {quality}, step time {step}"
    return f"{summary.name} has no other configuration to compare with: {figures}."


def where_text(group: RunGroup) -> str:
    """The processor, the device where it is not the CPU, and the threads."""
    conditions = group.conditions
    cpu = group.configurations[0].runs[0].record.machine.cpu
    device = "" if conditions.device == "cpu" or "device" in group.axes else f", {conditions.device}"
    threads = "" if "threads" in group.axes else f", {counted(conditions.threads, 'thread')}"
    return f"{cpu}{device}{threads}"


#: Small numbers as words.
_NUMBERS = {2: "Both", 3: "All three", 4: "All four", 5: "All five", 6: "All six"}


def same_sentence(comparison: Comparison) -> str:
    """``All three compute the same: test accuracy 23.6 % in each, curves within 0.1 points.``; or empty.

    Empty where certified configurations do not coincide.
    """
    same, measure = coincidence(comparison), comparison.measure
    if same is None:
        return ""
    count = len(comparison.summaries)
    who = _NUMBERS.get(count, f"All {count}")
    digits, unit = score_digits(measure), score_unit(measure)
    low, high = (estimate(Estimate(end(same.scores), None, None, 1), digits) for end in (min, max))
    scores = f"{low} {unit}".rstrip() + " in each" if low == high else f"{low} to {high} {unit}".rstrip()
    return f"{who} compute the same: test {measure.name} {scores}, {_distance_text(same.distance, measure)}."


def _distance_text(distance: float, measure: Measure) -> str:
    """``curves within 0.1 points``, rounded up; of equal ones ``identical curves``."""
    if distance == 0.0:
        return "identical curves"
    digits = 1 if measure.unit == "points" else 1 - math.floor(math.log10(distance))
    bound = math.ceil(distance * 10**digits) / 10**digits
    return f"curves within {bound:.{max(digits, 0)}f} {measure.unit}".rstrip()


def trained_text(group: RunGroup, *, brief: bool = False) -> str:
    """What its runs trained: settings that differ from the task's defaults, apart from the axes; the data.

    ``brief``: nothing about data that is the task's own.
    """
    task = group.conditions.task
    what = trained(group.configurations[0].runs[0].record, group.axes)
    settings = [_setting(setting) for setting in what.settings]
    if what.knows_defaults:
        rest = f"; everything else is the default of {task}" if settings else ""
        settings_text = f"Trained with {listed(settings)}{rest}." if settings else ""
    else:
        text = f"with {listed(settings)}" if settings else "without options"
        settings_text = f"Trained {text}; the defaults of {task} are not known here."
    data = "" if brief and not what.stands_in_for else _data(what)
    return " ".join(filter(None, [settings_text, data]))


def _setting(setting: Setting) -> str:
    """``epochs=150 (default 167)``."""
    value, default = (text_on_axis(setting.name, each) for each in (setting.value, setting.default))
    return f"{setting.name}={value}" + (f" (default {default})" if setting.default is not None else "")


def _data(what: Trained) -> str:
    """Which data set was used, where it came from, and what it stands in for."""
    origin = f": {what.origin}" if what.origin else ""
    stands = f" It stands in for {what.stands_in_for}: {what.reason}." if what.stands_in_for else ""
    return f"Data {what.dataset}{origin}.{stands}"


def fastest(comparison: Comparison) -> str:
    """Which configuration is fastest, or which of them are not distinguishable, and why not."""
    pairs = comparison.pairs
    if all(pair.ratio is None for pair in pairs):
        return "Speed is not compared, because no two configurations have steady steps with a common seed."
    if unreliable := [pair for pair in pairs if pair.speed_verdict == UNRELIABLE]:
        return _undecided(pairs, f" ({warning_text(unreliable)})")
    if comparison.cycle:
        names = listed([summary.name for summary in comparison.cycle])
        return f"Fastest: undecided between {names}, each of which is slower than another of them."
    close = [pair for pair in pairs if pair.speed_verdict in {"same", "undecided"}]
    names = listed([pairs[0].reference.name, *(pair.other.name for pair in close)])
    if not close:
        return f"{names} is fastest."
    if any(pair.speed_verdict == "undecided" for pair in close):
        return _likely(close) or _undecided(pairs)
    margin = max(pair.duel.margin for pair in close if pair.duel is not None)
    return f"{names} are equally fast within {100 * margin:g} %."


def _undecided(pairs: Sequence[PairComparison], why: str = "") -> str:
    """Which of them may be fastest, ``why`` that is not known, and which are slower."""
    left = [pair.other.name for pair in pairs if pair.speed_verdict in {"same", "undecided", UNRELIABLE}]
    slower = [pair.other.name for pair in pairs if pair.speed_verdict == "slower"]
    others = f" {listed(slower)} {'is' if len(slower) == 1 else 'are'} slower." if slower else ""
    return f"Fastest: undecided between {listed([pairs[0].reference.name, *left])}{why}.{others}"


def _likely(close: Sequence[PairComparison]) -> str:
    """``a is probably fastest; its duel with b needs 1 more pair.``; empty where more is missing."""
    pair, *others = close
    if others or pair.duel is None or pair.ratio is None:
        return ""
    if not pair.ratio.excludes(1.0) or pair.ratio.value < 1.0:
        return ""
    wanted = pair.duel.result.pairs_wanted
    more = counted(wanted, "more pair") if wanted else "more pairs"
    return f"{pair.reference.name} is probably fastest; its duel with {pair.other.name} needs {more}."


def _speed(comparison: Comparison) -> str:
    """The verdict, and the ratios that it rests on; unreliable ones are not stated."""
    measured = [pair for pair in comparison.pairs if pair.speed_verdict not in {"not measured", UNRELIABLE}]
    if not measured:
        return fastest(comparison)
    ratios = [f"{pair.other.name} {time_ratio(pair.ratio)}" for pair in measured]
    relative = f"Step time relative to {measured[0].reference.name}: {first_of(ratios, _STATED_RATIOS)}."
    return f"{fastest(comparison)} {relative}"


def remarks(comparison: Comparison) -> list[str]:
    """Where the step times come from, how steady they were, and who finishes first all the same."""
    of_scores = [*_intervals(comparison), *forecast_remarks(comparison)]
    if comparison.group.is_of_settings:
        return [*settings_remarks(comparison), *of_scores]
    return [*_finished_sooner(comparison), *_sources(comparison), *of_scores]


def _intervals(comparison: Comparison) -> Iterable[str]:
    """What the intervals of differences of test scores include."""
    judged = [pair for pair in comparison.pairs if (over := pair.quality.over_seeds) and over.low is not None]
    over_seeds = [pair.other.name for pair in judged if pair.quality.population is None]
    if len(over_seeds) < len(judged):
        samples = comparison.summaries[0].configuration.runs[0].record.test_samples_at_last
        number = f" {samples.count:,}" if samples else ""
        yield (
            "Verdicts on test scores rest on the wider of two 95 % intervals: over seeds, and for the "
            f"population, which includes the choice of the{number} test samples."
        )
    if over_seeds:
        whose = "" if len(over_seeds) == len(judged) else f" of {listed(over_seeds)}"
        yield (
            f"Intervals of test scores{whose} are over seeds alone and do not include the choice of the test "
            "samples, whose single scores are not in the records."
        )


def _finished_sooner(comparison: Comparison) -> Iterable[str]:
    """Configurations that have slower steps but start faster, and so finish a short training sooner.

    They are named only if the intervals of the whole runs' times do not overlap.
    """
    for pair in comparison.pairs:
        ours, theirs = pair.other.run_seconds, pair.reference.run_seconds
        if pair.speed_verdict != "slower" or not ours or not theirs:
            continue
        if ours.high is not None and theirs.low is not None and ours.high < theirs.low:
            yield (
                f"{pair.other.name} is done sooner (import, data, build, training and scoring): "
                f"{significant(ours.value)} s; {pair.reference.name} takes {significant(theirs.value)} s."
            )


def _sources(comparison: Comparison) -> Iterable[str]:
    for pair in comparison.pairs:
        if pair.duel is not None:
            result = pair.duel.result
            basis = ", ".join(filter(None, (f"{result.pairs} pairs", probability(result.p_value))))
            yield f"The step time of {pair.other.name} is from a duel on {pair.duel.day} ({basis})."
    of_runs = [pair for pair in comparison.pairs if pair.duel is None and pair.ratio is not None]
    if of_runs:
        names = [of_runs[0].reference.name, *(pair.other.name for pair in of_runs)]
        yield (
            f"The step times of {listed(names)} are from runs, not from a duel{_movement(of_runs)}. "
            "A duel, which times them in turn, is better evidence."
        )


def _movement(pairs: Sequence[PairComparison]) -> str:
    """By how much step times changed within and between runs."""
    summaries = [pairs[0].reference, *(pair.other for pair in pairs)]
    drifts = [abs(summary.drift) for summary in summaries if summary.drift is not None]
    spreads = [summary.spread for summary in summaries if summary.spread is not None]
    parts = [f"{percent(max(drifts))} within a run"] if drifts else []
    parts += [f"{percent(max(spreads))} between runs of a configuration"] if spreads else []
    unreliable = f": {UNRELIABLE}" if any(pair.speed_verdict == UNRELIABLE for pair in pairs) else ""
    return f"; step time varied by up to {' and '.join(parts)}{unreliable}" if parts else ""


# Where several axes vary: which, and how to choose what is compared.

#: Values of an axis that are named, and axes that are offered together.
_MOST_VALUES = 4
_MOST_TOGETHER = 3


def variation_sentence(variation: Variation) -> str:
    """``Runs of mlp differ in optimizer (adam, sgd) and threads (1, 2). Choose with --by optimizer …``."""
    axes = list(variation.values)
    differences = []
    for axis, values in variation.values.items():
        named = first_of([text_on_axis(axis, value) for value in values], _MOST_VALUES)
        differences.append(f"{axis} ({named})")
    settings = [axis for axis in axes if axis != BACKEND]
    choices = [f"--by {axis}" for axis in settings]
    if 1 < len(settings) <= _MOST_TOGETHER:
        choices.append(f"--by {','.join(settings)} for every combination")
    *first, last = choices
    alternatives = f"{', '.join(first)} or {last}" if first else last
    backends = "Backends are compared under equal settings. " if BACKEND in axes else ""
    return (
        f"Runs of {variation.task} on {variation.dataset} differ in {listed(differences)}. {backends}"
        f"To compare settings, add {alternatives}."
    )


# The quality of configurations relative to the reference.


def quality_sentence(comparison: Comparison) -> str:
    """Whether quality is equal, and otherwise the verdict on each configuration."""
    pairs, measure = comparison.pairs, comparison.measure
    comparable = [pair for pair in pairs if pair.quality.difference is not None]
    if not comparable:
        return f"Test {measure.name} is not compared, because no seed has a test score of both."
    if all(pair.quality.difference.n == 1 for pair in comparable if pair.quality.difference):
        return _on_one_seed(comparable, measure)
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        verdict = pair.quality_verdict if pair in comparable else "not comparable"
        by_verdict[verdict].append(_named_pair(pair, measure, alone=len(pairs) == 1))
    if list(by_verdict) == ["equal"]:
        return f"Test {measure.name} is equal ({_quality_basis(measure, pairs)})."
    parts = {verdict: f"{verdict} for {listed(names)}" for verdict, names in by_verdict.items()}
    most = max(pairs, key=lambda pair: (pair.quality.needs_samples, pair.quality.seeds_needed or 0))
    if len(pairs) > 1 and (needed := seeds_needed(most.quality)):
        parts["undecided"] += f" ({needed})"
    return f"Test {measure.name} relative to {pairs[0].reference.name}: {', '.join(parts.values())}."


def _on_one_seed(pairs: Sequence[PairComparison], measure: Measure) -> str:
    """Without a verdict: ``Same test accuracy on the one seed run.``, or the differences."""
    differences = {
        pair.other.name: estimate(pair.quality.difference, score_digits(measure), sign=True) for pair in pairs
    }
    if all(is_zero(text) for text in differences.values()):
        return f"Same test {measure.name} on the one seed run."
    parts = [f"{text} {measure.unit}".rstrip() + f" for {name}" for name, text in differences.items()]
    reference = pairs[0].reference.name
    return f"Test {measure.name} relative to {reference} on the one seed run: {', '.join(parts)}."


def _named_pair(pair: PairComparison, measure: Measure, *, alone: bool) -> str:
    """The configuration, with its difference where that is significant or ``alone``."""
    quality = pair.quality
    if quality.difference is None or not (alone or quality.verdict == "different"):
        return pair.other.name
    difference = estimate(quality.difference, score_digits(measure), measure.unit, sign=True)
    return f"{pair.other.name} ({', '.join(filter(None, (difference, seeds_needed(quality))))})"


def _quality_basis(measure: Measure, pairs: Sequence[PairComparison]) -> str:
    """``±1 point, 4 seeds, p < 0.001``: the margins, the seeds and, for a single pair, the probability."""
    margins = sorted(pair.quality.margin for pair in pairs)
    ends = dict.fromkeys(margin_text(margin, measure) for margin in (margins[0], margins[-1]))
    numbers = [pair.quality.difference.n for pair in pairs if pair.quality.difference]
    parts = [" to ".join(ends), seeds_each(numbers)]
    if len(pairs) == 1:
        parts.append(probability(pairs[0].quality.p))
    return ", ".join(filter(None, parts))


def seeds_needed(result: Equivalence) -> str:
    """How many seeds an undecided comparison needs, or that seeds do not suffice; empty where not known."""
    if result.needs_samples:
        return "more seeds would not decide: the test samples are too few"
    return f"about {result.seeds_needed:,} seeds are needed to decide" if result.seeds_needed else ""


def margin_text(margin: float, measure: Measure) -> str:
    """``±1 point``, ``±2.5 points``, ``±0.03``."""
    unit = measure.unit.removesuffix("s") if margin == 1 else measure.unit
    return f"±{significant(margin)} {unit}".rstrip()


# Settings of a training: the best, how the others compare, and when each reaches a target.

#: Settings that a sentence about the target names; the table holds them all.
_MOST_NAMED = 4


def best_setting(comparison: Comparison) -> str:
    """Which setting has the best validation score after the last epoch, and that score."""
    best, measure = comparison.summaries[0], comparison.measure
    if best.validation is not None:
        level = f"{significant(best.validation.value)} {score_unit(measure)}".rstrip()
        return f"{best.name} has the best validation {measure.name} after the last epoch ({level})."
    if best.quality is not None:
        return f"{best.name} has the best test {measure.name}; no validation score was recorded."
    return "No score was recorded, so no setting is the best."


def ordering_score(comparison: Comparison) -> str:
    """``validation accuracy``: what settings are ordered by; empty where no score was recorded."""
    best, name = comparison.summaries[0], comparison.measure.name
    if best.validation is not None:
        return f"validation {name}"
    return f"test {name}" if best.quality is not None else ""


def _reaching(comparison: Comparison) -> str:
    """Which settings reach the target, soonest first, after how many epochs, and which do not."""
    if comparison.target is None:
        return ""
    target = f"validation {comparison.measure.name} {bound_text(comparison)}"
    epochs: dict[str, float] = {}
    missed = []
    for summary in comparison.summaries:
        reached = summary.to_target
        if reached is None or not reached.reached:
            missed.append(summary.name)
        elif reached.reached < reached.of:
            missed.append(f"{summary.name} ({reached.of - reached.reached} of {reached.of} runs)")
        else:
            epochs[summary.name] = reached.epochs.value if reached.epochs else 0.0
    if not epochs:
        return f"No setting reaches {target} in every run."
    first, *others = sorted(epochs, key=epochs.__getitem__)
    names = [f"{counted(round(epochs[first]), 'epoch')} with {first}"]
    names += [f"{round(epochs[other])} with {other}" for other in others]
    missing = f"; not reached with {_few(missed)}" if missed else ""
    return f"{target[:1].upper()}{target[1:]} is reached after {_few(names)}{missing}."


def _few(names: Sequence[str]) -> str:
    """The names, or the first few and how many more there are."""
    return first_of(names, _MOST_NAMED) if len(names) > _MOST_NAMED else listed(names)


def bound_text(comparison: Comparison) -> str:
    """The target as ``≥ 60 %``."""
    measure = comparison.measure
    bound = "≥" if measure.higher_is_better else "≤"
    return f"{bound} {significant(comparison.target)} {score_unit(measure)}".rstrip()


def settings_remarks(comparison: Comparison) -> Iterator[str]:
    """How the comparison was made, and what it does not cover."""
    if comparison.pairs and (order := ordering_score(comparison)):
        yield (
            f"The order is that of {order}. Test scores are compared with those of "
            f"{comparison.summaries[0].name} by paired t tests on the same seeds; the intervals of the "
            "differences hold jointly (Bonferroni)."
        )
    runs = [run for summary in comparison.summaries for run in summary.configuration.runs]
    if comparison.pairs and not all(run.record.certificate for run in runs):
        yield (
            "Some runs have no certificate: the comparison holds within "
            f"{runs[0].record.configuration.backend} and says nothing about other frameworks."
        )
