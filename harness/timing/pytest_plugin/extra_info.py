"""The content of pytest-benchmark's ``extra_info``: the measurements in addition to the samples."""

from importlib import metadata
from typing import Any

import msgspec

from harness.core.machine.quantities import by_name
from harness.timing.duel.page import verdict_line
from harness.timing.duel.record import DuelResult
from harness.timing.duel.verdict import compare
from harness.timing.engine.findings import configuration_findings, steady_step_seconds
from harness.timing.engine.page import UNEVEN
from harness.timing.environments.suite import Limits
from harness.timing.gate.reasons import reason_text
from harness.timing.gate.record import BenchmarkRecord, MetricResult
from harness.timing.pytest_plugin.training import TimedPairs


def samples(measured: TimedPairs) -> list[float]:
    """Return the seconds per step of head: the median of each fresh process."""
    head = len(measured.configurations) - 1
    return [steady_step_seconds(pair, head) for pair in measured.pairs]


def measurement_info(measured: TimedPairs) -> dict[str, Any]:
    """Return the measurements as JSON types; times in seconds, memory in bytes.

    Field names are those of records.
    """
    head = measured.configurations[-1]
    data = measured.dataset
    info: dict[str, Any] = {
        "harness": metadata.version("dl-harness"),
        "backend": head.configuration.backend,
        "mode": head.configuration.mode,
        "options": head.options,
        "dataset": data.name,
        "dataset_sha256": data.fingerprint,
        "device": head.device,
        "precision": head.configuration.precision,
        "threads": head.configuration.threads,
        "batch_size": head.batch_size,
        "turns": measured.turns,
        "disturbed_blocks": sum(block.disturbed for pair in measured.pairs for block in pair.blocks),
        **_configuration_info(measured, len(measured.configurations) - 1),
    }
    if data.stands_in_for:
        info["dataset_stands_in_for"] = f"{data.stands_in_for}: {data.reason}"
    if len(measured.configurations) > 1:
        info["base"] = _configuration_info(measured, 0)
    if measured.quality is not None:
        info["quality"] = msgspec.to_builtins(measured.quality)
    return info


def _configuration_info(measured: TimedPairs, number: int) -> dict[str, Any]:
    record, findings = measured.configurations[number], configuration_findings(measured, number)
    return {
        "python": record.configuration.python,
        "framework": record.framework,
        "certificate": msgspec.to_builtins(record.certificate),
        "step_seconds": findings.step_seconds.value,
        "block_steps": findings.block_steps,
        "first_step_seconds": findings.first_step_seconds,
        "import_seconds": findings.import_seconds,
        "build_seconds": findings.build_seconds,
        "start_up_seconds": findings.start_up_seconds,
        "samples_per_second": findings.samples_per_second,
        **by_name(findings.measured),
        "unsettled_processes": findings.unsettled,
    }


def duel_result(measured: TimedPairs, limits: Limits) -> DuelResult:
    """Compare head with base as in a duel.

    The margin of "same" is the limit of the step time.
    """
    batch_sizes = [side.batch_size for side in measured.configurations]
    return compare(measured.pairs, 1, ["base", "head"], batch_sizes, margin=_margin(limits))


def duel_text(measured: TimedPairs, result: DuelResult, limits: Limits) -> str:
    """Return the verdict in words, and the differences in the work of base and head."""
    parts = [verdict_line(result, _margin(limits))]
    if result.uneven:
        parts.append(UNEVEN)
    if measured.quality is not None:
        parts += map(reason_text, measured.quality.reasons)
    return "; ".join(parts)


def _margin(limits: Limits) -> float:
    return limits.max_slowdown or Limits().max_slowdown or 0.0


def duel_info(result: DuelResult) -> dict[str, Any]:
    """Return the verdict of a duel, the ratio of head's step time to base's, and its evidence."""
    return {
        "ratio": msgspec.to_builtins(result.ratio),
        "p_value": result.p_value,
        "verdict": result.verdict,
        "reason": result.reason,
        "uneven": result.uneven,
    }


def gate_info(record: BenchmarkRecord) -> dict[str, Any]:
    """Return the verdict of a gate with its reasons and metrics; the ratio is that of the step."""
    step: MetricResult | None = next((each for each in record.metrics if each.metric == "step"), None)
    return {
        "verdict": record.verdict,
        "reasons": [msgspec.to_builtins(reason) for reason in record.reasons],
        "metrics": msgspec.to_builtins(record.metrics),
        "ratio": msgspec.to_builtins(step.ratio) if step else None,
        "p_value": step.p_value if step else None,
    }
