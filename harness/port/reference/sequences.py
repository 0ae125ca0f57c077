"""Recurrent layers and attention."""

import numpy as np
from scipy import special

from harness.port.reference.dispatch import Arrays, NoReference, Parameters, formula
from harness.port.reference.elementwise import activation
from harness.tracing import semantics as kinds


def attention(
    does: kinds.Attention | kinds.MultiHeadAttention,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Attention of arrays (..., heads, length, depth)."""
    scores = does.scale * (query @ np.swapaxes(key, -1, -2))
    if does.causal_offset is not None:
        seen = np.tril(np.ones(scores.shape[-2:], bool), does.causal_offset)
        scores = np.where(seen, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return np.asarray(special.softmax(scores, axis=does.softmax_axis) @ value)


@formula.register
def _(does: kinds.Attention, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    query, key, value = (np.swapaxes(x, 1, 2) if does.heads_axis == 2 else x for x in inputs[:3])  # noqa: PLR2004
    mask = inputs[3] if does.masked else None
    out = attention(does, query, key, value, mask)
    return [np.swapaxes(out, 1, 2) if does.heads_axis == 2 else out]  # noqa: PLR2004


@formula.register
def _(does: kinds.MultiHeadAttention, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    query, key, value = (inputs[0],) * 3 if len(inputs) == 1 else inputs[:3]
    if does.masked:
        raise NoReference("attention with a mask of its own")

    def heads(x: np.ndarray, name: str) -> np.ndarray:
        x = x @ parameters[f"{name}_kernel"]
        x = x + parameters[f"{name}_bias"] if f"{name}_bias" in parameters else x
        return np.moveaxis(x.reshape(*x.shape[:-1], does.heads, -1), -2, -3)

    out = attention(does, heads(query, "query"), heads(key, "key"), heads(value, "value"))
    out = np.moveaxis(out, -3, -2)
    out = out.reshape(*out.shape[:-2], -1) @ parameters["output_kernel"]
    return [out + parameters["output_bias"] if "output_bias" in parameters else out]


@formula.register
def _(does: kinds.Recurrent, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = inputs[0] if does.batch_first else np.swapaxes(inputs[0], 0, 1)
    steps = x[:, ::-1] if does.reverse else x
    gates = kinds.GATES[does.cell]
    units = parameters[f"recurrent_{gates[0]}"].shape[0]
    hidden = cell = np.zeros((len(x), units))
    outputs = []
    for place in range(steps.shape[1]):
        hidden, cell = _step(does, steps[:, place], hidden, cell, parameters)
        outputs.append(hidden)
    if does.returns == "last":
        return [hidden]
    out = np.stack(outputs[::-1] if does.reverse else outputs, axis=1)
    return [out if does.batch_first else np.swapaxes(out, 0, 1)]


def _step(
    does: kinds.Recurrent, x: np.ndarray, hidden: np.ndarray, cell: np.ndarray, parameters: Parameters
) -> tuple[np.ndarray, np.ndarray]:
    zero = np.zeros(hidden.shape[-1])

    def from_input(gate: str) -> np.ndarray:
        return x @ parameters[f"kernel_{gate}"] + parameters.get(f"bias_{gate}", zero)

    def from_state(gate: str, state: np.ndarray) -> np.ndarray:
        return state @ parameters[f"recurrent_{gate}"] + parameters.get(f"recurrent_bias_{gate}", zero)

    def gate(name: str) -> np.ndarray:
        return activation(does.recurrent_activation, from_input(name) + from_state(name, hidden))

    if does.cell == "rnn":
        hidden = activation(does.activation, from_input("h") + from_state("h", hidden))
        return hidden, cell
    if does.cell == "gru":
        update, reset = gate("z"), gate("r")
        state = reset * from_state("n", hidden) if does.reset_after else from_state("n", reset * hidden)
        new = activation(does.activation, from_input("n") + state)
        return update * hidden + (1 - update) * new, cell
    new = activation(does.activation, from_input("g") + from_state("g", hidden))
    cell = gate("f") * cell + gate("i") * new
    return gate("o") * activation(does.activation, cell), cell
