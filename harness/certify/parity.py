"""Whether a program did the same work as the reference: what deviates, by how much, and likely why."""

import math

import msgspec

from harness.certify.cases import SHORT_BATCH_CASES
from harness.certify.certificate import Losses
from harness.certify.observation import Observation, Piece, relative_difference
from harness.spec.backend import Precision
from harness.spec.task import Adam, Optimizer, RmsProp, Sgd

#: Rounding in float64 stays near 1e-15; a wrong formula deviates by far more than this.
TOLERANCE = 1e-9
#: The largest effect of rounding on the first three losses in these precisions; see :func:`compare_losses`.
#: Correct programs reached 1.2e-7 on the CPU, in bfloat16 5.3e-3; weights that never change at least 1.1e-2.
LOSS_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.01}
#: The share of the largest norm below which an array may be rounding.
_TINY = 1e-6

#: What the ratio of a loss to the right one says, where it is exact.
_FACTORS = {
    8.0: "exactly 8 times: it is summed over the batch of 8, not averaged",
    10.0: "exactly 10 times: it is ten times too large",
    2.0: "exactly twice what it should be",
    0.5: "exactly half of what it should be",
}
_SHORT_BATCH = "this step is the short last batch: average its loss over its own size"
_EVALUATION_MODE = "call it in evaluation mode"
#: Causes that need no other case.
_CERTAIN = {*_FACTORS.values(), _SHORT_BATCH, _EVALUATION_MODE}
#: Whose the losses of an adversarial step are, in their order.
_NETWORKS = ("discriminator", "generator")


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one case: the worst relative deviation, and what it points to, in words."""

    case: str
    worst: float
    explanation: str
    tolerance: float = TOLERANCE
    complete: bool = True
    """Whether all was tested that the case stands for."""
    deviation: str = ""
    """The part of the explanation that states the deviation, where other cases may show its cause better."""
    note: str = ""
    """What a case that passed has shown besides."""

    @property
    def passed(self) -> bool:
        """Whether rounding explains the deviation."""
        return self.worst <= self.tolerance


def compare(
    case: str, observed: Observation, expected: Observation, optimizer: Optimizer | None = None
) -> Finding:
    """Compare an observation with the reference, in the order in which a fault would first show.

    ``optimizer`` is that of the case, by which causes are ruled out.
    """
    steps = [loss_difference(a, b) for a, b in zip(observed.losses, expected.losses, strict=True)]
    gradients = array_differences(observed.gradients, expected.gradients)
    weights = array_differences(observed.weights, expected.weights)
    outputs = array_differences(observed.outputs, expected.outputs)
    state = array_differences(observed.state, expected.state)
    worst = max([*steps, *gradients.values(), *state.values(), *weights.values(), *outputs.values()])
    if worst <= TOLERANCE:
        if observed.changed_by_predict:
            return Finding(case, math.inf, _changed_by_predict(observed.changed_by_predict))
        return Finding(case, worst, "")
    differences = {"gradients": gradients, "state": state, "weights": weights, "outputs": outputs}
    deviation, cause = _explain(case, observed, expected, steps, differences, optimizer)
    # A cause that is certain, such as an exact factor, is part of the deviation: no other case shows more.
    return Finding(case, worst, f"{deviation}: {cause}", deviation="" if cause in _CERTAIN else deviation)


def compare_losses(observed: Losses, expected: Losses, precision: Precision, alone: str = "") -> Finding:
    """Compare the first losses in a lower precision with those of the float64 reference.

    ``alone`` is the name of a case that was not compared in float64.

    This finds faults of that precision alone, such as a kernel that is chosen for float32 only. Only the
    first steps are comparable: later, ties of ReLU and pooling that rounding decides make trainings diverge.
    """
    steps = [loss_difference(a, b) for a, b in zip(observed, expected, strict=False)]
    worst, tolerance = max(steps), LOSS_TOLERANCES[precision]
    explanation = ""
    if worst > tolerance:
        step = next(number for number, value in enumerate(steps, 1) if value > tolerance)
        whose, loss, right = _differing(observed[step - 1], expected[step - 1])
        explanation = (
            f"in {precision} the {whose} of step {step} is {loss} instead of {right} (relative "
            f"{steps[step - 1]:.1e}; rounding explains {tolerance:g})"
        )
        if not alone:
            look = "look at what this mode does in that precision only"
            explanation = f"float64 agrees, but {explanation}: {look}"
    return Finding(
        f"{alone} in {precision}" if alone else losses_name(precision), worst, explanation, tolerance
    )


def losses_name(precision: Precision) -> str:
    """The name under which the first losses in a precision are reported."""
    return f"first losses in {precision}"


def loss_difference(observed: list[float | None], expected: list[float | None]) -> float:
    """The largest relative difference of the losses of one step; infinite where one is not finite."""
    if len(observed) != len(expected):
        return math.inf
    return max(
        math.inf if a is None or b is None else abs(a - b) / max(abs(b), 1e-300)
        for a, b in zip(observed, expected, strict=True)
    )


def array_differences(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> dict[str, float]:
    """The relative difference of each piece, named ``model/gru_1/forward/kernel [reset]``.

    Pieces that are tiny beside the largest are compared with a share of it: the gradient of a bias that a
    normalisation removes is nothing but rounding.
    """
    differences = {}
    norms = [piece.norm for pieces in expected.values() for piece in pieces]
    least = max(1e-300, _TINY * max(norms, default=0.0))
    for name, pieces in expected.items():
        for piece, other in zip(pieces, observed.get(name, []), strict=False):
            label = f"{name} [{piece.gate}]" if piece.gate else name
            differences[label] = relative_difference(other, piece, least)
        if len(observed.get(name, [])) != len(pieces):
            differences[name] = math.inf
    return differences


def _explain(
    case: str,
    observed: Observation,
    expected: Observation,
    steps: list[float],
    differences: dict[str, dict[str, float]],
    optimizer: Optimizer | None,
) -> tuple[str, str]:
    """The deviation that shows first, and what it points to."""
    gradients = differences["gradients"]
    if steps[0] > TOLERANCE:
        return _explain_first_loss(observed, expected, gradients, steps[0])
    bad_gradients = {name: value for name, value in gradients.items() if value > TOLERANCE}
    if bad_gradients:
        noun, verb, where = ("gradient", "does", "that layer")
        if len(bad_gradients) > 1:
            noun, verb, where = ("gradients", "do", "these layers")
        deviation = f"the loss of step 1 agrees, the {noun} of {listed(bad_gradients)} {verb} not"
        return deviation, (
            f"look at the backward pass of {where}, at what is added to the gradient, or at arrays that "
            "load() or weights() shares with others"
        )
    bad_state = {name: value for name, value in differences["state"].items() if value > TOLERANCE}
    if bad_state:
        return (
            f"the loss and all gradients of step 1 agree, what it made of {listed(bad_state)} does not",
            "look at the running statistics: the weight of the new value, the variance (that of n - 1)",
        )
    late = next((number for number, value in enumerate(steps, 1) if value > TOLERANCE), None)
    if late is not None:
        return _explain_later_loss(case, late, steps[late - 1], gradients, optimizer)
    bad_weights = {name: value for name, value in differences["weights"].items() if value > TOLERANCE}
    if bad_weights:
        return (
            f"all losses agree, the weights after the last step do not: {listed(bad_weights)}",
            "look at the last update, and at how weights are read out",
        )
    return _explain_outputs(observed, differences["outputs"])


def _explain_outputs(observed: Observation, differences: dict[str, float]) -> tuple[str, str]:
    if observed.changed_by_predict:
        return _changed_by_predict(observed.changed_by_predict), _EVALUATION_MODE
    bad_outputs = {name: value for name, value in differences.items() if value > TOLERANCE}
    return (
        f"training agrees, the outputs in evaluation mode do not: {listed(bad_outputs)}",
        "look for training behaviour in predict(), or for rows in another order",
    )


def _changed_by_predict(names: list[str]) -> str:
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")  # noqa: PLR2004
    return (
        f"predict() changed {shown}: statistics are updated in evaluation, where they must stay as they are"
    )


def _explain_first_loss(
    observed: Observation, expected: Observation, gradients: dict[str, float], difference: float
) -> tuple[str, str]:
    whose, loss, right = _differing(observed.losses[0], expected.losses[0])
    start = f"the {whose} of step 1 is {loss} instead of {right} (relative {difference:.1e})"
    if loss is not None and right:
        for factor, cause in _FACTORS.items():
            if abs(loss / right / factor - 1) < TOLERANCE:
                return start, cause
    if whose.startswith(_NETWORKS[1]):
        return start, (
            "the generator's turn differs: its loss is bce(D(G(z)), 1), by the discriminator that has just "
            "been updated and with the same latents"
        )
    agreeing = [name for name, value in gradients.items() if value <= TOLERANCE]
    if agreeing and len(agreeing) == len(gradients):
        return start, (
            "all gradients agree, so the loss is only returned wrongly: look at its factor, at the penalty, "
            "and whether it is computed before the update"
        )
    which = "this gradient agrees" if len(agreeing) == 1 else "these gradients agree"
    more = f" and {len(agreeing) - 3} more" if len(agreeing) > 3 else ""  # noqa: PLR2004
    hint = f"; {which} nevertheless: {', '.join(agreeing[:3])}{more}" if agreeing else ""
    has_gates = any(piece.gate in {"reset", "forget"} for of in expected.weights.values() for piece in of)
    gates = ", or weights whose gates are in another order" if has_gates else ""
    return start, (
        "the forward pass, the loss, the penalty or the first batch differs: look for a missing bias or "
        f"transposed weights{gates}{hint}"
    )


def _differing(
    observed: list[float | None], expected: list[float | None]
) -> tuple[str, float | None, float | None]:
    """Of the losses of a step the one that differs most: whose it is, and both values."""
    pairs = list(zip(observed, expected, strict=False))
    column = max(range(len(pairs)), key=lambda index: loss_difference(*([one] for one in pairs[index])))
    return (f"{_NETWORKS[column]}'s loss" if len(pairs) > 1 else "loss", *pairs[column])


def _explain_later_loss(
    case: str, step: int, difference: float, gradients: dict[str, float], optimizer: Optimizer | None
) -> tuple[str, str]:
    agrees = "the loss and all gradients of step 1 agree" if gradients else "the loss of step 1 agrees"
    if step == 4 and case in SHORT_BATCH_CASES:  # noqa: PLR2004  the short batch of the first epoch
        cause = _SHORT_BATCH
    else:
        cause = f"look at {_update(optimizer)}, or a batch that was skipped or came out of order"
    return f"{agrees}, the loss of step {step} is off by a relative {difference:.1e}", cause


def _update(optimizer: Optimizer | None) -> str:
    """What can be wrong in the update of this optimizer."""
    match optimizer:
        case Sgd(momentum=0.0):
            return "the update (the gradient times the learning rate, state that is left over from a step)"
        case Sgd():
            return "the optimizer's update (form of the momentum), the weight decay"
        case Adam():
            return "the optimizer's update (position of epsilon, bias correction), the weight decay"
        case RmsProp():
            return "the optimizer's update (position of epsilon, decay of the mean square), the weight decay"
        case _:
            return "the optimizer's update, the weight decay"


def listed(differences: dict[str, float]) -> str:
    """The first three differences and the number of the others, in words."""
    shown = [f"{name} (relative {value:.1e})" for name, value in list(differences.items())[:3]]
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""  # noqa: PLR2004
    return ", ".join(shown) + more
