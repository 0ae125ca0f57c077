"""Explanations of networks that can be compared with one another: on the same samples, as ranks."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.certify.input_gradients import Array, Subject
from harness.core.training.program_scores import current_weights
from harness.spec.backend import Program
from harness.spec.data import Samples
from harness.spec.task import BinaryClassification, Classification, Task
from harness.weights.explain.attributions import (
    Attribution,
    chance_curves,
    curves,
    gradient_times_input,
    integrated_gradients,
    randomised,
    rank_correlations,
    relevance,
    smooth_grad,
)
from harness.weights.explain.record import ExplainedNetwork, MapsOfMethod

if TYPE_CHECKING:
    from harness.core.worker.requests import Worker

#: Test samples whose maps are kept, evenly spread over the data.
ROWS = 16
#: Ranks are kept as twice their value in 16 bits.
_MOST_POSITIONS = 2**15 - 1
#: Layers at which the cascade of randomised layers is judged, evenly spread; the first is among them.
_STAGES = 4
#: The seed of randomised layers, which no run has.
_RANDOM_SEED = 20_180

#: Fewer nodes and samples than on a page, because only ranks are compared.
METHODS: Mapping[str, Callable[[Subject, Array, Array], Attribution]] = {
    "gradient × input": gradient_times_input,
    "integrated gradients": functools.partial(integrated_gradients, nodes=16),
    "SmoothGrad": functools.partial(smooth_grad, samples=8),
}


def operation(worker: "Worker", _arguments: msgspec.Raw) -> ExplainedNetwork:
    """Explain the network with the weights that the worker was asked to keep: those of the best epoch."""
    worker.program.load(worker.kept_weights)
    return explain_network(worker.program, worker.plan.task, worker.splits["test"])


def explain_network(program: Program, task: Task, test: Samples) -> ExplainedNetwork:
    """Explain the program's network, on the same samples and outputs for every program of the task.

    The program has its weights again afterwards.
    """
    rows = np.unique(np.linspace(0, len(test) - 1, min(len(test), ROWS)).round().astype(int))
    inputs, places = test.inputs[rows], _places_of_truth(task, test.targets[rows])
    trained, subject = current_weights(program), Subject(program, task)
    numbers = subject.numbers(inputs)
    maps = _maps(subject, numbers, places)
    survived: dict[str, list[tuple[str, float | None]]] = {name: [] for name in maps}
    for layer, weights in _stages(task, trained):
        program.load(weights)
        drawn = Subject(program, task)
        for name, after in _maps(drawn, drawn.numbers(inputs), places).items():
            correlations = rank_correlations(maps[name], after)
            known = correlations[np.isfinite(correlations)]
            survived[name].append((layer, round(float(known.mean()), 4) if len(known) else None))
    program.load(trained)
    chance = chance_curves(subject, numbers, places, next(iter(maps.values())).shape)
    kept = {}
    for name, values in maps.items():
        found = curves(subject, numbers, places, values)
        kept[name] = MapsOfMethod(
            packed_ranks(values), _rounded(found.deletion), _rounded(found.insertion), survived[name]
        )
    positions = min(next(iter(maps.values()))[0].size, _MOST_POSITIONS)
    return ExplainedNetwork(len(rows), positions, kept, _rounded(chance.deletion), _rounded(chance.insertion))


def _places_of_truth(task: Task, targets: Array) -> npt.NDArray[np.int64]:
    """Return the output of the right class: at the last position, or the only one of two classes."""
    match task.objective:
        case Classification():
            outputs = task.networks["model"].output_shape()
            positions = int(np.prod(outputs[:-1]))
            last = targets.reshape(len(targets), -1)[:, -1]
            return np.asarray((positions - 1) * outputs[-1] + last, np.int64)
        case BinaryClassification() | _:
            return np.zeros(len(targets), np.int64)


def _maps(subject: Subject, numbers: Array, places: Array) -> dict[str, Array]:
    return {name: relevance(method(subject, numbers, places).values) for name, method in METHODS.items()}


def _stages(task: Task, weights: Mapping[str, Array]) -> list[tuple[str, dict[str, Array]]]:
    every: list[tuple[str, dict[str, Array]]] = list(randomised(task, weights, _RANDOM_SEED))
    shown = np.unique(np.linspace(0, len(every) - 1, min(len(every), _STAGES)).round().astype(int))
    return [every[place] for place in shown]


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def packed_ranks(maps: Array) -> bytes:
    """Pack maps ``(n, ...)`` as a record holds them; positions beyond 32,767 are left out."""
    from scipy.stats import rankdata

    flat = maps.reshape(len(maps), -1)[:, :_MOST_POSITIONS]
    return np.asarray(2 * rankdata(flat, axis=1), "<u2").tobytes()


def correlations_of(one: ExplainedNetwork, other: ExplainedNetwork, method: str) -> npt.NDArray[np.float64]:
    """Return the rank correlation ``(rows,)`` of the maps of two networks on the same samples."""
    ranks = (
        np.frombuffer(each.methods[method].ranks, "<u2").reshape(each.rows, -1).astype(np.float64)
        for each in (one, other)
    )
    return rank_correlations(*ranks)
