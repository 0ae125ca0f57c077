"""Arrays reduced to a few numbers that still distinguish them, so that references stay small.

Each array is cut into its gates (one piece where it has none). Of each piece the norm and the projections on
seeded random directions are kept. Two pieces that differ by a relative ``d`` differ in a projection by about
``d * norm / sqrt(3)``. The probability that different pieces agree in all projections is zero.
"""

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from harness.core.stats.deviations import largest
from harness.core.training import draws
from harness.layers import GRU, LSTM, Layer, SelfAttention
from harness.spec.task import Task

PROJECTIONS = 3


class Piece(msgspec.Struct, frozen=True):
    """The digest of one gate of a parameter, or of a whole array."""

    gate: str
    norm: float
    projections: list[float]


def digest(array: np.ndarray, gates: tuple[str, ...] = ("",)) -> list[Piece]:
    """Reduce an array whose last axis holds these gates side by side to its pieces.

    All gates are projected on the same directions, so that exchanged gates are recognisable.
    """
    pieces = []
    for gate, piece in zip(gates, np.split(array.astype(np.float64), len(gates), axis=-1), strict=True):
        directions = 2.0 * draws.uniform((PROJECTIONS, piece.size), "digest", piece.size) - 1.0
        projected = [math.fsum((row * piece.ravel()).tolist()) for row in directions]
        pieces.append(Piece(gate, float(np.linalg.norm(piece)), projected))
    return pieces


def digests(task: Task, weights: Mapping[str, np.ndarray]) -> dict[str, list[Piece]]:
    """Return the digest of each parameter of a task, by its gates."""
    gates = gates_of(task)
    return {name: digest(array, gates.get(name, ("",))) for name, array in weights.items()}


def relative_difference(observed: Piece, expected: Piece, least: float = 1e-300) -> float:
    """Estimate the norm of the difference, divided by that of the expected piece; infinite for a NaN.

    A norm below ``least`` counts as ``least``.
    """
    scale = max(expected.norm, least)
    worst = largest(abs(a - b) for a, b in zip(observed.projections, expected.projections, strict=True))
    difference = largest((math.sqrt(3.0) * worst, abs(observed.norm - expected.norm))) / scale
    return difference if math.isfinite(difference) else math.inf


def gates_of(task: Task) -> dict[str, tuple[str, ...]]:
    """Return the gates along the last axis of each parameter that has gates, by its full name."""
    return {
        f"{network_name}/{place.name}/{name}": gates
        for network_name, network in task.networks.items()
        for place in network.leaves()
        for name in place.layer.parameters(place.input_shape)
        if (gates := _gates(place.layer, name))
    }


def _gates(layer: Layer, parameter: str) -> tuple[str, ...]:
    if isinstance(layer, GRU | LSTM):
        return layer.gates
    # The gradient of the keys' bias is zero but for rounding: a softmax does not change with it.
    if isinstance(layer, SelfAttention) and parameter == "qkv_kernel":
        return ("query", "key", "value")
    return ()
