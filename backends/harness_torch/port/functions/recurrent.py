"""Recurrent layers: one call for each layer and direction, with its own parameters.

A call has the sequence as input, then the initial states unless they are zero; its outputs are all steps,
then the states after the last one. A cell that the model calls itself has one step, (batch, width), instead
of a sequence.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_torch.port.seen import REWRITTEN, TRANSLATORS, Role, Seen, Tensor, roles
from harness_torch.port.tracer import NotTranslated, active

_CELLS = {"gru": "gru", "lstm": "lstm", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
#: The order in which torch stores the gates.
_ORDER = {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}
_SEQUENCE = 3


def _does(function: str, **fields: Any) -> kinds.Recurrent:
    cell: Any = _CELLS[function]
    activation = "relu" if function == "rnn_relu" else "tanh"
    return kinds.Recurrent(cell=cell, reset_after=True, activation=activation, **fields)


def _roles(cell: str, weights: Sequence[Tensor | None]) -> dict[str, Role]:
    """Roles of the input's and the state's kernel (gates * units, inputs) and their biases."""
    found: dict[str, Role] = {}
    names = ("kernel", "recurrent", "bias", "recurrent_bias")
    for name, tensor in zip(names, weights, strict=False):
        if tensor is None:
            continue
        units = len(tensor) // len(_ORDER[cell])
        for place, gate in enumerate(_ORDER[cell]):
            axes = (1, 0) if tensor.dim() > 1 else None
            layout = Stored("", axis=0, start=place * units, stop=(place + 1) * units, axes=axes)
            found[f"{name}_{gate}"] = Role(tensor, layout)
    return roles(**found)


def layers(
    function: str,
    x: Tensor,
    hx: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Tensor, ...]:
    """All layers and directions, the output and the last states, as ``torch.gru`` and its like."""
    directions = 2 if bidirectional else 1
    count = 4 if has_biases else 2
    if isinstance(params, Tensor) or len(params) != count * directions * num_layers or x.dim() != _SEQUENCE:
        raise NotTranslated
    initial = list(hx) if isinstance(hx, list | tuple) else [hx]
    last: list[list[Tensor]] = [[] for _ in initial]
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = params[count * number : count * (number + 1)]
            does = _does(function, reverse=direction == 1, batch_first=batch_first)
            out, *states = _layer(function, does, x, [state[number] for state in initial], weights)
            outputs.append(out)
            for kept, state in zip(last, states, strict=True):
                kept.append(state)
        x = torch.cat(outputs, -1) if bidirectional else outputs[0]
        if dropout and layer < num_layers - 1:
            x = functional.dropout(x, dropout, train)
    return (x, *(torch.stack(kept) for kept in last))


def _layer(
    function: str, does: kinds.Recurrent, x: Tensor, initial: list[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    live = active().recorder.is_live
    given = [] if not any(live(state) or state.any() for state in initial) else initial
    time = 1 if does.batch_first else 0

    def run(tensors: list[Tensor]) -> tuple[Tensor, ...]:
        sequence, *states = tensors
        states = [state[None] for state in (states or initial)]
        sequence = sequence.flip(time) if does.reverse else sequence
        first = tuple(states) if len(states) > 1 else states[0]
        flags = (len(weights) > 2, 1, 0.0, False, False, does.batch_first)  # noqa: PLR2004
        out, *after = getattr(torch, function)(sequence, first, list(weights), *flags)
        return (out.flip(time) if does.reverse else out, *(state[0] for state in after))

    seen = Seen(does, [x, *given], _roles(does.cell, weights))
    result: tuple[Tensor, ...] = active().run(seen, run, f"torch.{function}")
    return result


def step(
    function: str,
    x: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Seen:
    """One step of a cell, as ``torch.gru_cell`` and its like."""
    states = list(hx) if isinstance(hx, list | tuple) else [hx]
    does = _does(function, returns="last")
    return Seen(does, [x, *states], _roles(does.cell, (w_ih, w_hh, b_ih, b_hh)))


REWRITTEN.update({name: functools.partial(layers, name) for name in _CELLS})
TRANSLATORS.update({f"{name}_cell": functools.partial(step, name) for name in _CELLS})
