"""The values of A's parameters in the stored form of B."""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.port.pairing.matching import Matching, PairedUse
from harness.port.record import Cause
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace

_NEUTRAL = {"scale": 1.0, "running_variance": 1.0}


class MissingRole(NamedTuple):
    """The role of a parameter that A lacks in a paired use."""

    pair: PairedUse
    role: str


def transferred(
    matching: Matching, values_a: Mapping[str, np.ndarray], stored_b: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[MissingRole]]:
    """Return B's parameters with A's values; those that A lacks are neutral, a zero bias or a scale of one.

    A second bias that B lacks is added to the first bias, which is the same function.
    """
    changed: dict[str, np.ndarray] = {}
    paired_otherwise = {other.name for _, other in matching.free}
    missing: list[MissingRole] = []

    def target(name: str) -> np.ndarray:
        return changed.setdefault(name, np.array(stored_b[name]))

    for pair in matching.pairs:
        roles = {role: stored.canonical(values_a[stored.name]) for role, stored in pair.a.parameters.items()}
        add_second_biases(roles, pair.b.parameters)
        for role, stored in pair.b.parameters.items():
            array = target(stored.name)
            shape = stored.canonical(array).shape
            if role not in roles:
                stored.store(np.full(shape, _NEUTRAL.get(role, 0.0)), array)
                if not role.startswith("recurrent_bias") and stored.name not in paired_otherwise:
                    missing.append(MissingRole(pair, role))
            elif roles[role].size == np.prod(shape, dtype=int):
                stored.store(roles[role].reshape(shape), array)
    for stored_a, other in matching.free:
        other.store(stored_a.canonical(values_a[stored_a.name]), target(other.name))
    return changed, missing


def add_second_biases(roles: dict[str, np.ndarray], others: Container[str]) -> None:
    """Add second biases of ``roles`` that the other side lacks to the first biases."""
    for role in [role for role in roles if role.startswith("recurrent_bias_")]:
        first = "bias_" + role.removeprefix("recurrent_bias_")
        # The second bias of a GRU's candidate is inside the reset gate, and cannot be added.
        if role != "recurrent_bias_n" and role not in others and first in roles and first in others:
            roles[first] = roles[first] + roles.pop(role)


def second_biases(trace: Trace) -> set[str]:
    """Name the second biases of recurrent layers, except a GRU's, which is inside the reset gate."""
    return {
        stored.name
        for call in trace.calls
        if isinstance(call.does, kinds.Recurrent) and call.does.cell != "gru"
        for role, stored in call.parameters.items()
        if role.startswith("recurrent_bias")
    }


def lacking_in_a(missing: Sequence[MissingRole]) -> list[Cause]:
    """Return the causes of parameters that B trains and A lacks."""
    return [
        Cause.at(missing_kind(role), pair.a.path, pair.b.path, f"no {role}", role) for pair, role in missing
    ]


def missing_kind(role: str) -> str:
    """Return the kind of cause of a parameter that one side lacks."""
    return "missing bias" if "bias" in role or role == "shift" else "missing scale"
