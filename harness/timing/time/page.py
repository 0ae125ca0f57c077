"""A step of the user's own, timed: for the terminal and as a page."""

import math
from collections.abc import Iterator
from functools import partial

from harness.core.documents.circumstances import circumstances, started
from harness.core.documents.document import Document, Figures, Items, Node, Paragraph, Section, Table
from harness.core.documents.escaping import one_line
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import NOTHING, measured, significant
from harness.core.machine.quantities import QUANTITIES
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import quantile_interval
from harness.timing.engine.charts import turn_figures
from harness.timing.engine.findings import FEWEST_FOR_MEDIAN, configuration_findings
from harness.timing.engine.page import load_remarks, profile_sections, versions_text
from harness.timing.engine.steps.findings import FirstValues
from harness.timing.time.record import TimeRecord

_METHOD = (
    "The factory is called once in each fresh process. Blocks of calls are timed once their times have "
    "settled. The step time is the median over processes, each of which counts by its median block, so that "
    "neither a slow process nor a burst of load moves it. Single calls are timed one by one afterwards."
)
_PERCENTILES = (50, 95, 99)
_MOST_VALUES = 5


def outcome(record: TimeRecord) -> str:
    """Return ``step 3.21 ms``, or the status of a timing that did not end well."""
    if record.status != "ok" or not record.pairs:
        return record.status
    return f"step {_time(configuration_findings(record, 0).step_seconds)}"


def time_document(record: TimeRecord) -> Document:
    """Return the whole result."""
    headline = [*_headline(record)] or ["Nothing was measured."]
    nodes: list[Node] = []
    if record.pairs:
        nodes += [
            Section("Turns", [Figures(partial(turn_figures, record))], "turns"),
            Section("Measured", [time_table(record), Items(list(_remarks(record)))], "measured"),
            *profile_sections(record.profiles, [""]),
        ]
    nodes.append(circumstances(record, Paragraph(_METHOD)))
    meta = [started(record), record.machine.cpu]
    return Document("time", f"Time of {' and '.join(record.step.targets)}", nodes, headline, meta)


def _headline(record: TimeRecord) -> Iterator[str]:
    name = " and ".join(record.step.targets)
    if record.pairs:
        findings = configuration_findings(record, 0)
        step = _time(findings.step_seconds)
        speed = "" if not _samples(record) else f", {findings.samples_per_second:,.0f} samples/s"
        many = len(record.pairs)
        yield one_line(f"{name} takes {step} a call{speed} ({many} process{'es' * (many != 1)})")
    if record.status == "failed":
        yield one_line(f"It failed: {record.failure}")
    elif record.status != "ok":
        yield f"The measurement is {record.status}."


def _samples(record: TimeRecord) -> bool:
    return record.step.samples is not None or record.configurations[0].batch_size > 1


def time_table(record: TimeRecord) -> Table:
    """Return a row for each quantity."""
    findings, (own, *_) = configuration_findings(record, 0), record.configurations
    calls = [seconds for process in record.single_calls for seconds in process]
    percentiles = {share: quantile_interval(calls, share / 100) for share in _PERCENTILES if calls}
    rows = [
        ("step", _time(findings.step_seconds)),
        *((f"single call, p{share}", _time(seconds)) for share, seconds in percentiles.items()),
        ("samples/s", f"{findings.samples_per_second:,.0f}" if _samples(record) else NOTHING),
        ("first call", _time(Estimate(findings.first_step_seconds, None, None, 1))),
        ("import, making the step (s)", f"{findings.import_seconds:.2f}, {findings.build_seconds:.2f}"),
        ("warm-up blocks dropped", f"{findings.warm_up_blocks:g}"),
        *((quantity.heading, quantity.text(findings.measured)) for quantity in QUANTITIES),
        ("device, threads", f"{own.device}, {own.configuration.threads}"),
        ("versions", versions_text(own)),
    ]
    return Table(["", "measured"], [row for row in rows if row[1] != NOTHING], "Medians over fresh processes")


def _time(seconds: Estimate) -> str:
    """Return ``3.21 ms [3.18, 3.25]`` in the unit that suits the value."""
    unit, factor = next(
        (unit, factor)
        for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))
        if seconds.value * factor >= 1 or unit == "ns"
    )
    return measured(seconds.scaled(factor), unit)


def _remarks(record: TimeRecord) -> Iterator[str]:
    arguments = ", ".join(f"{name}={value}" for name, value in record.step.arguments[0].items())
    if arguments:
        yield one_line(f"Arguments: {arguments}.")
    yield from _values(record)
    blocks = [block for pair in record.pairs for block in pair.blocks]
    if dropped := sum(block.disturbed for block in blocks):
        yield f"{dropped} of {len(blocks)} blocks were disturbed by other programs."
    yield from load_remarks(blocks)
    if len(record.pairs) < FEWEST_FOR_MEDIAN:
        yield f"The step has no interval: that of a median takes {FEWEST_FOR_MEDIAN} processes (--processes)."
    calls = sum(map(len, record.single_calls))
    yield f"Brackets: 95 % confidence interval. Percentiles are of {calls} calls that were timed one by one."


def _values(record: TimeRecord) -> Iterator[str]:
    if not record.first_values:
        yield "The step returns no value, so its work cannot be compared with that of another version."
        return
    first = [_value(values) for values in record.first_values[:_MOST_VALUES]]
    yield one_line(f"First values: {', '.join(first)}.")
    if record.is_deterministic:
        yield "Two processes returned the same values."
    else:
        yield "Two processes returned different values: the step is not deterministic."


def _value(values: FirstValues) -> str:
    texts = [
        f"{name + ' ' if name else ''}{'not finite' if first is None else significant(first, 6)}"
        + ("…" if math.prod(shape) > 1 else "")
        if math.prod(shape)
        else f"{name} empty".strip()
        for name, (shape, first) in values.items()
    ]
    return " ".join(texts) or "nothing"


def row(record: TimeRecord) -> Listed:
    """Return the row of a timing in a list of results."""
    return Listed(" and ".join(record.step.targets), NOTHING, outcome(record))
