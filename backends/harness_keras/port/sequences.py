"""Recurrent layers, and layers that wrap others in time."""

from typing import Any, Literal

import keras
from keras import ops, tree

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import replaced
from harness_keras.port.readings import Layer, Unreadable, reads_layer

Tensor = Any
#: A layer of more steps is one call: its trace would have tens of thousands.
_MOST_STEPS = 500


# Recurrent layers with the cells that Keras has.

_CELLS: dict[type, Literal["rnn", "gru", "lstm"]] = {
    keras.layers.SimpleRNNCell: "rnn",
    keras.layers.GRUCell: "gru",
    keras.layers.LSTMCell: "lstm",
}


@reads_layer(keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM, keras.layers.RNN)
def _recurrent(running: Layer) -> Any:
    """Read a recurrent layer from ``(batch, time, inputs)`` to all steps or the last step.

    With ``go_backwards`` Keras returns the steps in reversed time, which is recorded as a call of its own.
    """
    layer = running.layer
    cell = layer.cell
    kind = _CELLS.get(type(cell))
    if kind is None:
        return _step_by_step(running)
    parameters = _parameters(running, cell)
    x = _without_dropout(running)
    states = tree.flatten(running.arguments.get("initial_state"))
    states = [state for state in states if state is not None]
    mask = running.arguments.get("mask")
    mask = tree.flatten(mask)[0] if mask is not None else None
    does = _does(
        cell,
        reverse=layer.go_backwards,
        returns="steps" if layer.return_sequences else "last",
        masked=mask is not None,
    )
    reversed_output = layer.go_backwards and layer.return_sequences

    def compute(x: Tensor, *further: Tensor) -> Any:
        changed = {running.first: x}
        if states:
            changed["initial_state"] = list(further[: len(states)])
        results = running.run(**changed)
        return _with_first(results, lambda y: ops.flip(y, axis=1)) if reversed_output else results

    results = running.part(does, [x, *states, *([] if mask is None else [mask])], compute, parameters)
    if not reversed_output:
        return results
    in_time = results[0] if isinstance(results, list | tuple) else results
    out = running.part(kinds.Slice(index="[:, ::-1]"), [in_time], lambda y: ops.flip(y, axis=1))
    return _with_first(results, lambda _: out)


def _step_by_step(running: Layer) -> Any:
    """Enter the steps of a cell of another kind, each by itself, unless they are very many."""
    layer, steps = running.layer, running.x.shape[1]
    if steps is None or steps > _MOST_STEPS:
        raise Unreadable(whole=True)
    with replaced([(layer, "unroll", True)]):
        return running.recorder.enter(running.function, running.run, (), {})


def _with_first(results: Any, change: Any) -> Any:
    if isinstance(results, list | tuple):
        return [change(results[0]), *results[1:]]
    return change(results)


def _without_dropout(running: Layer) -> Tensor:
    x, cell = running.x, running.layer.cell
    for rate in (cell.dropout, cell.recurrent_dropout):
        if rate:
            does = kinds.Dropout(rate=float(rate), active=running.training)
            x = running.part(does, [x], lambda x: x)
    return x


@reads_layer(*_CELLS)
def _step(running: Layer) -> Any:
    """Read a step of a cell that the model calls itself, (batch, width) from the states before."""
    cell, states = running.layer, tree.flatten(running["states"])
    if running.training and (cell.dropout or cell.recurrent_dropout):
        raise Unreadable

    def run(x: Tensor, *states: Tensor) -> list[Tensor]:
        """Return the states after the step; the first one is also its output."""
        return list(running.run(**{running.first: x, "states": list(states)})[1])

    made = running.part(_does(cell, returns="last"), [running.x, *states], run, _parameters(running, cell))
    return made[0], made


def _does(cell: Any, **fields: Any) -> kinds.Recurrent:
    return kinds.Recurrent(
        cell=_CELLS[type(cell)],
        reset_after=getattr(cell, "reset_after", True),
        activation=cell.activation.__name__,
        recurrent_activation=getattr(cell, "recurrent_activation", keras.activations.sigmoid).__name__,
        **fields,
    )


def _parameters(running: Layer, cell: Any) -> dict[str, Stored]:
    units, gates = cell.units, kinds.GATES[_CELLS[type(cell)]]
    parameters = {}
    for place, gate in enumerate(gates):
        columns = {"axis": 1, "start": place * units, "stop": (place + 1) * units}
        parameters[f"kernel_{gate}"] = running.stored(cell.kernel, **columns)
        parameters[f"recurrent_{gate}"] = running.stored(cell.recurrent_kernel, **columns)
        if cell.bias is None:
            continue
        for row, role in enumerate(("bias", "recurrent_bias")[: len(cell.bias.shape)]):
            start = (row * len(gates) + place) * units
            parameters[f"{role}_{gate}"] = running.stored(cell.bias, start=start, stop=start + units)
    return parameters


@reads_layer(keras.layers.TimeDistributed)
def _time_distributed(running: Layer) -> Tensor:
    """Read a layer applied at each step: on the last axis directly, else on the steps as a larger batch."""
    inner, x = running.layer.layer, running.x
    if isinstance(inner, keras.layers.Dense | keras.layers.LayerNormalization):
        return inner(x)
    parts = inner._flatten_layers() if isinstance(inner, keras.Layer) else []  # noqa: SLF001
    if any(isinstance(part, keras.layers.BatchNormalization | keras.layers.RNN) for part in parts):
        raise Unreadable
    batch, steps, *rest = x.shape
    merged = running.part(
        kinds.Reshape(shape=tuple(rest)), [x], lambda x: ops.reshape(x, (batch * steps, *rest))
    )
    training = {"training": running.training} if inner._call_has_training_arg else {}  # noqa: SLF001
    y = inner(merged, **training)
    shape = (batch, steps, *y.shape[1:])
    return running.part(kinds.Reshape(shape=shape[1:]), [y], lambda y: ops.reshape(y, shape))
