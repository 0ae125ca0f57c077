"""Duels as a pandas data frame, a row for each configuration that was compared with the reference."""

from collections.abc import Iterable
from itertools import zip_longest

import pandas as pd

from harness.core.runs.frames import with_times
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.record import ConfigurationRecord


def duels_frame(records: Iterable[DuelRecord]) -> pd.DataFrame:
    """Return one row per result of each duel.

    A duel without results has a row for each configuration but the reference. ``ratio`` is the time per
    sample over that of the reference, with the ends of its 95 % interval; ``whole_ratio`` that of the whole
    time after ``steps`` steps.
    """
    rows = [
        {**_conditions(record), **_configuration(configuration, reference), **_result(result)}
        for record in records
        for reference in record.configurations[:1]
        for configuration, result in zip_longest(record.configurations[1:], record.results)
    ]
    return with_times(pd.DataFrame(rows), "started_at")


def _conditions(record: DuelRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "started_at": record.started_at,
        "status": record.status,
        "task": record.work_name,
        "dataset": record.dataset_name,
        "cpu": record.machine.cpu,
        "host": record.machine.host,
        "seed": record.seed,
        "margin": record.margin,
        "stopped_because": record.stopped_because,
        "seconds": record.seconds,
    }


def _configuration(configuration: ConfigurationRecord, reference: ConfigurationRecord) -> dict[str, object]:
    certified = configuration.certificate
    return {
        "configuration": configuration.label,
        "reference": reference.label,
        "backend": configuration.configuration.backend,
        "mode": configuration.configuration.mode,
        "device": configuration.device,
        "precision": configuration.configuration.precision,
        "threads": configuration.configuration.threads,
        "batch_size": configuration.batch_size,
        "certified": None if certified is None else certified.certified,
    }


def _result(result: DuelResult | None) -> dict[str, object]:
    ratio, finish = result and result.ratio, result and result.finish
    whole = finish and finish.ratio
    return {
        "verdict": result and result.verdict,
        "ratio": ratio and ratio.value,
        "ratio_low": ratio and ratio.low,
        "ratio_high": ratio and ratio.high,
        "steps": finish and finish.steps,
        "whole_ratio": whole and whole.value,
        "whole_ratio_low": whole and whole.low,
        "whole_ratio_high": whole and whole.high,
        "p_value": result and result.p_value,
        "pairs": result.pairs if result else 0,
        "lost_pairs": result.lost if result else 0,
        "reason": result and result.reason,
    }
