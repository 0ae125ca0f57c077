"""Explanations of test samples: from a program in a worker to all that a page shows of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from harness.core.certify.input_gradients import Array, GradientCheck, Subject, check_gradients
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Record
from harness.core.runs.weights import read_weights, weights_path
from harness.core.stats.deviations import largest
from harness.core.training.program_scores import current_weights
from harness.core.training.scoring import score
from harness.core.worker import protocol
from harness.errors import UsageError
from harness.spec.backend import Program
from harness.spec.data import Samples
from harness.spec.task import Task
from harness.weights.explain.answers import Answer, chosen
from harness.weights.explain.attributions import (
    BY_GRADIENT,
    OCCLUSION,
    Attribution,
    chance_curves,
    curves,
    first_filters,
    occlusion,
    permutation_importance,
    relevance,
)
from harness.weights.feature import FEATURE
from harness.weights.score.score import holding

if TYPE_CHECKING:
    from harness.core.worker.requests import Worker

#: Samples whose gradients are compared with the reference; the reference is slow.
_CHECKED = 4
#: Maps in float64 agree this well between frameworks, relative to the largest value of a map above 1.
MAP_TOLERANCE = 1e-9


class MethodNote(msgspec.Struct, frozen=True):
    """The quality of a method's maps: the largest error of completeness, where the method promises it."""

    completeness: float | None = None
    explained: float | None = None
    """The largest difference of the output that should be explained."""
    deletion_gain: float | None = None
    insertion_gain: float | None = None


class Explained(msgspec.Struct, frozen=True):
    """The explanations of some test samples by one program; the arrays are in a file."""

    answers: list[Answer]
    methods: dict[str, MethodNote]
    check: GradientCheck | None
    classes: list[str]
    importance: list[tuple[float, float]] = []
    """For each feature of a table: the mean rise of the loss when it is shuffled, and the deviation."""


def explain(
    program: Program,
    task: Task,
    test: Samples,
    classes: Sequence[str],
    path: str,
    answers: Sequence[Answer] = (),
) -> Explained:
    """Explain ``answers``, or answers chosen from the test samples; write the arrays to ``path``.

    The arrays are ``inputs``, a map ``(n, *positions)`` by the name of each method, and ``filters`` where the
    network begins with a convolution of pictures. The gradients of a program in float64 are checked.
    """
    subject = Subject(program, task)
    found = list(answers) or chosen(subject, task, test)
    rows = [answer.row for answer in found]
    inputs, targets = test.inputs[rows], np.array([answer.place for answer in found], np.int64)
    numbers = subject.numbers(inputs)
    attributions: dict[str, Attribution] = {
        name: method(subject, numbers, targets) for name, method in BY_GRADIENT.items()
    }
    attributions[OCCLUSION] = occlusion(subject, inputs, targets)
    maps = {name: _map_of(each.values, numbers) for name, each in attributions.items()}
    chance = chance_curves(subject, numbers, targets, maps[OCCLUSION].shape)
    notes = {
        name: MethodNote(*_completeness(each), *curves(subject, numbers, targets, maps[name]).gains(chance))
        for name, each in attributions.items()
    }
    checked = slice(_CHECKED) if numbers.dtype == np.float64 else slice(0)
    check = check_gradients(program, task, inputs[checked], targets[checked]) if checked.stop else None
    filters = first_filters(task, current_weights(program))
    arrays = {"inputs": inputs, **maps} | ({} if filters is None else {"filters": filters})
    np.savez(path, allow_pickle=False, **arrays)
    return Explained(found, notes, check, list(classes), _importance(program, task, test))


def _map_of(values: Array, numbers: Array) -> Array:
    """Return a value for each position; an occlusion of tokens has no axis of features."""
    return relevance(values) if values.ndim == numbers.ndim else values


def _completeness(attribution: Attribution) -> tuple[float | None, float | None]:
    if attribution.completeness is None:
        return None, None
    explained = attribution.values.reshape(len(attribution.values), -1).sum(axis=1) - attribution.completeness
    return float(np.abs(attribution.completeness).max()), float(np.abs(explained).max())


def _importance(program: Program, task: Task, test: Samples) -> list[tuple[float, float]]:
    """Compute the permutation importance of the features of a table."""
    if len(task.networks["model"].input_shape) != 1 or task.takes_tokens():
        return []

    def loss(inputs: Array) -> float:
        return score(task, program.predict, Samples(inputs, test.targets)).scores["loss"] or 0.0

    mean, deviation = permutation_importance(loss, test.inputs)
    return list(zip(mean.tolist(), deviation.tolist(), strict=True))


class _Arguments(msgspec.Struct, frozen=True):
    """The arguments of :func:`operation`: the file for arrays; without answers, the worker chooses some."""

    path: str
    answers: list[Answer] = []


def operation(worker: "Worker", arguments: msgspec.Raw) -> Explained:
    """Explain test samples by the worker's program."""
    asked = msgspec.json.decode(arguments, type=_Arguments)
    test = worker.splits["test"]
    return explain(worker.program, worker.plan.task, test, worker.classes, asked.path, asked.answers)


class Explanation(msgspec.Struct, frozen=True):
    """The explanations of test samples by a configuration in float64 with the weights of a run.

    ``arrays`` are those that :func:`explain` writes.
    """

    configuration: Configuration
    explained: Explained
    arrays: Mapping[str, np.ndarray]


def explain_weights(
    record: Record, folder: Path, configurations: Sequence[Configuration], *, best: bool
) -> Iterator[Explanation]:
    """Explain the same test samples in each configuration; the first configuration chooses them.

    Raises as :func:`harness.core.runs.weights.read_weights` and
    :func:`harness.weights.score.score.holding`, and UsageError for a task without a network ``model``.
    """
    if "model" not in record.task.description.networks:
        raise UsageError(f"task {record.task.name} has no network whose outputs are explained")
    read_weights(record, folder, best=best)
    answers: list[Answer] = []
    scratch = GuardedFolder("explain")
    try:
        for configuration in configurations:
            path = scratch.path / "arrays.npz"
            with holding(record, configuration) as session:
                loaded = protocol.LoadWeights(str(weights_path(record, folder, best=best)))
                session.call(loaded, protocol.Done)
                asked = _Arguments(str(path), answers)
                explained = session.operate(FEATURE.operations["explain"], asked, Explained)
            answers = explained.answers
            with np.load(path, allow_pickle=False) as arrays:
                yield Explanation(configuration, explained, dict(arrays))
    finally:
        scratch.close()


def map_error(one: Explanation, other: Explanation) -> float:
    """Return the largest difference of a map, relative to its largest value if above 1; NaN for a NaN."""
    return largest(
        float(np.abs(one.arrays[name] - other.arrays[name]).max())
        / max(1.0, float(np.abs(one.arrays[name]).max()))
        for name in one.explained.methods
    )
