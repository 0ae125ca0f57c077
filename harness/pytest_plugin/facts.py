"""What goes into pytest-benchmark's ``extra_info``: all that was found beside the samples."""

from importlib import metadata
from typing import Any

import msgspec

from harness.duel.findings import side_findings, steady_step_seconds
from harness.duel.record import UNEVEN, DuelResult
from harness.duel.verdict import compare
from harness.gate.suite import Limits
from harness.pytest_plugin.training import TimedPairs
from harness.report.duel import verdict_sentence


def samples(measured: TimedPairs) -> list[float]:
    """Seconds a step of head: the median of each fresh process."""
    head = len(measured.sides) - 1
    return [steady_step_seconds(pair, head) for pair in measured.pairs]


def facts_of(measured: TimedPairs) -> dict[str, Any]:
    """As JSON would have it; times in seconds, memory in bytes."""
    head = measured.sides[-1]
    data = measured.dataset
    facts: dict[str, Any] = {
        "harness": metadata.version("dl-harness"),
        "backend": head.backend,
        "mode": head.mode,
        "options": head.options,
        "dataset": data.name,
        "dataset_sha256": data.fingerprint,
        "device": head.device,
        "precision": head.precision,
        "threads": head.threads,
        "batch_size": head.batch_size,
        "turns": measured.turns,
        "disturbed_blocks": sum(block.disturbed for pair in measured.pairs for block in pair.blocks),
        **_side_facts(measured, len(measured.sides) - 1),
    }
    if data.stands_in_for:
        facts["dataset_stands_in_for"] = f"{data.stands_in_for}: {data.reason}"
    if len(measured.sides) > 1:
        facts["base"] = _side_facts(measured, 0)
    if measured.quality is not None:
        facts["quality"] = msgspec.to_builtins(measured.quality)
    return facts


def _side_facts(measured: TimedPairs, side: int) -> dict[str, Any]:
    record, found = measured.sides[side], side_findings(measured, side)
    return {
        "python": record.python,
        "framework": record.framework,
        "certificate": msgspec.to_builtins(record.certificate),
        "step_seconds": found.step_seconds.value,
        "block_steps": found.block_steps,
        "first_step_seconds": found.first_step_seconds,
        "import_seconds": found.import_seconds,
        "build_seconds": found.build_seconds,
        "start_up_seconds": found.start_up_seconds,
        "samples_per_second": found.samples_per_second,
        "peak_memory_bytes": found.peak_memory_bytes,
        "device_peak_memory_bytes": found.device_peak_memory_bytes,
        "unsettled_processes": found.unsettled,
    }


def comparison_of(measured: TimedPairs, limits: Limits) -> DuelResult:
    """Head against base, as a duel tells it; the same is what the limit of the step allows."""
    batch_sizes = [side.batch_size for side in measured.sides]
    return compare(measured.pairs, 1, ["base", "head"], batch_sizes, margin=_margin(limits))


def comparison_sentence(measured: TimedPairs, comparison: DuelResult, limits: Limits) -> str:
    """The same in words, and that the sides did different work where they did."""
    sentence, quality = verdict_sentence(comparison, _margin(limits)), measured.quality
    if comparison.uneven:
        sentence += f"; {UNEVEN}"
    return f"{sentence}; {quality.reason}" if quality is not None and quality.reason else sentence


def _margin(limits: Limits) -> float:
    return limits.max_slowdown or Limits().max_slowdown or 0.0


def comparison_facts(comparison: DuelResult) -> dict[str, Any]:
    """The ratio of head's time over base's, its interval, and the verdict of a duel."""
    low, high = comparison.low, comparison.high
    return {
        "ratio": comparison.ratio,
        "interval": None if low is None else [low, high],
        "p_value": comparison.p_value,
        "verdict": comparison.verdict,
        "reason": comparison.reason,
        "uneven": comparison.uneven,
    }
