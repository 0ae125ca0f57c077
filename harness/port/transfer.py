"""The values of A's parameters in the stored form of B."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.matching import Matching, PairedUse

_NEUTRAL = {"scale": 1.0, "running_variance": 1.0}


class MissingRole(NamedTuple):
    """A parameter that one side of a paired use does not have: its role, and the side that lacks it."""

    pair: PairedUse
    role: str
    lacks: str


def transferred(
    matching: Matching, values_a: Mapping[str, np.ndarray], stored_b: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[MissingRole]]:
    """B's parameters with A's values; what A does not have becomes neutral, a zero bias or a scale of one.

    A second bias that B does not have is added to the first one, which is the same function.
    """
    changed: dict[str, np.ndarray] = {}
    missing: list[MissingRole] = []

    def target(name: str) -> np.ndarray:
        return changed.setdefault(name, np.array(stored_b[name]))

    for pair in matching.pairs:
        roles = {role: stored.canonical(values_a[stored.name]) for role, stored in pair.a.parameters.items()}
        _add_second_biases(roles, pair)
        for role, stored in pair.b.parameters.items():
            array = target(stored.name)
            shape = stored.canonical(array).shape
            if role not in roles:
                stored.store(np.full(shape, _NEUTRAL.get(role, 0.0)), array)
                if not role.startswith("recurrent_bias"):
                    missing.append(MissingRole(pair, role, "a"))
            elif roles[role].size == np.prod(shape, dtype=int):
                stored.store(roles[role].reshape(shape), array)
        missing += [MissingRole(pair, role, "b") for role in roles if role not in pair.b.parameters]
    for stored_a, other in matching.free:
        other.store(stored_a.canonical(values_a[stored_a.name]), target(other.name))
    return changed, missing


def _add_second_biases(roles: dict[str, np.ndarray], pair: PairedUse) -> None:
    for role in [role for role in roles if role.startswith("recurrent_bias_")]:
        first = "bias_" + role.removeprefix("recurrent_bias_")
        # That of the new value of a GRU is inside the reset, and cannot be added.
        movable = role != "recurrent_bias_n"
        if movable and role not in pair.b.parameters and first in roles and first in pair.b.parameters:
            roles[first] = roles[first] + roles.pop(role)
