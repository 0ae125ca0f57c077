"""Parameters, tags and metrics of a record by name, as a tool shows them. Pure functions.

Names with a slash are shown as a group by MLflow and TensorBoard. Times are in seconds, memory in bytes,
accuracies and other shares between 0 and 1, as in the record.
"""

import datetime
import math
import shlex
from pathlib import Path

import msgspec

from harness.core.certify.page import certificate_label
from harness.core.machine.quantities import QUANTITIES
from harness.core.runs.record import Epoch, Record, generalization_gap, step_time
from harness.core.training.measures import Scores

Value = bool | int | float | str

_YES_OR_NO = {True: "yes", False: "no", None: None}


def run_name(record: Record) -> str:
    """Return ``mlp torch:eager seed 0``."""
    return f"{record.task.name} {record.configuration.label} seed {record.seed}"


def parameters(record: Record) -> dict[str, Value]:
    """Return the settings of a run: the task's options by their names, and the conditions.

    An option with the name of a condition is called ``option_NAME``.
    """
    task = record.task.description
    optimizer = {
        "optimizer": str(task.optimizer.__struct_config__.tag),
        **msgspec.structs.asdict(task.optimizer),
    }
    conditions: dict[str, Value | None] = {
        "task": record.task.name,
        "task_version": record.task.version,
        "dataset": record.dataset.name,
        "backend": record.configuration.backend,
        "mode": record.configuration.mode,
        "device": record.device or record.configuration.device,
        "precision": record.configuration.precision,
        "threads": record.configuration.threads,
        "seed": record.seed,
        "batch_size": record.batch_size,
        "epochs": record.epochs_asked,
        "max_steps": record.max_steps,
        "evaluated_every_epochs": record.evaluation.every_epochs,
        "evaluated_samples": record.evaluation.samples,
        "parameters": record.parameters,
        "forward_flops_per_sample": record.forward_flops_per_sample,
    }
    options = {
        f"option_{name}" if name in conditions else name: value for name, value in record.task.options.items()
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    return optimizer | options | given


def tags(record: Record) -> dict[str, str]:
    """Return the state of a run, its proof, the versions, the machine and the data."""
    machine, git = record.machine, record.machine.git
    found = {
        "status": record.status,
        "failure": record.failure.message if record.failure else None,
        "certificate": certificate_label(record.certificate),
        "certificate_reason": record.certificate.reason if record.certificate else None,
        "verification": record.verification.outcome if record.verification else None,
        "disturbed": _YES_OR_NO[record.disturbed],
        "dataset_fingerprint": record.dataset.fingerprint,
        "dataset_origin": record.dataset.origin,
        "dataset_stands_in_for": record.dataset.stands_in_for,
        "task_sha256": record.task.sha256,
        "host": machine.host,
        "cpu": machine.cpu,
        "allowed_cpus": str(machine.allowed_cpus),
        "memory_bytes": str(machine.memory_bytes),
        "os": machine.os,
        "python": machine.python,
        "git_commit": git.commit if git else None,
        "git_dirty": _YES_OR_NO[git.dirty if git else None],
        "harness": machine.harness,
        "record_id": record.id,
        "command": shlex.join(["harness", *record.command]),
        **{f"framework/{name}": version for name, version in record.framework.items()},
    }
    return {name: text for name, text in found.items() if text}


def epoch_values(epoch: Epoch, *, judged: bool) -> dict[str, float]:
    """Return the metrics of a scored epoch that are finite; times only of a run whose times are ``judged``.

    ``epoch/training_loss`` is the mean of the minimised loss, penalty included; ``train/loss`` is scored in
    evaluation mode.
    """
    values = {
        "epoch/steps": epoch.steps,
        "epoch/training_seconds": epoch.training_seconds if judged else math.nan,
        "epoch/training_loss": epoch.training_loss,
        "epoch/discriminator_loss": epoch.discriminator_loss,
        **_scores("train", epoch.train),
        **_scores("validation", epoch.validation),
    }
    return _finite(values)


def final_values(record: Record) -> dict[str, float]:
    """Return the metrics of a run that has ended, as far as the run got."""
    step, judged = step_time(record), record.judged_seconds
    seconds = {} if judged is None else msgspec.structs.asdict(judged)
    values = {
        **_scores("test", record.test_at_last),
        **_scores("test_at_best", record.test_at_best),
        "result/best_epoch": record.best_epoch,
        "result/generalization_gap": generalization_gap(record),
        "time/step_seconds": step,
        "time/samples_per_second": step and record.batch_size / step,
        **{f"time/{name}": value for name, value in seconds.items()},
        **{quantity.metric: record.measured.get(quantity.name) for quantity in QUANTITIES},
    }
    return _finite(values)


def started_at(record: Record) -> float:
    """Return the start as seconds since 1970."""
    return datetime.datetime.fromisoformat(record.started_at).timestamp()


def scored_at(record_start: float, epoch: Epoch) -> float:
    """Return when an epoch was scored, as seconds since 1970; for old records, the earliest time."""
    if epoch.scored_at is None:
        return record_start + epoch.training_seconds
    return datetime.datetime.fromisoformat(epoch.scored_at).timestamp()


def ended_at(record: Record) -> float:
    """Return when the training and its scoring ended, as seconds since 1970."""
    start = started_at(record)
    scored = [scored_at(start, epoch) for epoch in record.epochs[-1:]]
    return max([start + sum(filter(None, record.phases.spent)), *scored])


def pictures(record: Record, folder: Path) -> dict[str, Path]:
    """Return the existing pictures beside the record, by subject; a record cannot name other files."""
    names = {
        "samples": record.samples_file,
        "last_samples": record.pictures.last_samples,
        "course": record.pictures.course,
        "examples": record.pictures.examples,
        "neighbours": record.pictures.neighbours,
    }
    files = {title: folder / name for title, name in names.items() if name and Path(name).name == name}
    return {title: path for title, path in files.items() if path.is_file()}


def _scores(split: str, scores: Scores | None) -> dict[str, float | None]:
    return {f"{split}/{measure}": value for measure, value in (scores or {}).items()}


def _finite(values: dict[str, float | None]) -> dict[str, float]:
    return {
        name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)
    }
