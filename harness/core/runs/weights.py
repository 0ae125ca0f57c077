"""The weights that a run has kept: their files, what these say about themselves, and how to read them."""

import hashlib
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.core.documents.circumstances import option_words
from harness.core.machine.files import read_file
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import options_with, parse_options, value_text
from harness.core.runs.record import Record
from harness.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_MOST_BYTES = 2**34
#: Names, shapes and the description, before the arrays.
_MOST_HEADER_BYTES = 2**24
_BYTES_OF_A_NUMBER = 8


def weights_description(record: Record, which: str) -> dict[str, str]:
    """Return the description in a file of weights: the record, the task and the data they belong to."""
    last_epoch = record.blocks[-1].epoch if record.blocks else 0  # which a limit of steps may cut
    return {
        "record": record.id,
        "weights": which,
        "epoch": str(record.best_epoch if which == "best" else last_epoch),
        "task": msgspec.json.encode(record.task.description).decode(),
        "task_sha256": record.task.sha256,
        "dataset": record.dataset.name,
        "dataset_fingerprint": record.dataset.fingerprint or "",
        "backend": record.configuration.backend,
        "mode": record.configuration.mode,
        "precision": record.configuration.precision,
        "seed": str(record.seed),
    }


def weights_path(record: Record, folder: Path, *, best: bool) -> Path:
    """Return the file with the weights of a run whose record is in ``folder``."""
    if record.weights is None:
        raise UsageError(
            f"run {record.id} has kept no weights. Train it again: {repeating_command(record, folder)}"
        )
    return folder / Path(record.weights.file(best=best).name).name


def read_weights(record: Record, folder: Path, *, best: bool) -> "dict[str, np.ndarray]":
    """Read the weights of a run: float32 or float64 arrays by their canonical names, as they were written."""
    from harness.core.training.weights import UnusableWeights, decoded_for

    path = weights_path(record, folder, best=best)
    try:
        numbers = sum(math.prod(each.shape) for each in record.task.description.weights().values())
        needed = _BYTES_OF_A_NUMBER * numbers + _MOST_HEADER_BYTES
        content = read_file(path, min(needed, _MOST_BYTES))
    except OSError as error:
        again = repeating_command(record, folder)
        raise UsageError(f"{path} cannot be read: {error.strerror}. Train it again: {again}") from error
    try:
        arrays = decoded_for(record.task.description, content)
    except UnusableWeights as error:
        raise UsageError(f"{path} {error}") from error
    if record.weights and hashlib.sha256(content).hexdigest() != record.weights.file(best=best).sha256:
        raise UsageError(f"{path} was changed after the run wrote it: its sha256 is not that in the record")
    return arrays


def repeating_command(record: Record, folder: Path) -> str:
    """Return the command that repeats a run, whose record is in ``folder``, and keeps its weights."""
    configuration, task = record.configuration, record.task
    every = record.evaluation.every_epochs
    options: dict[str, object] = {
        "backend": f"{configuration.backend}:{configuration.mode}",
        "task": task.name,
        **record.dataset.options(),
        "epochs": record.epochs_asked,
        "seed": record.seed,
        "max-steps": record.max_steps,
        "eval-every": every if every != 1 else None,
        "precision": configuration.precision if configuration.precision != "float32" else None,
    }
    settings: list[str] = []
    if task.name in registry.names("task"):
        definition = registry.task(task.name)
        usual = msgspec.structs.asdict(parse_options(definition, []))
        given = {name: value for name, value in task.options.items() if usual.get(name) != value}
        if define_task(definition, options_with(definition, given)).batch_size != task.description.batch_size:
            options["batch-size"] = task.description.batch_size
        settings = [f"{name}={value_text(value)}" for name, value in given.items()]
    results = folder.parent
    options["results"] = results if results.resolve() != Path("results").resolve() else None
    return shlex.join(["harness", "run", *option_words({**options, "set": settings}), "--save-weights"])
