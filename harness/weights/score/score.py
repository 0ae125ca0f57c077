"""Networks that a run has trained: its weights in their files, and programs of any backend that hold them."""

import contextlib
import hashlib
import math
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.core.machine.files import GuardedFolder, read_file
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import options_with, parse_options, value_text
from harness.core.runs.record import Record
from harness.core.training.measures import Scores
from harness.core.worker import protocol
from harness.core.worker.session import (
    Conversation,
    Session,
    silence_within,
)
from harness.errors import Declined, UsageError
from harness.weights.explain.explained import Answer, Explained

if TYPE_CHECKING:
    import numpy as np

_MOST_BYTES = 2**34


def weights_description(record: Record, which: str) -> dict[str, str]:
    """What a file of weights says about itself: of which record, task and data they are."""
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
    """The file with the weights of a run whose record is in ``folder``.

    Raises:
        UsageError: the run has kept none; says what to run.
    """
    if record.weights is None:
        raise UsageError(
            f"run {record.id} has kept no weights. Train it again: {repeating_command(record, folder)}"
        )
    return folder / Path(record.weights.file(best=best).name).name


def read_weights(record: Record, folder: Path, *, best: bool) -> "dict[str, np.ndarray]":
    """The weights of a run, float32 or float64 arrays by their canonical names, as they were written.

    Raises:
        UsageError: the run has kept none, or the file is missing, damaged or of another task.
    """
    from harness.core.training.weights import UnusableWeights, decoded_for

    path = weights_path(record, folder, best=best)
    try:
        content = read_file(path, _MOST_BYTES)
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
    """The command that makes the same run again, whose record is in ``folder``, and keeps its weights."""
    configuration, task = record.configuration, record.task
    every = record.evaluation.every_epochs
    options: dict[str, object] = {
        "--backend": f"{configuration.backend}:{configuration.mode}",
        "--task": task.name,
        "--dataset": record.dataset.name,
        "--epochs": record.epochs_asked,
        "--seed": record.seed,
        "--max-steps": record.max_steps,
        "--eval-every": every if every != 1 else None,
        "--precision": configuration.precision if configuration.precision != "float32" else None,
    }
    settings: list[str] = []
    if task.name in registry.names("task"):
        definition = registry.task(task.name)
        usual = msgspec.structs.asdict(parse_options(definition, []))
        given = {name: value for name, value in task.options.items() if usual.get(name) != value}
        if define_task(definition, options_with(definition, given)).batch_size != task.description.batch_size:
            options["--batch-size"] = task.description.batch_size
        settings = [
            part for name, value in given.items() for part in ("--set", f"{name}={value_text(value)}")
        ]
    results = folder.parent
    options["--results"] = results if results.resolve() != Path("results").resolve() else None
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    return shlex.join(["harness", "run", *words, *settings, "--save-weights"])


# A program that holds the weights of a run, in a worker of its own.


@contextlib.contextmanager
def holding(record: Record, configuration: Configuration) -> Iterator[Session]:
    """A worker with a program of the run's task on the run's data, into which weights can be loaded.

    Raises:
        UsageError: the data set is not as it was, or the backend does not support what is asked.
        HarnessError: the worker failed.
    """
    variables = worker_variables(configuration.threads, configuration.device, os.environ)
    with Session(variables, None, silence_seconds=silence_within(None)) as session:
        conversation = Conversation(session, configuration.backend, configuration.threads)
        plan = configuration.plan(record.task.description, record.seed)
        try:
            built = conversation.build(plan, record.dataset.name)
            if record.dataset.fingerprint not in (None, built.dataset_fingerprint):
                raise UsageError(
                    f"data set {record.dataset.name} has changed since run {record.id}: its fingerprint was "
                    f"{record.dataset.fingerprint} and is {built.dataset_fingerprint}"
                )
            yield session
        except Declined as error:
            raise UsageError(f"{configuration.label}: {error}") from error


#: Scores of float64 weights agree this well, relative to values above 1.
SCORE_TOLERANCE = 1e-9


class WeightsScore(msgspec.Struct, frozen=True):
    """The test scores of a run's weights in another configuration, beside those in its record."""

    weights: str
    """``last`` or ``best``."""
    recorded: Scores
    found: Scores

    @property
    def error(self) -> float:
        """The largest difference of a score, relative where a score is above 1; NaN if one is not finite."""
        pairs = [(self.recorded[name], self.found.get(name)) for name in self.recorded]
        errors = [0.0]
        for one, other in pairs:
            if one is not None and other is not None:
                errors.append(abs(one - other) / max(1.0, abs(one)))
            elif one != other:
                return math.nan
        return max(errors)


def score_weights(record: Record, folder: Path, configuration: Configuration) -> list[WeightsScore]:
    """Score the test data with the weights of a run, the last ones and those of the best epoch.

    Raises as :func:`read_weights` and :func:`holding`.
    """
    kept = {"last": record.test_at_last, "best": record.test_at_best}
    if record.weights is not None and record.weights.best is None:
        del kept["best"]
    for which in kept:
        read_weights(record, folder, best=which == "best")
    scores = []
    with holding(record, configuration) as session:
        for which, recorded in kept.items():
            path = weights_path(record, folder, best=which == "best")
            session.call(protocol.LoadWeights(str(path)), protocol.Done)
            found = session.call(protocol.Evaluate(["test"]), protocol.Evaluated).scores["test"]
            known = {name: value for name, value in (recorded or {}).items() if name in found}
            scores.append(WeightsScore(which, known, found))
    return scores


# Explanations, of the same samples in every configuration.


class Explanation(msgspec.Struct, frozen=True):
    """What a configuration in float64 says of test samples with the weights of a run.

    ``arrays`` are those of :func:`harness.weights.explain.explained.explain`.
    """

    configuration: Configuration
    explained: Explained
    arrays: "dict[str, np.ndarray]"


def explain_weights(
    record: Record, folder: Path, configurations: Sequence[Configuration], *, best: bool
) -> Iterator[Explanation]:
    """Explain test samples in each configuration: those that the first one chooses.

    Raises as :func:`read_weights` and :func:`holding`, and UsageError for a task without a network ``model``.
    """
    import numpy as np

    if "model" not in record.task.description.networks:
        raise UsageError(f"task {record.task.name} has no network whose outputs are explained")
    read_weights(record, folder, best=best)
    answers: list[Answer] = []
    scratch = GuardedFolder("harness-explain-")
    try:
        for configuration in configurations:
            path = scratch.path / "arrays.npz"
            with holding(record, configuration) as session:
                loaded = protocol.LoadWeights(str(weights_path(record, folder, best=best)))
                session.call(loaded, protocol.Done)
                asked = protocol.Explain(str(path), answers)
                explained = session.call(asked, protocol.ExplainedSamples).explained
            answers = explained.answers
            with np.load(path, allow_pickle=False) as arrays:
                yield Explanation(configuration, explained, dict(arrays))
    finally:
        scratch.close()


#: Maps in float64 agree this well between frameworks, relative to the largest value of a map above 1.
MAP_TOLERANCE = 1e-9


def map_error(one: Explanation, other: Explanation) -> float:
    """The largest difference of a map of two explanations, relative to the largest value where above 1."""
    import numpy as np

    return max(
        float(np.abs(one.arrays[name] - other.arrays[name]).max())
        / max(1.0, float(np.abs(one.arrays[name]).max()))
        for name in one.explained.methods
    )
