"""Comparisons as sentences: which configuration is fastest, by how much, and whether the quality is equal."""

from collections.abc import Iterable, Sequence

from harness.analysis.comparison import Comparison, PairComparison
from harness.analysis.grouping import RunGroup
from harness.report.busy import busy_mark
from harness.report.doubt_words import UNRELIABLE, doubt_text, doubtful, doubts_of
from harness.report.exclusion_words import difference_of_work
from harness.report.forecast_words import forecast_remarks
from harness.report.numbers import (
    estimate,
    percent,
    probability,
    score_digits,
    score_unit,
    significant,
    time_ratio,
)
from harness.report.phrases import listed
from harness.report.quality_words import quality_sentence
from harness.report.setting_words import settings_headline, settings_remarks
from harness.stats.estimate import Estimate

#: Configurations whose ratio a headline states; tables hold them all.
_STATED_RATIOS = 3
#: Groups of runs that a report shows; filters bring up the others.
SHOWN_GROUPS = 12
NOTHING_COMPARABLE = "There is nothing to compare, and no run scored an epoch. The reasons are listed below."


def headline(comparison: Comparison) -> str:
    """The answer in one line: speed and quality of the configurations of a group."""
    if comparison.pairs and comparison.group.is_of_settings:
        return settings_headline(comparison)
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
    threads = (
        "" if "threads" in group.axes else f", {conditions.threads} thread{'s' * (conditions.threads != 1)}"
    )
    return f"{cpu}{device}{threads}"


def fastest(comparison: Comparison) -> str:
    """Which configuration is fastest, or which of them are not distinguishable, and why not."""
    pairs = comparison.pairs
    if all(pair.ratio is None for pair in pairs):
        return "Speed is not compared, because no two configurations have steady steps with a common seed."
    if unreliable := doubtful(comparison):
        return f"Fastest: {_undecided(comparison)} ({doubt_text(doubts_of(unreliable))}).{_slower(pairs)}"
    if comparison.cycle:
        names = listed([summary.name for summary in comparison.cycle])
        return f"Fastest: undecided between {names}, each of which is slower than another of them."
    close = [pair for pair in pairs if pair.speed_verdict in {"same", "undecided"}]
    names = listed([pairs[0].reference.name, *(pair.other.name for pair in close)])
    if not close:
        return f"{names} is fastest."
    if any(pair.speed_verdict == "undecided" for pair in close):
        return _likely(close) or f"Fastest: {_undecided(comparison)}.{_slower(pairs)}"
    margin = max(pair.duel.margin for pair in close if pair.duel is not None)
    return f"{names} are equally fast within {100 * margin:g} %."


def _undecided(comparison: Comparison) -> str:
    """``undecided between a and b``: all those that are not shown to be slower."""
    pairs = comparison.pairs
    left = [pair.other.name for pair in pairs if pair.speed_verdict in {"same", "undecided", "unreliable"}]
    return f"undecided between {listed([pairs[0].reference.name, *left])}"


def _likely(close: Sequence[PairComparison]) -> str:
    """``a is probably fastest; its duel with b needs 1 more pair.``; empty where more is missing."""
    pair, *others = close
    if others or pair.duel is None or pair.ratio is None:
        return ""
    if not pair.ratio.excludes(1.0) or pair.ratio.value < 1.0:
        return ""
    wanted = pair.duel.result.pairs_wanted
    more = f"{wanted} more pair{'s' * (wanted != 1)}" if wanted else "more pairs"
    return f"{pair.reference.name} is probably fastest; its duel with {pair.other.name} needs {more}."


def _slower(pairs: Sequence[PairComparison]) -> str:
    slower = [pair.other.name for pair in pairs if pair.speed_verdict == "slower"]
    return f" {listed(slower)} {'is' if len(slower) == 1 else 'are'} slower." if slower else ""


def _speed(comparison: Comparison) -> str:
    """The verdict, and the ratios that it rests on; unreliable ones are not stated."""
    measured = [pair for pair in comparison.pairs if pair.speed_verdict not in {"not measured", UNRELIABLE}]
    if not measured:
        return fastest(comparison)
    ratios = ", ".join(f"{pair.other.name} {time_ratio(pair.ratio)}" for pair in measured[:_STATED_RATIOS])
    if (more := len(measured) - _STATED_RATIOS) > 0:
        ratios += f" and {more} more"
    return f"{fastest(comparison)} Step time relative to {measured[0].reference.name}: {ratios}."


def remarks(comparison: Comparison) -> list[str]:
    """Where the step times come from, how steady they were, and who finishes first all the same."""
    if comparison.group.is_of_settings:
        return [*settings_remarks(comparison), *forecast_remarks(comparison)]
    return [*_finished_sooner(comparison), *_sources(comparison), *forecast_remarks(comparison)]


def _finished_sooner(comparison: Comparison) -> Iterable[str]:
    """Configurations that have slower steps but start faster, and so finish a short training sooner.

    They are named only if the intervals of the whole runs' times do not overlap.
    """
    for pair in comparison.pairs:
        ours, theirs = pair.other.run_seconds, pair.reference.run_seconds
        if pair.speed_verdict == "slower" and ours and theirs and _is_below(ours, theirs):
            yield (
                f"{pair.other.name} is done sooner (import, data, build, training and scoring): "
                f"{significant(ours.value)} s; {pair.reference.name} takes {significant(theirs.value)} s."
            )


def _is_below(ours: Estimate, theirs: Estimate) -> bool:
    """Whether the whole interval of ``ours`` is below that of ``theirs``; False without intervals."""
    return ours.high is not None and theirs.low is not None and ours.high < theirs.low


def _sources(comparison: Comparison) -> Iterable[str]:
    for pair in comparison.pairs:
        if pair.duel is not None:
            result = pair.duel.result
            basis = ", ".join(part for part in (f"{result.pairs} pairs", probability(result.p_value)) if part)
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
