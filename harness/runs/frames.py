"""Records as a pandas DataFrame, one row per run."""

import statistics
from collections.abc import Iterable

import msgspec
import pandas as pd

from harness.runs.record import Record
from harness.runs.summaries import generalization_gap, steady_steps


def _row(record: Record) -> dict[str, object]:
    last = record.epochs[-1] if record.epochs else None
    scored = {
        "train": last and last.train,
        "validation": last and last.validation,
        "test": record.test_at_last,
        "test_at_best": record.test_at_best,
    }
    scores = {
        f"{split}_{measure}": value
        for split, values in scored.items()
        for measure, value in (values or {}).items()
    }
    steps = steady_steps(record)
    step_seconds = statistics.median(steps.seconds) if steps.seconds else None
    return {
        "id": record.id,
        "started_at": record.started_at,
        "status": record.status,
        "task": record.task.name,
        "task_version": record.task.version,
        "task_sha256": record.task.sha256,
        "dataset": record.dataset.name,
        "dataset_fingerprint": record.dataset.fingerprint,
        "backend": record.backend,
        "mode": record.mode,
        "engine": record.framework.get("engine"),
        "engine_version": record.framework.get(record.framework.get("engine", "")),
        "device": record.device,
        "precision": record.precision,
        "threads": record.threads,
        "cpu": record.machine.cpu,
        "host": record.machine.host_text or None,
        "seed": record.seed,
        "batch_size": record.batch_size,
        "parameters": record.parameters,
        "epochs": last.epoch if last else 0,
        "best_epoch": record.best_epoch,
        "step_seconds": step_seconds,
        "settled": steps.settled if steps.seconds else None,
        "samples_per_second": step_seconds and record.batch_size / step_seconds,
        **msgspec.structs.asdict(record.phases),
        **scores,
        "generalization_gap": generalization_gap(record),
        "peak_memory_bytes": record.peak_memory_bytes,
        "device_peak_memory_bytes": record.device_peak_memory_bytes,
        "others_cpus": record.interference and record.interference.others,
        "stolen_cpus": record.interference and record.interference.stolen,
        "disturbed": record.disturbed,
        **{f"option_{name}": value for name, value in record.task.options.items()},
    }


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per run; seconds and bytes as in the record, the task's options as ``option_NAME``."""
    frame = pd.DataFrame([_row(record) for record in records])
    if len(frame):
        frame["started_at"] = pd.to_datetime(frame["started_at"], utc=True, errors="coerce", format="ISO8601")
    return frame
