"""Recurrent layers in plain NumPy, with backpropagation through time by hand.

Shapes in comments: B samples, T steps, F inputs, U units. The formulas are those of
:class:`harness.layers.GRU` and :class:`harness.layers.LSTM`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.layers import GRU, LSTM
from harness.reference.functions import Array, Backward, Gradients, Pass, add, logistic
from harness.reference.rules import Rules

#: Of each state of a cell: the output ``(B, U)``, and an LSTM's memory ``(B, U)``.
_State = tuple[Array, ...]
#: From the gradients of the next state to those of the inputs ``(B, F)`` and of the state before.
_CellBackward = Callable[[_State, Gradients], tuple[Array, _State]]


def recur(name: str, layer: GRU | LSTM, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The outputs of all directions side by side, ``(B, T, U)`` or ``(B, U)`` of each; ``x (B, T, F)``."""
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
    samples, steps, _ = x.shape
    cell = _Cell.of(name, layer, made)
    state: _State = (np.zeros((samples, layer.units)),) * cell.states
    backs: list[_CellBackward] = []
    order = list(range(steps))[:: -1 if reverse else 1]
    outputs = np.zeros((samples, steps, layer.units))
    for step in order:
        state, back = cell.advance(cell, x[:, step], state)
        outputs[:, step] = state[0]
        backs.append(back)
    read: list[int] | int  # the steps whose outputs are returned
    if layer.return_sequences:
        read = order if made.rules.backward_outputs == "as made" else sorted(order)
    else:
        read = steps - 1 if made.rules.backward_outputs == "of the last step" else order[-1]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        towards, x_gradient = np.zeros_like(outputs), np.zeros_like(x)
        towards[:, read] = gradient
        following: _State = tuple(np.zeros_like(part) for part in state)
        for step, back in zip(reversed(order), reversed(backs), strict=True):
            following = (following[0] + towards[:, step], *following[1:])
            x_gradient[:, step], following = back(following, gradients)
        return x_gradient

    return outputs[:, read], backward


class _Cell(NamedTuple):
    """A direction's weights by their own names, how many states it has, and a step of it."""

    name: str
    weights: dict[str, Array]
    rules: Rules
    states: int
    advance: "Callable[[_Cell, Array, _State], tuple[_State, _CellBackward]]"

    @classmethod
    def of(cls, name: str, layer: GRU | LSTM, made: Pass) -> "_Cell":
        names = ["kernel", "recurrent_kernel", "bias"] + ["recurrent_bias"] * isinstance(layer, GRU)
        weights = {own: made.weights[f"{name}/{own}"] for own in names}
        if isinstance(layer, GRU):
            return cls(name, weights, made.rules, 1, _advance_gru)
        return cls(name, weights, made.rules, 2, _advance_lstm)

    def add(self, gradients: Gradients, **own: Array) -> None:
        """Add the gradients of these weights."""
        for name, gradient in own.items():
            add(gradients, f"{self.name}/{name}", gradient)

    def gates(self, product: Array, layer: type[GRU | LSTM]) -> dict[str, Array]:
        """The columns of a product by the names of the gates."""
        order = self._order(layer)
        return dict(zip(order, np.split(product, len(order), axis=-1), strict=True))

    def columns(self, gates: dict[str, Array], layer: type[GRU | LSTM]) -> Array:
        """The inverse of :meth:`gates`."""
        return np.concatenate([gates[gate] for gate in self._order(layer)], axis=-1)

    def _order(self, layer: type[GRU | LSTM]) -> tuple[str, ...]:
        other = self.rules.gates  # which may be those of the other kind
        return other if set(other) == set(layer.gates) else layer.gates


def _advance_gru(cell: _Cell, x: Array, state: _State) -> tuple[_State, _CellBackward]:
    (h,), w = state, cell.weights
    inputs = cell.gates(x @ w["kernel"] + w["bias"], GRU)
    u, c = cell.gates(w["recurrent_kernel"], GRU), cell.gates(w["recurrent_bias"], GRU)
    r, z = (logistic(inputs[gate] + h @ u[gate] + c[gate]) for gate in ("reset", "update"))
    recurrent, recurrent_backward = _candidate(cell.rules, h, r, u["candidate"], c["candidate"])
    n = np.tanh(inputs["candidate"] + recurrent)
    taken, sign = (z, 1) if cell.rules.update == "takes the candidate" else (1 - z, -1)

    def backward(following: _State, gradients: Gradients) -> tuple[Array, _State]:
        (g,) = following
        to_n = g * taken * (1 - n * n)
        to_r, h_gradient, u_gradient, c_gradient = recurrent_backward(to_n)
        to_gates = {"reset": to_r * r * (1 - r), "update": sign * g * (n - h) * z * (1 - z)}
        h_gradient = h_gradient + g * (1 - taken)
        h_gradient = sum((to_gates[gate] @ u[gate].T for gate in to_gates), h_gradient)
        to_inputs = cell.columns(to_gates | {"candidate": to_n}, GRU)
        u_gradients = {gate: h.T @ to_gates[gate] for gate in to_gates} | {"candidate": u_gradient}
        c_gradients = {gate: to_gates[gate].sum(axis=0) for gate in to_gates} | {"candidate": c_gradient}
        cell.add(
            gradients,
            kernel=x.T @ to_inputs,
            bias=to_inputs.sum(axis=0),
            recurrent_kernel=cell.columns(u_gradients, GRU),
            recurrent_bias=cell.columns(c_gradients, GRU),
        )
        return to_inputs @ w["kernel"].T, (h_gradient,)

    return (taken * n + (1 - taken) * h,), backward


def _candidate(
    rules: Rules, h: Array, r: Array, u: Array, c: Array
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array, Array]]]:
    """What the state adds to the candidate, and from its gradient those of ``r``, ``h``, ``u`` and ``c``."""
    if rules.reset == "before the product":
        return (r * h) @ u + c, lambda g: (g @ u.T * h, g @ u.T * r, (r * h).T @ g, g.sum(axis=0))
    inside = c if rules.reset == "after the bias" else np.zeros_like(c)
    product = h @ u + inside

    def backward(g: Array) -> tuple[Array, Array, Array, Array]:
        reset = g * r
        to_bias = reset if rules.reset == "after the bias" else g
        return g * product, reset @ u.T, h.T @ reset, to_bias.sum(axis=0)

    return r * product + (c - inside), backward


def _advance_lstm(cell: _Cell, x: Array, state: _State) -> tuple[_State, _CellBackward]:
    (h, c), w = state, cell.weights
    gates = cell.gates(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], LSTM)
    i, f, o = (logistic(gates[gate]) for gate in ("input", "forget", "output"))
    g = np.tanh(gates["candidate"])
    memory = f * c + i * g
    bent = np.tanh(memory)

    def backward(following: _State, gradients: Gradients) -> tuple[Array, _State]:
        h_after, c_after = following
        to_memory = c_after + h_after * o * (1 - bent * bent)
        to_gates = {
            "input": to_memory * g * i * (1 - i),
            "forget": to_memory * c * f * (1 - f),
            "candidate": to_memory * i * (1 - g * g),
            "output": h_after * bent * o * (1 - o),
        }
        products = cell.columns(to_gates, LSTM)
        cell.add(
            gradients,
            kernel=x.T @ products,
            recurrent_kernel=h.T @ products,
            bias=products.sum(axis=0),
        )
        return products @ w["kernel"].T, (products @ w["recurrent_kernel"].T, to_memory * f)

    return (o * bent, memory), backward
