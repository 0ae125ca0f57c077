"""Comparisons as sentences: which configuration is fastest or best, and how the times were measured."""

from collections.abc import Iterable, Sequence

import msgspec

from harness.core.certify.page import IN_FLOAT32, certificate_label
from harness.core.documents.numbers import (
    busy_mark,
    counted,
    estimate,
    first_of,
    listed,
    percent,
    score_digits,
    score_unit,
    seeds_each,
    significant,
    time_ratio,
)
from harness.learning.runs.comparison import Comparison, PairComparison, PairDuel
from harness.learning.runs.configuration_summary import timing_warnings
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.quality_text import (
    best_setting,
    quality_sentence,
    settings_remarks,
)
from harness.timing.duel.page import evidence_text, finish_sentence, outlook
from harness.timing.duel.record import DuelResult

_NAIVE = "naive_loss"


def forecast_remarks(comparison: Comparison) -> Iterable[str]:
    """Compare the naive forecast of the parts of the series; yields nothing for other tasks."""
    configuration = comparison.summaries[0].configuration
    record = configuration.record
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


#: Stands next to a ratio of times of runs that no headline may state.
UNRELIABLE = "unreliable"


def warning_text(pairs: Sequence[PairComparison]) -> str:
    """Write ``1 run each; other programs used up to 1.7 of 2 CPUs in 3 of 6 runs``, for all pairs."""
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
NOTHING_COMPARABLE = "There is nothing to compare. The reasons are listed below."


def headline(comparison: Comparison) -> str:
    """State the answer in one line: speed and quality of the configurations of a group."""
    if comparison.pairs and comparison.group.is_of_settings:
        return f"{best_setting(comparison)} {quality_sentence(comparison)}"
    if comparison.pairs:
        return f"{_speed(comparison)} {quality_sentence(comparison)}"
    if len(comparison.summaries) > 1:
        if comparison.different is not None:
            return f"The configurations are not compared: {comparison.different}."
        return "The configurations are not compared, because their work is not certified."
    (summary,) = comparison.summaries
    measure = comparison.measure
    quality = estimate(summary.quality, score_digits(measure), score_unit(measure))
    step = estimate(summary.step_seconds and summary.step_seconds.scaled(1e3), None, "ms")
    figures = f"test {measure.name} {quality}, step time {busy_mark(step, disturbed=summary.disturbed)}"
    return f"{summary.name} has no other configuration to compare with: {figures}."


def basis_text(comparison: Comparison) -> str:
    """Write ``5 seeds, certified, step times from runs``."""
    number = seeds_each(len(summary.configuration.runs) for summary in comparison.summaries)
    runs = (run for summary in comparison.summaries for run in summary.configuration.runs)
    labels = {certificate_label(run.record.certificate) for run in runs}
    certified = max(labels, key=("certified", "certified without dropout", IN_FLOAT32, "not certified").index)
    timed = [] if comparison.group.is_of_settings else comparison.pairs
    sources = sorted({"runs" if pair.duel is None else "duels" for pair in timed})
    return ", ".join([number, certified, *[f"step times from {' and '.join(sources)}"] * bool(sources)])


def where_text(group: RunGroup) -> str:
    """Name the processor, the device unless it is the CPU, and the threads."""
    conditions = group.conditions
    cpu = group.record.machine.cpu
    device = "" if conditions.device == "cpu" or "device" in group.axes else f", {conditions.device}"
    threads = "" if "threads" in group.axes else f", {counted(conditions.threads, 'thread')}"
    return f"{cpu}{device}{threads}"


def _why_not_compared(comparison: Comparison) -> str:
    runs = [run for summary in comparison.summaries for run in summary.configuration.runs]
    if any(run.record.making for run in runs):
        return "Speed is not compared, because times of runs with --jobs are not judged."
    return "Speed is not compared, because no two configurations have steady steps with a common seed."


def fastest(comparison: Comparison) -> str:
    """Name the fastest configuration, or those that cannot be distinguished, with the reason."""
    pairs = comparison.pairs
    if all(pair.ratio is None for pair in pairs):
        return _why_not_compared(comparison)
    if unreliable := [pair for pair in pairs if pair.speed_verdict == UNRELIABLE]:
        return _undecided(pairs, warning_text(unreliable))
    if faster := [pair.other.name for pair in pairs if pair.speed_verdict == "faster"]:
        return (
            f"Fastest: undecided, because duels contradict one another: {listed(faster)} took less time than "
            f"{pairs[0].reference.name}, but more than another configuration."
        )
    close = [pair for pair in pairs if pair.speed_verdict in {"same", "undecided"}]
    names = listed([pairs[0].reference.name, *(pair.other.name for pair in close)])
    if not close:
        return f"{names} is fastest."
    if any(pair.speed_verdict == "undecided" for pair in close):
        return _undecided(pairs)
    margin = max(pair.duel.record.margin for pair in close if pair.duel is not None)
    return f"{names} are equally fast within {100 * margin:g} %."


def _undecided(pairs: Sequence[PairComparison], why: str = "") -> str:
    """Name the configurations that may be the fastest, the reasons, and the slower ones.

    The reasons are ``why`` and what their duels lack.
    """
    reasons = [why] if why else []
    reasons += [
        f"duel with {pair.other.name} on {pair.last_duel.day}: "
        + (_how(pair.last_duel) if pair.last_duel is pair.duel else _ended(pair.last_duel))
        for pair in pairs
        if pair.last_duel and pair.speed_verdict in {"undecided", UNRELIABLE}
    ]
    left = [pair.other.name for pair in pairs if pair.speed_verdict in {"same", "undecided", UNRELIABLE}]
    slower = [pair.other.name for pair in pairs if pair.speed_verdict == "slower"]
    others = f" {listed(slower)} {'is' if len(slower) == 1 else 'are'} slower." if slower else ""
    because = f" ({'; '.join(reasons)})" if reasons else ""
    return f"Fastest: undecided between {listed([pairs[0].reference.name, *left])}{because}.{others}"


def _speed(comparison: Comparison) -> str:
    """State the verdict on speed with its ratios; unreliable ratios are not stated."""
    measured = [pair for pair in comparison.pairs if pair.speed_verdict not in {"not measured", UNRELIABLE}]
    if not measured:
        return fastest(comparison)
    ratios = [f"{pair.other.name} {time_ratio(pair.ratio)}" for pair in measured]
    relative = f"Step time relative to {measured[0].reference.name}: {first_of(ratios, _STATED_RATIOS)}."
    return f"{fastest(comparison)} {relative}"


def remarks(comparison: Comparison) -> list[str]:
    """State where step times come from, and which configuration finishes first all the same."""
    of_scores = [*_intervals(comparison), *forecast_remarks(comparison)]
    if comparison.group.is_of_settings:
        return [*settings_remarks(comparison), *of_scores]
    return [*_finished_sooner(comparison), *_sources(comparison), *of_scores]


def _intervals(comparison: Comparison) -> Iterable[str]:
    """Name the intervals of differences of test scores that do not include the choice of the samples."""
    judged = [pair for pair in comparison.pairs if (over := pair.quality.over_seeds) and over.low is not None]
    over_seeds = [pair.other.name for pair in judged if pair.quality.population is None]
    if over_seeds:
        whose = "" if len(over_seeds) == len(judged) else f" of {listed(over_seeds)}"
        yield (
            f"Intervals of test scores{whose} are over seeds alone and do not include the choice of the test "
            "samples, whose single scores are not in the records."
        )


def _finished_sooner(comparison: Comparison) -> Iterable[str]:
    """Name configurations that have slower steps but start faster, and so finish a short training sooner.

    They are named only if the intervals of the whole runs' times do not overlap. Where there is a duel, it
    says which one finishes first.
    """
    for pair in comparison.pairs:
        ours, theirs = pair.other.run_seconds, pair.reference.run_seconds
        if pair.duel is not None or pair.speed_verdict != "slower" or not ours or not theirs:
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
            basis = outlook(result) if result.verdict == "undecided" else evidence_text(result)
            yield f"The step time of {pair.other.name} is from a duel on {pair.duel.day} ({basis})."
            yield from filter(None, [finish_sentence(_of_training(pair, pair.duel))])
    of_runs = [pair for pair in comparison.pairs if pair.duel is None and pair.ratio is not None]
    if of_runs:
        names = [of_runs[0].reference.name, *(pair.other.name for pair in of_runs)]
        tried = [(pair.other.name, pair.last_duel) for pair in of_runs if pair.last_duel]
        for name, duel in tried:
            yield f"The duel with {name} on {duel.day} has no usable time: {_ended(duel)}."
        better = " A duel, which times them in turn, is better evidence." if len(tried) < len(of_runs) else ""
        yield f"The step times of {listed(names)} are from runs, not from a duel.{better}"


def _of_training(pair: PairComparison, duel: PairDuel) -> DuelResult:
    """Return the result of a duel with which of both finishes the training of the runs first."""
    names = (pair.reference.name, pair.other.name)
    reference, configuration = names if duel.in_order else reversed(names)
    result = duel.of_training(pair.other.configuration.record)
    return msgspec.structs.replace(result, reference=reference, configuration=configuration)


def _ended(duel: PairDuel) -> str:
    """State the ratio of a duel with its interval, how it ended unless as planned, and its pairs."""
    return f"{time_ratio(duel.ratio)}, {_how(duel)}"


def _how(duel: PairDuel) -> str:
    return ("" if duel.record.status == "ok" else f"{duel.record.status}, ") + outlook(duel.result)
