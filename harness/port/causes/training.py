"""Differences in training: losses, gradients and parameters after some steps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.stats.deviations import largest
from harness.port.evaluation import ROUNDINGS
from harness.port.pairing.matching import Matching
from harness.port.record import Cause
from harness.port.values import difference, largest_finite
from harness.tracing.side import Gradients

_LEAST_LOSS = 1e-30
#: The least tolerance of losses and parameters, and the tolerance beyond which steps show nothing. Rounding
#: that grows so far multiplies in each step, and two frameworks, which round differently in every step, are
#: soon thousands of times apart. Different optimizers differ in the first steps.
STEPS_TOLERANCE, MOST_ALLOWED = 1e-7, 1e-6
#: The difference that rounding alone may make of gradients and running statistics.
GRADIENT_TOLERANCE = 1e-9


class WorstParameter(NamedTuple):
    """The largest difference of two paired arrays, and B's layer."""

    gap: float
    where: str = ""


def worst_parameter(
    matching: Matching,
    of_a: Mapping[str, np.ndarray],
    of_b: Mapping[str, np.ndarray],
    scale: float | None = None,
) -> WorstParameter:
    """Find the largest difference of paired arrays, relative to ``scale`` or the largest finite number."""
    worst = WorstParameter(0.0)
    if scale is None:
        scale = largest(largest_finite(array) or 0.0 for array in of_a.values() if array.size)
    scale = scale or 1.0
    for stored, other, role, _, use in matching.arrays():
        if stored.name not in of_a or other.name not in of_b or role.startswith("running"):
            continue
        one, two = stored.canonical(of_a[stored.name]), other.canonical(of_b[other.name])
        gap = np.inf
        if one.size == two.size:
            gap = _never_nan(float(np.abs(one.ravel() - two.ravel()).max(initial=0.0)) / scale)
        if gap > worst.gap:
            worst = WorstParameter(gap, (use.path if use else "") or other.name)
    return worst


def loss_causes(a: Gradients, b: Gradients) -> list[Cause]:
    """Compare two losses of the same outputs and targets by their gradients with respect to the outputs.

    A constant factor between the gradients is named, such as that between a sum and a mean.
    """
    one, other = (np.asarray(each.of_output, np.float64) for each in (a, b))
    before = difference(other, one)
    if before <= GRADIENT_TOLERANCE:
        return []
    square = float(np.vdot(one, one)) if one.shape == other.shape else 0.0
    factor = float(np.vdot(one, other)) / square if square else 0.0
    after = difference(factor * one, other) if factor else np.inf
    if after <= GRADIENT_TOLERANCE:
        return [
            Cause.at("loss", "loss", "loss", "loss × 1", f"loss × {factor:.6g}", before, after, "gradients")
        ]
    return [Cause.at("loss", "loss", "loss", before=before, mode="gradients")]


def loss_gaps(of_a: Sequence[float], of_b: Sequence[float]) -> list[float]:
    """Compute the relative difference of the losses of each step."""
    pairs = zip(of_a, of_b, strict=False)
    return [_never_nan(abs(one - other) / max(abs(one), _LEAST_LOSS)) for one, other in pairs]


class Steps(NamedTuple):
    """The number of steps that rounding does not hide; the worst difference and tolerance of their losses."""

    shown: int
    worst: float
    tolerance: float

    @classmethod
    def of(cls, gaps: Sequence[float], roundings: Sequence[float]) -> "Steps":
        """Judge ``gaps`` between both sides by ``roundings``, the gaps of one side after a perturbation.

        Rounding grows from step to step, in some models without bound, and then hides later steps.
        """
        allowed = [max(STEPS_TOLERANCE, ROUNDINGS * _never_nan(each)) for each in roundings]
        count = next((step for step, each in enumerate(allowed) if each > MOST_ALLOWED), len(allowed))
        beyond = [step for step in range(count) if gaps[step] > allowed[step]]
        place = beyond[0] if beyond else max(range(count), key=lambda step: gaps[step], default=0)
        return cls(count, gaps[place], allowed[place])


def _never_nan(gap: float) -> float:
    """Return ``gap``, infinite instead of NaN: comparisons with NaN are false, and would hide it."""
    return np.inf if np.isnan(gap) else gap


def two_biases(matching: Matching) -> list[Cause]:
    """Find recurrent layers in which one side trains two biases; their sum moves twice as fast."""
    for pair in matching.pairs:
        one, other = (
            {role for role in use.parameters if role.startswith("recurrent_bias")} for use in (pair.a, pair.b)
        )
        if pair.a.kind == pair.b.kind == "Recurrent" and one != other:
            a, b = (f"{len(roles)} second biases" if roles else "one bias a gate" for roles in (one, other))
            paths = pair.a.path, pair.b.path
            return [Cause.at("two biases", *paths, a, b, mode="steps", harmless=True)]
    return []


def held_biases(
    matching: Matching, of_a: Mapping[str, np.ndarray], of_b: Mapping[str, np.ndarray]
) -> list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Return, for each side, values whose second biases are zero where the other side lacks them, and masks.

    A mask is True at such a second bias. The first biases are the sums.
    """
    result = []
    for own, other, held in ((0, 1, of_a), (1, 0, of_b)):
        values: dict[str, np.ndarray] = {}
        masks: dict[str, np.ndarray] = {}
        for pair in matching.pairs:
            roles = pair[own].parameters
            for role in [each for each in roles if each.startswith("recurrent_bias_")]:
                first = "bias_" + role.removeprefix("recurrent_bias_")
                if role in pair[other].parameters or first not in roles:
                    continue
                for each in (roles[role], roles[first]):
                    values.setdefault(each.name, np.array(held[each.name]))
                mask = masks.setdefault(roles[role].name, np.zeros(held[roles[role].name].shape, bool))
                second = roles[role].canonical(values[roles[role].name])
                total = roles[first].canonical(values[roles[first].name]) + second
                roles[first].store(total, values[roles[first].name])
                roles[role].store(np.zeros_like(second), values[roles[role].name])
                roles[role].store(np.ones_like(second, bool), mask)
        result.append((values, masks))
    return result


def largest_gap(of_one: Mapping[str, np.ndarray], of_other: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of the arrays of ``of_other`` from the arrays of the same names."""
    gaps = (np.abs(of_one[name] - array).max(initial=0.0) for name, array in of_other.items())
    return _never_nan(float(max(gaps, default=0.0)))


def untied(matching: Matching, of_a: Mapping[str, np.ndarray], of_b: Mapping[str, np.ndarray]) -> list[Cause]:
    """Find arrays of one side that the other side has twice; their gradient is the sum of both gradients."""
    pairs = [(each.one, each.other) for each in matching.arrays()]
    sides = (of_a, of_b, pairs), (of_b, of_a, [(other, one) for one, other in pairs])
    found = []
    for side, (once, twice, own_pairs) in enumerate(sides):
        for name in dict.fromkeys(one.name for one, _ in own_pairs):
            parts = [(one, other) for one, other in own_pairs if one.name == name and other.name in twice]
            others = list(dict.fromkeys(other.name for _, other in parts))
            if name not in once or len(others) < 2:  # noqa: PLR2004  one array for another
                continue
            made = [np.zeros_like(once[name]) for _ in parts]
            for array, (one, other) in zip(made, parts, strict=True):
                one.store(other.canonical(twice[other.name]), array)
            before, gap = difference(made[0], once[name]), difference(np.sum(made, axis=0), once[name])
            if gap <= GRADIENT_TOLERANCE:
                a, b = (name, ", ".join(others))[:: -1 if side else 1]
                words = ("one table", "two tables")[:: -1 if side else 1]
                found.append(Cause.at("untied", a, b, words[0], words[1], before, gap, "gradients"))
    return found
