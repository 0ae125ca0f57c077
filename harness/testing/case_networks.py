"""Networks with other layers in place of theirs, at all depths of their trees."""

from collections.abc import Callable

import msgspec

from harness.layers import AnyLayer, Dropout, Native, Residual, SelfAttention, Skip
from harness.network import Network
from harness.spec.task import Task

#: From a layer without branches to the one in its place; None leaves it out.
Exchange = Callable[[AnyLayer], AnyLayer | None]


def with_layers(task: Task, exchange: Exchange) -> dict[str, Network]:
    """The task's networks, each layer that has no branches exchanged."""
    return {
        name: msgspec.structs.replace(network, layers=_exchanged(network.layers, exchange))
        for name, network in task.networks.items()
    }


def without_dropout(task: Task) -> dict[str, Network]:
    """The task's networks without dropout, that of attention included."""
    return with_layers(task, _without)


def _without(layer: AnyLayer) -> AnyLayer | None:
    match layer:
        case Dropout():
            return None
        case SelfAttention():
            return msgspec.structs.replace(layer, dropout=0.0)
        case Native(dropout="active"):
            return msgspec.structs.replace(layer, dropout="off")
    return layer


def _exchanged(layers: tuple[AnyLayer, ...], exchange: Exchange) -> tuple[AnyLayer, ...]:
    kept: list[AnyLayer] = []
    for layer in layers:
        match layer:
            case Residual(body, shortcut):
                kept.append(Residual(_exchanged(body, exchange), _exchanged(shortcut, exchange)))
            case Skip(body):
                kept.append(Skip(_exchanged(body, exchange)))
            case _:
                kept += filter(None, [exchange(layer)])
    return tuple(kept)
