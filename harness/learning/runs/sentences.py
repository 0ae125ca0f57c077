"""Comparisons as sentences: which configuration is fastest or best, and how the times were measured."""

from collections.abc import Iterable, Sequence

from harness.core.certify.page import IN_FLOAT32, certificate_label
from harness.core.documents.numbers import (
    busy_mark,
    counted,
    estimate,
    first_of,
    listed,
    score_digits,
    score_unit,
    seeds_each,
    time_ratio,
)
from harness.learning.runs.comparison import Comparison, PairComparison
from harness.learning.runs.configuration_summary import timing_warnings
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.quality_text import (
    best_setting,
    quality_sentence,
    settings_remarks,
)
from harness.timing.duel.page import evidence_text, outlook

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
        f"duel with {pair.other.name} on {pair.duel.day}: {outlook(pair.duel.result)}"
        for pair in pairs
        if pair.duel and pair.speed_verdict == "undecided"
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
    """State where step times come from, and what a comparison of settings does not cover."""
    return [*(settings_remarks if comparison.group.is_of_settings else _sources)(comparison)]


def _sources(comparison: Comparison) -> Iterable[str]:
    for pair in comparison.pairs:
        if pair.duel is not None:
            result = pair.duel.result
            basis = outlook(result) if result.verdict == "undecided" else evidence_text(result)
            yield f"The step time of {pair.other.name} is from a duel on {pair.duel.day} ({basis})."
    of_runs = [pair for pair in comparison.pairs if pair.duel is None and pair.ratio is not None]
    if of_runs:
        names = [of_runs[0].reference.name, *(pair.other.name for pair in of_runs)]
        yield (
            f"The step times of {listed(names)} are from runs, not from a duel. A duel, which times them in "
            "turn, is better evidence."
        )


#: Introduces the command of a duel.
DUEL_LEAD = "For a verdict on speed:"
#: Configurations that a duel takes.
_MOST_IN_A_DUEL = 4


def next_duel(comparison: Comparison) -> str:
    """Return the command of a duel of the configurations whose speed is undecided; empty without any."""
    pairs = [pair for pair in comparison.pairs if pair.speed_verdict in {"undecided", UNRELIABLE}]
    if not pairs:
        return ""
    summaries = [pairs[0].reference, *(pair.other for pair in pairs)][:_MOST_IN_A_DUEL]
    labels = dict.fromkeys(each.configuration.record.configuration.label for each in summaries)
    return f"harness duel {' '.join(labels)} --task {comparison.group.conditions.task}"
