"""The findings of a history, from records of gates and the repository of the current folder."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError, unknown_name
from harness.timing.environments.git import commit_texts
from harness.timing.gate.metric_table import MetricName
from harness.timing.gate.record import GateRecord
from harness.timing.history.series import gaps, read_history, selected
from harness.timing.history.words import HistoryFindings, left_out_sentence


def find_history(
    gates: Sequence[GateRecord],
    benchmark: str | None = None,
    metric: MetricName | None = None,
    *,
    same_base: bool = False,
) -> HistoryFindings:
    """Return what the gates show, of one benchmark and metric or of all; see :func:`read_history`."""
    names = {recorded.name for gate in gates for recorded in gate.benchmarks}
    if benchmark is not None and benchmark not in names:
        raise unknown_name("benchmark", benchmark, names)
    try:
        history = read_history(selected(gates, benchmark, metric), same_base=same_base)
    except ImportError as error:
        raise UsageError(f'this needs {error.name}: pip install "dl-harness[history]"') from error
    if not history.series:
        reasons = "; ".join(map(left_out_sentence, history.left_out)) or "they measured nothing"
        raise UsageError(f"none of the {len(gates)} gates is usable: {reasons}")
    used = {point.gate for series in history.series for point in series.points}
    chosen = selected(gates, benchmark, metric)
    ordered = sorted((gate for gate in chosen if gate.id in used), key=lambda gate: gate.started_at)
    sides = [side.commit for gate in gates for side in (gate.base, gate.head) if side.commit]
    not_measured = [
        gap
        for gap in gaps(gates)
        if benchmark in (None, gap.benchmark) and (metric is None or gap.metric in (None, metric))
    ]
    every = sorted(chosen, key=lambda gate: gate.started_at)
    return HistoryFindings(history, not_measured, ordered, commit_texts(Path.cwd(), sides), every)
