"""Recurrent layers in plain NumPy, with backpropagation through time by hand.

Shapes in comments: B samples, T steps, F inputs, U units. The formulas are those of
:class:`harness.layers.GRU` and :class:`harness.layers.LSTM`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.core.reference.activations import logistic
from harness.core.reference.passes import Array, Backward, Gradients, Pass, add
from harness.layers import GRU, LSTM

#: The states of a cell: the output ``(B, U)``, and an LSTM's memory ``(B, U)``.
State = tuple[Array, ...]
#: Maps the gradients of the next state to those of the inputs ``(B, F)`` and of the state before.
_CellBackward = Callable[[State, Gradients], tuple[Array, State]]


class Bend(NamedTuple):
    """An activation inside a cell, and from a gradient and the activation's value that of its argument."""

    value: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


TANH = Bend(np.tanh, lambda gradient, y: gradient * (1 - y * y))
LOGISTIC = Bend(logistic, lambda gradient, y: gradient * y * (1 - y))


def recur(name: str, layer: GRU | LSTM, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Run all directions; outputs are side by side, ``(B, T, U)`` or ``(B, U)`` of each; ``x (B, T, F)``."""
    ways = [
        _direction(f"{name}/{way}", layer, x, made, reverse=way == "backward") for way in layer.directions
    ]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        parts = np.split(gradient, len(ways), axis=-1)
        return sum(
            (back(part, gradients) for (_, back), part in zip(ways, parts, strict=True)), np.zeros_like(x)
        )

    return np.concatenate([y for y, _ in ways], axis=-1), backward


def _direction(
    name: str, layer: GRU | LSTM, x: Array, made: Pass, *, reverse: bool
) -> tuple[Array, Backward]:
    steps = x.shape[1]
    biases = ["recurrent_bias"] * isinstance(layer, GRU)
    names = ["kernel", "recurrent_kernel", "bias", *biases]
    cell = Cell(name, type(layer), {own: made.weights[f"{name}/{own}"] for own in names})
    outputs, backs = cell.run(x, reverse=reverse)
    order = list(range(steps))[:: -1 if reverse else 1]
    read = sorted(order) if layer.return_sequences else order[-1]  # the steps whose outputs are returned

    def backward(gradient: Array, gradients: Gradients) -> Array:
        towards, x_gradient = np.zeros_like(outputs), np.zeros_like(x)
        towards[:, read] = gradient
        following = cell.initial(x)
        for step, back in zip(reversed(order), reversed(backs), strict=True):
            following = (following[0] + towards[:, step], *following[1:])
            x_gradient[:, step], following = back(following, gradients)
        return x_gradient

    return outputs[:, read], backward


class Cell(NamedTuple):
    """A direction: its weights by their own names, as those of the layer, and how a step of it is made.

    ``reset_after``: the reset gate of a GRU is applied to ``h @ U + c``, otherwise to ``h``.
    """

    name: str
    layer: type[GRU | LSTM]
    weights: dict[str, Array]
    activation: Bend = TANH
    gate_activation: Bend = LOGISTIC
    reset_after: bool = True

    def initial(self, x: Array) -> State:
        """Return the state before the first step."""
        zeros = np.zeros((len(x), self.weights["recurrent_kernel"].shape[0]))
        return (zeros,) if self.layer is GRU else (zeros, zeros)

    def run(
        self, x: Array, *, reverse: bool = False, seen: Array | None = None
    ) -> tuple[Array, list[_CellBackward]]:
        """Return the outputs ``(B, T, U)`` in order of time, and the backward passes in order of the steps.

        Steps at which ``seen (B, T)`` is False leave the state unchanged.
        """
        state = self.initial(x)
        outputs = np.zeros((*x.shape[:2], state[0].shape[-1]))
        backs: list[_CellBackward] = []
        advance = _advance_gru if self.layer is GRU else _advance_lstm
        for step in range(x.shape[1])[:: -1 if reverse else 1]:
            after, back = advance(self, x[:, step], state)
            if seen is not None:
                kept = zip(after, state, strict=True)
                after = tuple(np.where(seen[:, step, None], new, old) for new, old in kept)
            state = after
            outputs[:, step] = state[0]
            backs.append(back)
        return outputs, backs

    def add(self, gradients: Gradients, **own: Array) -> None:
        """Add the gradients of these weights."""
        for name, gradient in own.items():
            add(gradients, f"{self.name}/{name}", gradient)

    def gates(self, product: Array) -> dict[str, Array]:
        """Return the columns of a product by the names of the gates."""
        order = self.layer.gates
        return dict(zip(order, np.split(product, len(order), axis=-1), strict=True))

    def columns(self, gates: dict[str, Array]) -> Array:
        """Join the columns of gates to a product; the inverse of :meth:`gates`."""
        return np.concatenate([gates[gate] for gate in self.layer.gates], axis=-1)


def _advance_gru(cell: Cell, x: Array, state: State) -> tuple[State, _CellBackward]:
    (h,), w, bend = state, cell.weights, cell.gate_activation
    inputs = cell.gates(x @ w["kernel"] + w["bias"])
    u, c = cell.gates(w["recurrent_kernel"]), cell.gates(w["recurrent_bias"])
    r, z = (bend.value(inputs[gate] + h @ u[gate] + c[gate]) for gate in ("reset", "update"))
    recurrent, recurrent_backward = _candidate(cell, h, r, u["candidate"], c["candidate"])
    n = cell.activation.value(inputs["candidate"] + recurrent)

    def backward(following: State, gradients: Gradients) -> tuple[Array, State]:
        (g,) = following
        to_n = cell.activation.backward(g * (1 - z), n)
        to_r, h_gradient, u_gradient, c_gradient = recurrent_backward(to_n)
        to_gates = {"reset": bend.backward(to_r, r), "update": bend.backward(g * (h - n), z)}
        h_gradient = h_gradient + g * z
        h_gradient = sum((to_gates[gate] @ u[gate].T for gate in to_gates), h_gradient)
        to_inputs = cell.columns(to_gates | {"candidate": to_n})
        u_gradients = {gate: h.T @ to_gates[gate] for gate in to_gates} | {"candidate": u_gradient}
        c_gradients = {gate: to_gates[gate].sum(axis=0) for gate in to_gates} | {"candidate": c_gradient}
        cell.add(
            gradients,
            kernel=x.T @ to_inputs,
            bias=to_inputs.sum(axis=0),
            recurrent_kernel=cell.columns(u_gradients),
            recurrent_bias=cell.columns(c_gradients),
        )
        return to_inputs @ w["kernel"].T, (h_gradient,)

    return ((1 - z) * n + z * h,), backward


def _candidate(
    cell: Cell, h: Array, r: Array, u: Array, c: Array
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array, Array]]]:
    """Return the state's part of the candidate; the backward pass gives the gradients of r, h, u and c."""
    if not cell.reset_after:
        return (r * h) @ u + c, lambda g: (g @ u.T * h, g @ u.T * r, (r * h).T @ g, g.sum(axis=0))
    product = h @ u + c

    def backward(g: Array) -> tuple[Array, Array, Array, Array]:
        reset = g * r
        return g * product, reset @ u.T, h.T @ reset, reset.sum(axis=0)

    return r * product, backward


def _advance_lstm(cell: Cell, x: Array, state: State) -> tuple[State, _CellBackward]:
    (h, c), w = state, cell.weights
    bend, gate_bend = cell.activation, cell.gate_activation
    gates = cell.gates(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])
    i, f, o = (gate_bend.value(gates[gate]) for gate in ("input", "forget", "output"))
    g = bend.value(gates["candidate"])
    memory = f * c + i * g
    bent = bend.value(memory)

    def backward(following: State, gradients: Gradients) -> tuple[Array, State]:
        h_after, c_after = following
        to_memory = c_after + bend.backward(h_after * o, bent)
        to_gates = {
            "input": gate_bend.backward(to_memory * g, i),
            "forget": gate_bend.backward(to_memory * c, f),
            "candidate": bend.backward(to_memory * i, g),
            "output": gate_bend.backward(h_after * bent, o),
        }
        products = cell.columns(to_gates)
        cell.add(
            gradients,
            kernel=x.T @ products,
            recurrent_kernel=h.T @ products,
            bias=products.sum(axis=0),
        )
        return products @ w["kernel"].T, (products @ w["recurrent_kernel"].T, to_memory * f)

    return (o * bent, memory), backward
