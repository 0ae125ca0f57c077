"""Records as pandas DataFrames: one row per run, or one per scored epoch.

Trials of studies have no rows: they only choose settings, and would be counted as runs of their task.
"""

import statistics
from collections.abc import Iterable, Iterator

import msgspec
import pandas as pd

from harness.core.machine.quantities import by_name
from harness.core.runs.own_models import model_text
from harness.core.runs.record import Epoch, Phases, Record, generalization_gap, steady_steps
from harness.core.runs.request import TRIAL_SEED


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
    steps, judged = steady_steps(record), record.judged_seconds
    step_seconds = statistics.median(steps.seconds) if steps.seconds else None
    return {
        "id": record.id,
        "started_at": record.started_at,
        "status": record.status,
        "task": record.task.name,
        "task_version": record.task.version,
        "task_sha256": record.task.sha256,
        "model": model_text(record),
        "dataset": record.dataset.name,
        "dataset_fingerprint": record.dataset.fingerprint,
        "backend": record.configuration.backend,
        "mode": record.configuration.mode,
        "engine": record.framework.get("engine"),
        "engine_version": record.framework.get(record.framework.get("engine", "")),
        "device": record.device,
        "precision": record.configuration.precision,
        "threads": record.configuration.threads,
        "cpu": record.machine.cpu,
        "host": record.machine.host,
        "seed": record.seed,
        "batch_size": record.batch_size,
        "parameters": record.parameters,
        "epochs": last.epoch if last else 0,
        "best_epoch": record.best_epoch,
        "step_seconds": step_seconds,
        "settled": steps.settled if steps.seconds else None,
        "samples_per_second": step_seconds and record.batch_size / step_seconds,
        **(dict.fromkeys(Phases.__struct_fields__) if judged is None else msgspec.structs.asdict(judged)),
        **scores,
        "generalization_gap": generalization_gap(record),
        **by_name(record.measured),
        "others_cpus": record.interference and record.interference.others,
        "disturbed": record.disturbed,
        **{f"option_{name}": value for name, value in record.task.options.items()},
    }


#: The columns by which an epoch is identified and grouped.
_CONDITIONS: tuple[str, ...] = ("id", "status", "task", "dataset", "backend", "mode", "precision", "threads")
_CONDITIONS += ("batch_size", "seed")


def _epoch_row(record: Record, epoch: Epoch) -> dict[str, object]:
    scored = {"train": epoch.train, "validation": epoch.validation}
    return {
        "epoch": epoch.epoch,
        "steps": epoch.steps,
        "training_seconds": None if record.judged_seconds is None else epoch.training_seconds,
        "training_loss": epoch.training_loss,
        "discriminator_loss": epoch.discriminator_loss,
        "scored_at": epoch.scored_at,
        **{f"{split}_{name}": value for split, scores in scored.items() for name, value in scores.items()},
    }


def epochs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per scored epoch of each run, with the columns of :func:`harness.load_epochs`."""
    rows = [
        {
            **{name: row[name] for name in _CONDITIONS},
            **_epoch_row(record, epoch),
            "best": epoch.epoch == record.best_epoch,
            **{name: value for name, value in row.items() if name.startswith("option_")},
        }
        for record, row in ((record, _row(record)) for record in _without_trials(records))
        for epoch in record.epochs
    ]
    return with_times(pd.DataFrame(rows), "scored_at")


def _without_trials(records: Iterable[Record]) -> Iterator[Record]:
    return (record for record in records if record.seed != TRIAL_SEED)


def with_times(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Convert a column of ISO 8601 texts to times in UTC; other texts become missing values."""
    if len(frame):
        frame[column] = pd.to_datetime(frame[column], utc=True, errors="coerce", format="ISO8601")
    return frame


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per run; seconds and bytes as in the record, the task's options as ``option_NAME``."""
    return with_times(pd.DataFrame([_row(record) for record in _without_trials(records)]), "started_at")
