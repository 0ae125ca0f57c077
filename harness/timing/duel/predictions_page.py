"""Predictions against batch size: duels of the same configurations, from latency to throughput."""

import itertools
from collections.abc import Sequence
from functools import partial

from harness.core.documents.charts import configuration_colours, field, layer, layered, tips
from harness.core.documents.circumstances import started
from harness.core.documents.document import Cell, Document, Figure, Figures, Items, Node, Section, Table
from harness.core.documents.numbers import NOTHING, RATIO_LEGEND, listed, time_ratio
from harness.timing.duel.record import DuelRecord
from harness.timing.engine.findings import configuration_findings

_LEGEND = (
    "Latency: the time of one call on one batch, back to back; percentiles of single calls: harness time. "
    "Inputs and outputs are NumPy arrays. Ratios are of the latency."
)


def predictions_document(task: str, records: Sequence[DuelRecord]) -> Document:
    """Return latency, throughput and verdicts by batch size."""
    measured = [record for record in records if record.pairs]
    labels = [each.label for each in records[0].configurations]
    headers = ["batch size"]
    for label in labels:
        headers += [f"{label} (ms)", f"{label} (samples/s)"]
    headers += [f"{label} against {labels[0]}" for label in labels[1:]]
    rows: list[Sequence[Cell | str]] = []
    for record in measured:
        findings = [configuration_findings(record, index) for index in range(len(labels))]
        row = [str(record.configurations[0].batch_size)]
        for each in findings:
            row += [f"{1e3 * each.step_seconds.value:.3g}", f"{each.samples_per_second:,.0f}"]
        for result in record.results:
            row.append(f"{result.verdict}: {time_ratio(result.ratio)}" if result.ratio else NOTHING)
        rows.append(row)
    title = f"Prediction of {task} by batch size"
    nodes: list[Node] = [
        Items([_proof(measured)]),
        Table(headers, rows, title, (_LEGEND, RATIO_LEGEND), announced=True),
        Section("Throughput and latency", [Figures(partial(_figures, measured, labels))], "curves"),
    ]
    first = records[0]
    threads = sorted({each.configuration.threads for each in first.configurations})
    meta = [
        started(first),
        first.machine.cpu,
        f"{listed([*map(str, threads)])} CPU threads",
    ]
    return Document("predictions", title, nodes, meta=meta)


def _proof(records: Sequence[DuelRecord]) -> str:
    """Say at which sizes the outputs of the first calls were equal."""
    outcomes = {
        str(record.configurations[0].batch_size): {work.outcome for work in record.step.work}
        for record in records
        if record.step is not None
    }
    if other := [size for size, found in outcomes.items() if found != {"same"}]:
        return f"The outputs were not proved to be equal at batch size {', '.join(other)}."
    return "The outputs of the first calls were the same on all sides."


def _figures(records: Sequence[DuelRecord], labels: Sequence[str]) -> list[Figure]:
    rows = []
    for record, (index, label) in itertools.product(records, enumerate(labels)):
        found = configuration_findings(record, index)
        size, seconds = record.configurations[index].batch_size, found.step_seconds.value
        rows.append(
            {
                "configuration": label,
                "batch size": size,
                "throughput": found.samples_per_second,
                "latency": 1e3 * seconds,
            }
        )
    colours = configuration_colours(labels)
    scale = {"domain": [*labels], "range": [colours[label] for label in labels]}
    figures = []
    for name, axis, caption in (
        ("throughput", "samples/s", "Samples per second by batch size; both axes are logarithmic."),
        ("latency", "latency (ms)", "The time of a call by batch size; both axes are logarithmic."),
    ):
        lines = layer(
            "line",
            {"point": {"size": 60}},
            x=field("batch size:Q", title="batch size", scale={"type": "log", "base": 2}),
            y=field(f"{name}:Q", title=axis, scale={"type": "log"}),
            color=field("configuration:N", scale=scale, legend={"columns": 2}),
            tooltip=tips("configuration:N", "batch size:Q", "throughput:Q", "latency:Q"),
        )
        figures.append(Figure(f"predictions-{name}", caption, layered(rows, lines), name.capitalize()))
    return figures
