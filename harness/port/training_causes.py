"""What differs in training: gradients, losses and parameters after some steps."""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.port.findings import Cause
from harness.port.matching import Matching
from harness.port.transfer import MissingRole

#: Two losses have the ratio of the batch size, as far as other differences leave it.
_LOSS_RATIO_TOLERANCE = 0.3
_LEAST_LOSS = 1e-30


def worst_parameter(
    matching: Matching, of_a: Mapping[str, np.ndarray], of_b: Mapping[str, np.ndarray]
) -> tuple[float, str]:
    """The largest difference of paired arrays, relative to the largest number of all, and B's layer."""
    worst, where = 0.0, ""
    scale = max((float(np.abs(array).max()) for array in of_a.values() if array.size), default=1.0) or 1.0
    pairs = [
        (stored, pair.b.parameters[role], pair.b.path)
        for pair in matching.pairs
        for role, stored in pair.a.parameters.items()
        if role in pair.b.parameters and not role.startswith("running")
    ]
    pairs += [(stored, other, other.name) for stored, other in matching.free]
    for stored, other, path in pairs:
        if stored.name not in of_a or other.name not in of_b:
            continue
        one, two = stored.canonical(of_a[stored.name]), other.canonical(of_b[other.name])
        gap = np.inf
        if one.size == two.size:
            gap = _never_nan(float(np.abs(one.ravel() - two.ravel()).max(initial=0.0)) / scale)
        if gap > worst:
            worst, where = gap, path or other.name
    return worst, where


def worst_loss(of_a: Sequence[float], of_b: Sequence[float]) -> float:
    """The largest relative difference of the losses of the same steps."""
    pairs = zip(of_a, of_b, strict=False)
    gaps = (_never_nan(abs(one - other) / max(abs(one), _LEAST_LOSS)) for one, other in pairs)
    return max(gaps, default=0.0)


def _never_nan(gap: float) -> float:
    """The gap, infinite where it is no number: comparisons with NaN are false, and would hide it."""
    return np.inf if np.isnan(gap) else gap


def loss_causes(loss_a: float, loss_b: float, batch: int) -> list[Cause]:
    """Whether one loss is the sum and the other the mean over the batch."""
    if not loss_a or not loss_b:
        return []
    ratio = loss_b / loss_a
    for factor, texts in ((batch, ("averaged", "summed")), (1 / batch, ("summed", "averaged"))):
        if abs(ratio / factor - 1) < _LOSS_RATIO_TOLERANCE:
            after = abs(loss_b / factor - loss_a) / abs(loss_a)
            return [
                Cause(
                    kind="loss",
                    path_a="loss",
                    path_b="loss",
                    a=texts[0],
                    b=texts[1],
                    before=abs(ratio - 1),
                    after=after,
                    mode="steps",
                )
            ]
    return []


def two_biases(matching: Matching) -> list[Cause]:
    """Recurrent layers of which one side trains two biases whose sum counts: it moves twice as fast."""
    for pair in matching.pairs:
        one, other = (
            {role for role in use.parameters if role.startswith("recurrent_bias")} for use in (pair.a, pair.b)
        )
        if pair.a.kind == pair.b.kind == "Recurrent" and one != other:
            texts = [f"{len(roles)} second biases" if roles else "one bias a gate" for roles in (one, other)]
            return [
                Cause(
                    kind="two biases",
                    path_a=pair.a.path,
                    path_b=pair.b.path,
                    a=texts[0],
                    b=texts[1],
                    mode="steps",
                    harmless=True,
                )
            ]
    return []


def lacking_in_a(missing: Sequence[MissingRole]) -> list[Cause]:
    """Parameters that B trains and A does not have."""
    return [
        Cause(
            kind="missing bias" if "bias" in each.role or each.role == "shift" else "missing scale",
            path_a=each.pair.a.path,
            path_b=each.pair.b.path,
            a=f"no {each.role}",
            b=each.role,
        )
        for each in missing
        if each.lacks == "a"
    ]
