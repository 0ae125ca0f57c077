"""Attention with its masks, and recurrent layers."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import attention_scale, causal_offset
from harness_torch.port.seen import REWRITTEN, TRANSLATORS, Role, Seen, Tensor, rewrites, roles
from harness_torch.port.tracer import NotTranslated, active

# Attention, and its masks as numbers to add, causal ones recognised.

#: So much is added to scores where frameworks mean minus infinity; its exponential is zero in float64.
_BLOCKING = -1e4


def without_causal(mask: Tensor | None) -> tuple[int | None, Tensor | None]:
    """Split a constant additive mask into its causal offset and the mask that remains to be added.

    The mask has shape (..., queries, keys). With offset ``n`` query ``i`` sees the keys up to ``i + n``.
    """
    if mask is None or active().recorder.knows(mask):
        return None, mask
    numbers = mask.numpy()
    blocked = numbers <= _BLOCKING
    if (numbers[~blocked] != 0).any():
        return None, mask
    if not blocked.any():
        return None, None
    offset = causal_offset(~blocked)
    return (None, mask) if offset is None else (offset, None)


def with_causal(offset: int | None, mask: Tensor | None, queries: int, keys: int) -> Tensor | None:
    """Combine a causal offset and an additive mask into one additive mask."""
    if offset is None:
        return mask
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(offset)
    causal = torch.zeros(queries, keys).masked_fill(~seen, -math.inf)
    return causal if mask is None else causal + mask


_SEQUENCE, _HEADS = 3, 4


@rewrites("scaled_dot_product_attention")
def _attention(
    x: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attend over ``(batch, heads, length, depth)``; without an axis of heads there is one head."""
    if x.dim() == _SEQUENCE and key.dim() == _SEQUENCE:
        mask = attn_mask.unsqueeze(1) if attn_mask is not None and attn_mask.dim() == _SEQUENCE else attn_mask
        query, key, value = (each.unsqueeze(1) for each in (x, key, value))
        return _attention(query, key, value, mask, dropout_p, is_causal, scale).squeeze(1)
    if x.dim() != _HEADS or key.dim() != _HEADS:
        raise NotTranslated
    if enable_gqa and key.shape[1] != x.shape[1]:
        key, value = (each.repeat_interleave(x.shape[1] // each.shape[1], 1) for each in (key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros(attn_mask.shape).masked_fill(~attn_mask, -math.inf)
    offset, mask = without_causal(attn_mask)
    offset = 0 if is_causal else offset
    factor = attention_scale(scale, x.shape[-1])

    def run(tensors: list[Tensor]) -> Tensor:
        query, keys, values, *masks = tensors
        both = with_causal(offset, masks[0] if masks else None, query.shape[-2], keys.shape[-2])
        return functional.scaled_dot_product_attention(query, keys, values, both, scale=factor)

    does = kinds.Attention(scale=factor, causal_offset=offset, masked=mask is not None)
    inputs = [x, key, value] if mask is None else [x, key, value, mask]
    result: Tensor = active().recorder.carry_out(
        Seen(does, inputs), run, "torch.nn.functional.scaled_dot_product_attention"
    )
    return functional.dropout(result, dropout_p) if dropout_p else result


# Recurrent layers: one call for each layer and direction, with its own parameters.
#
# A call has the sequence as input, then the initial states unless they are zero; its outputs are all steps,
# then the states after the last one. A cell that the model calls itself has one step, (batch, width), instead
# of a sequence.

_CELLS = {"gru": "gru", "lstm": "lstm", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
#: The order in which torch stores the gates.
_ORDER = {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}
_SEQUENCE = 3


def _does(function: str, **fields: Any) -> kinds.Recurrent:
    cell: Any = _CELLS[function]
    activation = "relu" if function == "rnn_relu" else "tanh"
    return kinds.Recurrent(cell=cell, reset_after=True, activation=activation, **fields)


def _roles_of_gates(cell: str, weights: Sequence[Tensor | None]) -> dict[str, Role]:
    """Return roles of the input's and the state's kernel (gates * units, inputs) and their biases."""
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
    """Run all layers and directions like ``torch.gru``; returns the output and the last states."""
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
    live = active().recorder.knows
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

    seen = Seen(does, [x, *given], _roles_of_gates(does.cell, weights))
    result: tuple[Tensor, ...] = active().recorder.carry_out(seen, run, f"torch.{function}")
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
    """Read one step of a cell, such as ``torch.gru_cell``."""
    states = list(hx) if isinstance(hx, list | tuple) else [hx]
    does = _does(function, returns="last")
    return Seen(does, [x, *states], _roles_of_gates(does.cell, (w_ih, w_hh, b_ih, b_hh)))


REWRITTEN.update({name: functools.partial(layers, name) for name in _CELLS})
TRANSLATORS.update({f"{name}_cell": functools.partial(step, name) for name in _CELLS})
