"""The gates of a branch as a data frame, a row for each metric of each benchmark of each gate."""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
import pandas as pd

from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.metrics import ratios_behind
from harness.timing.gate.record import BenchmarkRecord, GateRecord

#: Digits of a commit that are shown.
DIGITS = 10
#: Pairs without which a ratio has no standard error.
_FEWEST_PAIRS = 2
#: Outcomes that leave it open whether head computes what base computes.
_NOT_COMPARED = {"not asked", "not returned", "not deterministic", "not finite"}
_NO_COMMITS = (
    "no commits are recorded, because base or head was given as an interpreter or has uncommitted changes; "
    "if all have the same base, add --same-base"
)

#: What must stay the same for ratios to be comparable, beside benchmark, metric and base.
Work = tuple[tuple[str, str], ...]


def metric_rows(
    gates: Iterable[GateRecord], *, same_base: bool = False
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the rows, oldest first, and the gates that were left out, by the reason.

    ``log`` is the log ratio of head over base and ``error`` its standard error, from ``pairs``. ``base`` and
    ``head`` are commits, empty if unknown, and ``commit`` is head in short, or the gate. ``base_value`` and
    ``head_value`` are medians in the unit of the metric, ``work`` is what was measured. Gates that do not
    record their commits are left out, unless the caller knows that they have the ``same_base``.
    """
    rows: list[dict[str, object]] = []
    left_out: dict[str, list[str]] = {}
    for gate in sorted(gates, key=lambda gate: gate.started_at):
        if gate.status != "ok":
            reason = f"the status is {gate.status}"
        elif not same_base and not (gate.base.commit and gate.head.commit):
            reason = _NO_COMMITS
        else:
            try:
                rows += list(_rows(gate))
                continue
            except (ArithmeticError, IndexError, TypeError, ValueError) as error:
                reason = f"the pairs are damaged ({error})"
        left_out.setdefault(reason, []).append(gate.id)
    return pd.DataFrame(rows), left_out


def _rows(gate: GateRecord) -> Iterator[dict[str, object]]:
    head = gate.head.commit or ""
    for benchmark in gate.benchmarks:
        for result in benchmark.metrics:
            if not result.is_usable:
                continue
            ratios = ratios_behind(benchmark, result)
            pairs = len(ratios.logs)
            if pairs < _FEWEST_PAIRS:
                continue
            scale = metrics()[result.metric].scale
            yield {
                "gate": gate.id,
                "date": gate.started_at[:10],
                "base": gate.base.commit or "",
                "head": head,
                "commit": head[:DIGITS] or gate.id,
                "benchmark": benchmark.name,
                "metric": result.metric,
                "log": ratios.mean,
                "error": ratios.spread / np.sqrt(pairs),
                "pairs": pairs,
                "base_value": scale * result.base,
                "head_value": scale * result.shown_head,
                "verdict": result.verdict,
                "work": _work(benchmark),
            }


def _work(benchmark: BenchmarkRecord) -> Work:
    """Return what the work of a benchmark is, by names that a reader of a change understands."""
    ran = benchmark.configurations
    quality, mathematics = benchmark.quality, "as in base"
    compared = quality.values if quality else None  # noqa: PD011  not of a data frame
    if quality is not None and quality.seeds:
        mathematics = "other than in base"
    elif compared is not None and compared.outcome in _NOT_COMPARED:
        mathematics = "not compared"
    facts: dict[str, object] = {
        "backend": f"{benchmark.backend}:{benchmark.mode}".strip(":"),
        "task": benchmark.task,
        **dict(sorted(benchmark.asked.options.items())),
        **dict(sorted(benchmark.asked.arguments.items())),
        "data": benchmark.dataset.fingerprint or "",
        "threads": benchmark.threads,
        "device": ", ".join(dict.fromkeys(each.device for each in ran)),
        "precision": ", ".join(dict.fromkeys(each.configuration.precision for each in ran)),
        "batch size": ", ".join(dict.fromkeys(str(each.batch_size) for each in ran)),
        "mathematics": mathematics,
    }
    return tuple((name, str(value)) for name, value in facts.items())


def selected(
    gates: Iterable[GateRecord], benchmark: str | None, metric: MetricName | None
) -> list[GateRecord]:
    """Return the gates with one benchmark and one metric only, oldest first; None keeps all."""
    chosen = []
    for gate in sorted(gates, key=lambda gate: gate.started_at):
        kept = [
            msgspec.structs.replace(each, metrics=[it for it in each.metrics if metric in (None, it.metric)])
            for each in gate.benchmarks
            if benchmark in (None, each.name)
        ]
        chosen.append(msgspec.structs.replace(gate, benchmarks=kept))
    return chosen
