"""Duels: the verdict in one line, and the document of a duel.

NumPy is imported where numbers are computed: gates and listings need verdicts alone.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from harness.core.audit.words import verified_work
from harness.core.certify.page import certificate_label
from harness.core.documents.circumstances import circumstances, started
from harness.core.documents.document import Document, Figure, Figures, Items, Node, Section, Table
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import (
    NOTHING,
    RATIO_LEGEND,
    counted,
    measured,
    percent,
    percent_change,
    significant,
    time_ratio,
)
from harness.core.machine.quantities import QUANTITIES
from harness.core.stats.estimate import Estimate
from harness.timing.duel.record import DuelRecord, DuelResult, Reason, StopReason
from harness.timing.engine.page import UNEVEN, load_remarks, pairs_text, profile_sections, versions_text
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.steps.findings import comparison_text
from harness.timing.engine.steps.task_step import PREDICTION

if TYPE_CHECKING:
    from harness.timing.engine.findings import ConfigurationFindings

_SMALLEST_P, _LARGEST_P = 0.001, 0.995
#: A number of missing pairs from here on is a guess.
_MANY = 200
#: A difference, in logarithms, that two pairs of equal programs seldom show.
_LARGE = 0.1


def verdict_line(result: DuelResult, margin: float) -> str:
    """Return ``keras:fit is faster than torch:eager: −29.6 % [−31.5, −27.6] (10 pairs, p = 0.002)``."""
    ratio = f"{time_ratio(result.ratio)} ({evidence_text(result)})"
    configuration, reference = result.configuration, result.reference
    match result.verdict:
        case "faster" | "slower":
            return f"{configuration} is {result.verdict} than {reference}: {ratio}"
        case "same":
            return f"{configuration} is as fast as {reference} within {100 * margin:g} %: {ratio}"
        case "undecided":
            return _undecided(result)


def evidence_text(result: DuelResult) -> str:
    """Return ``10 pairs, p = 0.002``: the pairs behind a ratio, and the test that it is 1.

    A p-value of 1, of which equal configurations have many, says nothing.
    """
    pairs = pairs_text(result)
    if result.p_value is None or result.p_value >= _LARGEST_P:
        return pairs
    small = result.p_value < _SMALLEST_P
    return f"{pairs}, p < {_SMALLEST_P:g}" if small else f"{pairs}, p = {result.p_value:.2g}"


def finish_sentence(result: DuelResult) -> str:
    """Say which finishes the whole training first; empty where it is not known.

    ``For your 460 steps torch:eager finishes before keras:fit, start-up and compilation included: keras:fit
    +94.0 % [90.1, 98.2] (9.31 s, torch:eager 4.80 s).``
    """
    finish = result.finish
    if finish is None or finish.ratio is None:
        return ""
    own, reference = result.configuration, result.reference
    first, second = (own, reference) if finish.ratio.value < 1 else (reference, own)
    claim = (
        f"{first} finishes before {second}"
        if finish.ratio.excludes(1.0)
        else f"it is open whether {own} or {reference} finishes first"
    )
    took, theirs = map(significant, finish.seconds)
    return (
        f"For your {finish.steps:,} steps {claim}, start-up and compilation included: {own} "
        f"{time_ratio(finish.ratio)} ({took} s, {reference} {theirs} s)."
    )


def _undecided(result: DuelResult) -> str:
    """Say which is probably faster, and how many pairs are missing or why more do not help."""
    ratio, configuration, reference = result.ratio, result.configuration, result.reference
    if result.reason is None and ratio is not None and _is_likely(ratio):
        word = "faster" if ratio.value < 1.0 else "slower"
        claim = f"{configuration} is probably {word} than {reference}"
    else:
        claim = f"Undecided whether {configuration} or {reference} is faster"
    return f"{claim}: {time_ratio(ratio)} ({outlook(result)})"


def _is_likely(ratio: Estimate) -> bool:
    """Check that the pairs suggest a difference; two pairs have no interval and must differ much."""
    return ratio.excludes(1.0) if ratio.low is not None else abs(math.log(ratio.value)) > _LARGE


def outlook(result: DuelResult) -> str:
    """Return ``3 of at least 4 pairs``, or the pairs and why they cannot decide.

    The p-value of a duel without a verdict says less than the interval beside it.
    """
    from harness.timing.engine.record import MOST_PAIRS  # imports NumPy, which reports of gates do without

    if result.reason is not None:
        made = result.pairs + result.lost
        return f"{pairs_text(result)}; {_REASONS[result.reason].format(lost=result.lost, made=made)}"
    needed = result.pairs + (result.pairs_wanted or 0)
    if needed <= result.pairs:
        return pairs_text(result)
    if needed > MOST_PAIRS:
        about = f"about {needed}" if needed < _MANY else "far more"
        return f"{pairs_text(result)}; a verdict needs {about} pairs, and a duel makes at most {MOST_PAIRS}"
    return f"{result.pairs} of at least {needed} pairs"


#: Why the pairs can carry no verdict.
_REASONS: dict[Reason, str] = {
    "pairs lost": "{lost} of {made} pairs were lost to disturbances by other programs",
    "control moved": "the control computation shows that the machine was not equally fast for both",
    "contradicted": "over all blocks, pauses included, the difference has the opposite sign",
}


_STOPPED: dict[StopReason, str] = {
    "decided": "every verdict is in and precise enough",
    "verdicts in": "every verdict is in, after more than 5 minutes",
    "budget spent": "its time is spent, which is 15 minutes without --budget",
    "most pairs": "a duel makes at most {most} pairs",
}


_METHOD = """\
A pair is a fresh process of each configuration. Their timed blocks alternate, and one of them runs at a \
time, so that all of them see the same machine. A pair yields one ratio of the time per sample.
Faster and slower are proven by the signs and the magnitudes of the pairs, with a test that is valid at any \
number of pairs. Same: the ratio is proven to be within {margin} of 1. Otherwise the duel is undecided.
Start-up and memory are medians over the processes and have no test.""".splitlines()


def duel_document(record: DuelRecord) -> Document:
    """Return the verdicts, charts of the pairs, a table of the configurations, remarks and circumstances."""
    labels = [configuration.label for configuration in record.configurations]
    verdicts = list(_verdicts(record)) or [f"The duel is {record.status}: nothing was measured."]
    nodes: list[Node] = []
    if record.pairs:
        from harness.timing.engine.findings import configuration_findings

        findings = [configuration_findings(record, index) for index in range(len(labels))]
        table = configuration_table(record, findings)._replace(legend=(RATIO_LEGEND,))
        remarks = Items(list(_remarks(record, findings)))
        increases = [each.step_seconds.value - findings[0].step_seconds.value for each in findings[1:]]
        nodes += [
            Section("Pairs and turns", [Figures(partial(_figures, record))], "pairs-and-turns"),
            Section("Configurations", [table, remarks], "configurations"),
            *profile_sections(record.profiles, labels, increases=increases),
        ]
    method = Items([each.format(margin=f"{100 * record.margin:g} %") for each in _METHOD])
    options = ", ".join(f"{name}={value}" for name, value in record.options.items())
    minutes = f"{record.seconds / 60:.1f} min, certification excluded"
    nodes.append(circumstances(record, method, options=options, time=minutes))
    meta = [
        f"{record.work_name} on {record.dataset_name}" if record.dataset_name else record.work_name,
        counted(len(record.pairs), "pair"),
        started(record),
        record.machine.cpu,
    ]
    return Document("duel", f"Duel of {' and '.join(labels)}", nodes, verdicts, meta)


def _figures(record: DuelRecord) -> list[Figure]:
    from harness.timing.duel.charts import duel_figures

    return duel_figures(record)


def _verdicts(record: DuelRecord) -> Iterator[str]:
    """Yield the verdicts, which finishes first, and the reason where a duel did not end well."""
    for result in record.results:
        yield verdict_line(result, record.margin)
    yield from filter(None, map(finish_sentence, record.results))
    if len({configuration.device for configuration in record.configurations}) > 1:
        devices = ", ".join(f"{own.label} on {own.device}" for own in record.configurations)
        yield f"The devices differ: {devices}."
    match record.status:
        case "failed":
            yield f"The duel failed: {record.failure}"
        case "interrupted":
            pairs = counted(len(record.pairs), "pair")
            when = f"after {pairs}" if record.pairs else "before the first pair; nothing was measured"
            yield f"{record.failure[:1].upper()}{record.failure[1:]} {when}."
        case "running":
            yield "The duel is running, or was killed before it ended."


def configuration_table(record: DuelRecord, findings: "list[ConfigurationFindings]") -> Table:
    """Return a column for each configuration, without rows that are available for none of them."""
    every = record.configurations
    rows = [
        ("framework", *(versions_text(own) for own in every)),
        ("device, threads", *(f"{own.device}, {own.configuration.threads}" for own in every)),
        ("precision, batch size", *(f"{own.configuration.precision}, {own.batch_size}" for own in every)),
        ("steady step (ms)", *(measured(own.step_seconds.scaled(1e3)) for own in findings)),
        ("steps per block", *(str(own.block_steps) for own in findings)),
        ("samples/s", *(f"{own.samples_per_second:,.0f}" for own in findings)),
        ("GFLOP/s (of NumPy's peak)", *(_flops(record, *pair) for pair in zip(every, findings, strict=True))),
        ("import, build (s)", *(f"{own.import_seconds:.2f}, {own.build_seconds:.2f}" for own in findings)),
        ("first step (s)", *(f"{own.first_step_seconds:.3f}" for own in findings)),
        ("total start-up (s)", *(f"{own.start_up_seconds:.2f}" for own in findings)),
        ("warm-up blocks dropped", *(f"{own.warm_up_blocks:g}" for own in findings)),
        *((quantity.heading, *(quantity.text(own.measured) for own in findings)) for quantity in QUANTITIES),
    ]
    shown = [row for row in rows if set(row[1:]) != {NOTHING}]
    return Table(["", *(own.label for own in every)], shown, "Medians over fresh processes")


def _flops(record: DuelRecord, configuration: ConfigurationRecord, findings: "ConfigurationFindings") -> str:
    """Return the speed, and its share of a peak of the same threads, device and precision."""
    if not findings.flops_per_second:
        return NOTHING
    speed = f"{findings.flops_per_second / 1e9:.1f}"
    peak_is_of = record.configurations[0].configuration.threads, "cpu", "float32"
    own = configuration.configuration.threads, configuration.device, configuration.configuration.precision
    if record.peak_flops_per_second is None or own != peak_is_of:
        return speed
    return f"{speed} ({percent(findings.flops_per_second / record.peak_flops_per_second)})"


def _remarks(record: DuelRecord, findings: "list[ConfigurationFindings]") -> Iterator[str]:
    """Yield the extent and the circumstances of the duel, and the proof of its work."""
    yield _work(record)
    yield _extent(record)
    for result in record.results:
        yield from _result_remarks(result, named=len(record.results) > 1)
    blocks = [block for pair in record.pairs for block in pair.blocks]
    if dropped := sum(block.disturbed for block in blocks):
        yield f"{dropped} of {len(blocks)} blocks were disturbed; their turns are left out."
    yield from load_remarks(blocks)
    if unsettled := sum(own.unsettled for own in findings):
        yield f"The step times of {unsettled} processes had not settled when warm-up ended."
    if any(pair.side_by_side for pair in record.pairs):
        yield "Processes imported and built side by side, each on its own CPUs; the rest alternated."
    yield from _proof(record)
    for difference in record.differences:
        values = (NOTHING if value is None else value for value in difference.values)
        labels = (configuration.label for configuration in record.configurations)
        listed = ", ".join(f"{value} ({label})" for value, label in zip(values, labels, strict=True))
        yield f"Different as requested: {difference.name} {listed}."
    if len({configuration.batch_size for configuration in record.configurations}) > 1:
        yield "The batch sizes differ: ratios are of the time per sample."
    if record.missing_controls:
        yield f"Limits of this platform: {'; '.join(record.missing_controls)}."


def _proof(record: DuelRecord) -> Iterator[str]:
    """Yield the proof of the timed work, and what the certificates do not prove."""
    for index, configuration in enumerate(record.configurations):
        processes = [pair.processes[index] for pair in record.pairs]
        tried = [process.verification for process in processes if process.verification]
        verified = sum(verification.outcome == "verified" for verification in tried)
        if verified:
            yield (
                f"{configuration.label}: a second program repeated drawn segments of {verified} "
                f"process{'es' * (verified != 1)} with equal losses."
            )
        elif tried:
            yield f"The timed work of {configuration.label} was {verified_work(tried[0])}."
    if record.step is not None:
        compared = zip(record.configurations[1:], record.step.work, strict=False)
        yield from (f"{own.label}: {comparison_text(comparison)}." for own, comparison in compared)
    elif any(configuration.certificate is None for configuration in record.configurations):
        yield "Not certified: the configurations may do different work."
    for configuration in record.configurations:
        if configuration.certificate and configuration.certificate.lacks_dropout:
            yield f"{configuration.label} is {certificate_label(configuration.certificate)}."


def _work(record: DuelRecord) -> str:
    data = record.dataset
    if data is None:
        of_task = record.step is not None and PREDICTION in record.step.targets
        return f"Timed were {record.work_name}." if of_task else f"Step of your own: {record.work_name}."
    stand_in = f" in place of {data.stands_in_for} ({data.reason})" if data.stands_in_for else ""
    return f"Task {record.work_name} on {data.name}{stand_in}."


def _extent(record: DuelRecord) -> str:
    text = f"{counted(len(record.pairs), 'pair')} of {record.turns} turns in {record.seconds:.0f} s"
    if record.process_environment == "plain":
        text += ", --process-environment plain"
    if record.stopped_because is not None:
        from harness.timing.engine.record import MOST_PAIRS

        text += f"; stopped because {_STOPPED[record.stopped_because].format(most=MOST_PAIRS)}"
    return f"{text}."


def _result_remarks(result: DuelResult, *, named: bool) -> Iterator[str]:
    start = f"{result.configuration}: " if named else ""
    if result.reached_after is not None and result.reached_after < result.pairs:
        yield f"{start}The verdict was reached after {result.reached_after} pairs; more narrow the interval."
    if result.spread is not None:
        text = f"{start}Between pairs the ratio varies by {100 * result.spread:.1f} % (standard deviation)"
        if result.control_ratio is not None:
            control = percent_change(Estimate(result.control_ratio, None, None, result.pairs))
            text += f"; the control computation differs by {control}"
        yield f"{text}."
    if result.uneven:
        yield f"{start}{UNEVEN[0].upper()}{UNEVEN[1:]}."


def row(record: DuelRecord) -> Listed:
    """Return the row of a duel in a list of results."""
    labels = ", ".join(configuration.label for configuration in record.configurations)
    outcome = "; ".join(map(_outcome, record.results)) if record.status == "ok" else record.status
    return Listed(record.work_name, labels, outcome)


def _outcome(result: DuelResult) -> str:
    """Return ``jax:jit faster: −34.1 % [−36.0, −32.2]``."""
    return f"{result.configuration} {result.verdict}: {time_ratio(result.ratio)}"
