"""Whether a program did the same work as the reference: what deviates, by how much, and likely why."""

import math

import msgspec

from harness.spec.backend import Precision
from harness.testing.cases import SHORT_BATCH_CASES
from harness.testing.digest import Piece, relative_difference
from harness.testing.observation import Losses, Observation

#: Rounding in float64 stays near 1e-15; a wrong formula deviates by far more than this.
TOLERANCE = 1e-9
#: The largest effect of rounding on the first three losses in these precisions; see :func:`compare_losses`.
#: Correct programs reached 1.2e-7 on the CPU, in bfloat16 5.3e-3; weights that never change at least 1.1e-2.
LOSS_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.01}


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one case: the worst relative deviation, and what it points to, in words."""

    case: str
    worst: float
    explanation: str
    tolerance: float = TOLERANCE
    complete: bool = True
    """Whether all was tested that the case stands for."""

    @property
    def passed(self) -> bool:
        """Whether rounding explains the deviation."""
        return self.worst <= self.tolerance


def compare(case: str, observed: Observation, expected: Observation) -> Finding:
    """Compare an observation with the reference, in the order in which a fault would first show."""
    steps = [loss_difference(a, b) for a, b in zip(observed.losses, expected.losses, strict=True)]
    gradients = array_differences(observed.gradients, expected.gradients)
    weights = array_differences(observed.weights, expected.weights)
    outputs = array_differences(observed.outputs, expected.outputs)
    worst = max([*steps, *gradients.values(), *weights.values(), *outputs.values()])
    if worst <= TOLERANCE:
        return Finding(case, worst, "")
    differences = {"gradients": gradients, "weights": weights, "outputs": outputs}
    return Finding(case, worst, _explain(case, observed, expected, steps, differences))


def compare_losses(observed: Losses, expected: Losses, precision: Precision) -> Finding:
    """Compare the first losses in a lower precision with those of the float64 reference.

    This finds faults of that precision alone, such as a kernel that is chosen for float32 only. Only the
    first steps are comparable: later, ties of ReLU and pooling that rounding decides make trainings diverge.
    """
    steps = [loss_difference(a, b) for a, b in zip(observed, expected, strict=False)]
    worst, tolerance = max(steps), LOSS_TOLERANCES[precision]
    explanation = ""
    if worst > tolerance:
        step = next(number for number, value in enumerate(steps, 1) if value > tolerance)
        explanation = (
            f"float64 agrees, but in {precision} the loss of step {step} is {observed[step - 1][-1]} instead "
            f"of {expected[step - 1][-1]} (relative {steps[step - 1]:.1e}; rounding explains {tolerance:g}): "
            "look at what this mode does in that precision only"
        )
    return Finding(f"first losses in {precision}", worst, explanation, tolerance)


def loss_difference(observed: list[float | None], expected: list[float | None]) -> float:
    """The largest relative difference of the losses of one step; infinite where one is not finite."""
    if len(observed) != len(expected):
        return math.inf
    return max(
        math.inf if a is None or b is None else abs(a - b) / max(abs(b), 1e-300)
        for a, b in zip(observed, expected, strict=True)
    )


def array_differences(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> dict[str, float]:
    """The relative difference of each piece, named ``model/gru_1/forward/kernel [reset]``."""
    differences = {}
    for name, pieces in expected.items():
        for piece, other in zip(pieces, observed.get(name, []), strict=False):
            label = f"{name} [{piece.gate}]" if piece.gate else name
            differences[label] = relative_difference(other, piece)
        if len(observed.get(name, [])) != len(pieces):
            differences[name] = math.inf
    return differences


def _explain(
    case: str,
    observed: Observation,
    expected: Observation,
    steps: list[float],
    differences: dict[str, dict[str, float]],
) -> str:
    gradients = differences["gradients"]
    if steps[0] > TOLERANCE:
        return _explain_first_loss(observed, expected, gradients, steps[0])
    bad_gradients = {name: value for name, value in gradients.items() if value > TOLERANCE}
    if bad_gradients:
        return (
            f"the loss of step 1 agrees, the gradient of {listed(bad_gradients)} does not: look at the "
            "backward pass of that layer, at what is added to its gradient, or at arrays that load() or "
            "weights() shares with others"
        )
    late = next((number for number, value in enumerate(steps, 1) if value > TOLERANCE), None)
    if late is not None:
        return _explain_later_loss(case, late, steps[late - 1], gradients)
    bad_weights = {name: value for name, value in differences["weights"].items() if value > TOLERANCE}
    if bad_weights:
        return (
            f"all losses agree, the weights after the last step do not: {listed(bad_weights)}; "
            "look at the last update, and at how weights are read out"
        )
    bad_outputs = {name: value for name, value in differences["outputs"].items() if value > TOLERANCE}
    return (
        f"training agrees, the outputs in evaluation mode do not: {listed(bad_outputs)}; "
        "look for training behaviour in predict(), or for rows in another order"
    )


def _explain_first_loss(
    observed: Observation, expected: Observation, gradients: dict[str, float], difference: float
) -> str:
    loss, right = observed.losses[0][0], expected.losses[0][0]
    start = f"the loss of step 1 is {loss} instead of {right} (relative {difference:.1e})"
    if loss is not None and right:
        for factor, cause in (
            (8.0, "it is summed over the batch of 8, not averaged"),
            (10.0, "it is ten times too large"),
        ):
            if abs(loss / right / factor - 1) < TOLERANCE:
                return f"{start}: exactly {factor:g} times: {cause}"
    agreeing = [name for name, value in gradients.items() if value <= TOLERANCE]
    hint = f"; these gradients agree nevertheless: {', '.join(agreeing[:3])}" if agreeing else ""
    return (
        f"{start}: the forward pass, the loss, the penalty or the first batch differs: look for a missing "
        f"bias, transposed weights, or weights whose gates are in another order{hint}"
    )


def _explain_later_loss(case: str, step: int, difference: float, gradients: dict[str, float]) -> str:
    agrees = "the loss and all gradients of step 1 agree" if gradients else "the loss of step 1 agrees"
    if step == 4 and case in SHORT_BATCH_CASES:  # noqa: PLR2004  the short batch of the first epoch
        cause = "this step is the short last batch: average its loss over its own size"
    else:
        cause = (
            "look at the optimizer's update (form of the momentum, position of epsilon, bias correction), "
            "the weight decay, or a batch that was skipped or came out of order"
        )
    return f"{agrees}, the loss of step {step} is off by a relative {difference:.1e}: {cause}"


def listed(differences: dict[str, float]) -> str:
    """The first three differences and the number of the others, in words."""
    shown = [f"{name} (relative {value:.1e})" for name, value in list(differences.items())[:3]]
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""  # noqa: PLR2004
    return ", ".join(shown) + more
