"""Whether a program did the reference's work: what deviates, by how much, and where to look first."""

import hashlib
import math
from pathlib import Path

import msgspec

from harness.spec.backend import Precision
from harness.testing.cases import SHORT_BATCH_CASES, Case
from harness.testing.digest import Piece, relative_difference
from harness.testing.observation import Losses, Observation

#: Float64 leaves about 1e-15 to rounding; a wrong formula shows far above this.
TOLERANCE = 1e-9
#: What rounding may do to the first three losses in these precisions; see :func:`compare_losses`. On the
#: CPU right programs came to 1.2e-7 and, in bfloat16, 5.3e-3; weights that never move to 1.1e-2 at least.
LOSS_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.01}


class ReferenceCase(msgspec.Struct, frozen=True):
    """What a case must give; ``sha256`` is of the case's task, so that a stale one is noticed."""

    sha256: str
    observation: Observation


class Reference(msgspec.Struct, frozen=True):
    """The cases of one task version, and the backends whose agreement they are."""

    task: str
    version: int
    made_with: dict[str, str]
    cases: dict[str, ReferenceCase]


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one case: the worst relative deviation, and in words what it points to."""

    case: str
    worst: float
    words: str
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the deviation is one that rounding explains."""
        return self.worst <= self.tolerance


def case_sha256(case: Case) -> str:
    """The hash of a case's whole description."""
    return hashlib.sha256(msgspec.json.encode(case, order="deterministic")).hexdigest()


def read_reference(path: Path) -> Reference:
    """The reference in a file; raises :class:`msgspec.MsgspecError` or OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Reference)


def compare(case: str, found: Observation, expected: Observation) -> Finding:
    """Hold an observation against the reference, in the order in which a fault would first show."""
    steps = [_loss_difference(a, b) for a, b in zip(found.losses, expected.losses, strict=True)]
    gradients = _array_differences(found.gradients, expected.gradients)
    weights = _array_differences(found.weights, expected.weights)
    outputs = _array_differences(found.outputs, expected.outputs)
    worst = max([*steps, *gradients.values(), *weights.values(), *outputs.values()])
    if worst <= TOLERANCE:
        return Finding(case, worst, "")
    differences = {"gradients": gradients, "weights": weights, "outputs": outputs}
    return Finding(case, worst, _explain(case, found, expected, steps, differences))


def compare_losses(found: Losses, expected: Losses, precision: Precision) -> Finding:
    """Hold the first losses of a program in a lower precision against those of the float64 reference.

    It finds what breaks in that precision alone, such as a kernel that is chosen for float32 only. Only the
    first steps can tell: later, ties of ReLU and pooling that rounding decides take trainings apart.
    """
    steps = [_loss_difference(a, b) for a, b in zip(found, expected, strict=False)]
    worst, tolerance = max(steps), LOSS_TOLERANCES[precision]
    words = ""
    if worst > tolerance:
        step = next(number for number, value in enumerate(steps, 1) if value > tolerance)
        words = (
            f"float64 agrees, but in {precision} the loss of step {step} is {found[step - 1][-1]} where "
            f"{expected[step - 1][-1]} is right (relative {steps[step - 1]:.1e}, at most {tolerance:g} is "
            "rounding): look at what this mode does in that precision only"
        )
    return Finding(f"first losses in {precision}", worst, words, tolerance)


def _loss_difference(found: list[float | None], expected: list[float | None]) -> float:
    if len(found) != len(expected):
        return math.inf
    return max(
        math.inf if a is None or b is None else abs(a - b) / max(abs(b), 1e-300)
        for a, b in zip(found, expected, strict=True)
    )


def _array_differences(found: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> dict[str, float]:
    """The relative difference of each piece, named ``model/gru_1/forward/kernel [reset]``."""
    differences = {}
    for name, pieces in expected.items():
        for piece, other in zip(pieces, found.get(name, []), strict=False):
            label = f"{name} [{piece.gate}]" if piece.gate else name
            differences[label] = relative_difference(other, piece)
        if len(found.get(name, [])) != len(pieces):
            differences[name] = math.inf
    return differences


def _explain(
    case: str,
    found: Observation,
    expected: Observation,
    steps: list[float],
    differences: dict[str, dict[str, float]],
) -> str:
    gradients = differences["gradients"]
    if steps[0] > TOLERANCE:
        return _explain_first_loss(found, expected, gradients, steps[0])
    bad_gradients = {name: value for name, value in gradients.items() if value > TOLERANCE}
    if bad_gradients:
        return (
            f"the loss of step 1 agrees, the gradient of {_listed(bad_gradients)} does not: look at the "
            f"backward pass of that layer, at what is added to its gradient, or at arrays that load() or "
            "weights() shares with others"
        )
    late = next((number for number, value in enumerate(steps, 1) if value > TOLERANCE), None)
    if late is not None:
        return _explain_later_loss(case, late, steps[late - 1], gradients)
    bad_weights = {name: value for name, value in differences["weights"].items() if value > TOLERANCE}
    if bad_weights:
        return (
            f"all losses agree, the weights after the last step do not: {_listed(bad_weights)}; "
            "look at the last update, and at how weights are read out"
        )
    bad_outputs = {name: value for name, value in differences["outputs"].items() if value > TOLERANCE}
    return (
        f"training agrees, the outputs in evaluation mode do not: {_listed(bad_outputs)}; "
        "look for training behaviour in predict(), or rows in another order"
    )


def _explain_first_loss(
    found: Observation, expected: Observation, gradients: dict[str, float], difference: float
) -> str:
    told, right = found.losses[0][0], expected.losses[0][0]
    start = f"the loss of step 1 is {told} where {right} is right (relative {difference:.1e})"
    if told is not None and right:
        for factor, words in (
            (8.0, "summed over the batch of 8, not averaged"),
            (10.0, "ten times too large"),
        ):
            if abs(told / right / factor - 1) < TOLERANCE:
                return f"{start}: exactly {factor:g} times: the loss is {words}"
    agreeing = [name for name, value in gradients.items() if value <= TOLERANCE]
    hint = f"; gradients that agree all the same: {', '.join(agreeing[:3])}" if agreeing else ""
    return (
        f"{start}: the forward pass, the loss, the penalty or the first batch differs: look for a missing "
        "bias, weights that are transposed or whose gates are in another "
        f"order{hint}"
    )


def _explain_later_loss(case: str, step: int, difference: float, gradients: dict[str, float]) -> str:
    since = "the loss" + (" and all gradients" if gradients else "") + " of step 1 agree"
    if step == 4 and case in SHORT_BATCH_CASES:  # noqa: PLR2004  the short batch of the first epoch
        what = "that is the short last batch: its loss must be averaged over its own size"
    else:
        what = (
            "look at the optimizer's update (momentum form, where epsilon stands, bias correction), the "
            "weight decay, or a batch that was skipped or came out of order"
        )
    return f"{since}, the loss of step {step} is off by a relative {difference:.1e}: {what}"


def _listed(differences: dict[str, float]) -> str:
    shown = [f"{name} (relative {value:.1e})" for name, value in list(differences.items())[:3]]
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""  # noqa: PLR2004
    return ", ".join(shown) + more
