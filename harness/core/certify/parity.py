"""Comparison of a program with the reference: what deviates, by how much, and likely why."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec

from harness.core.certify.cases import SHORT_BATCH_CASES
from harness.core.certify.certificate import Losses
from harness.core.certify.digests import Piece, relative_difference
from harness.core.certify.observation import Observation
from harness.core.reference.optimizers import entry_of
from harness.core.stats.deviations import exceeds, largest
from harness.spec.backend import Precision
from harness.spec.task import Optimizer

#: Rounding in float64 stays near 1e-15; a wrong formula deviates by far more than this.
TOLERANCE = 1e-9
#: The largest effect of rounding on the first three losses in these precisions; see :func:`compare_losses`.
#: Correct programs reached 1.2e-7 on the CPU, in bfloat16 5.3e-3; weights that never change at least 1.1e-2.
LOSS_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.01}
#: The share of the largest norm below which an array may be rounding.
_TINY = 1e-6
#: Causes of a loss by its ratio to the right one, where that is exact.
_FACTORS = {
    8.0: "exactly 8 times: it is summed over the batch of 8, not averaged",
    10.0: "exactly 10 times: it is ten times too large",
    2.0: "exactly twice what it should be",
    0.5: "exactly half of what it should be",
}
_SHORT_BATCH = "this step is the short last batch: average its loss over its own size"
_EVALUATION_MODE = "call it in evaluation mode"
#: The most that rounding to float32 changes the first loss and what follows from it.
_FIRST_LOSS_OF_FLOAT32, _MOST_OF_FLOAT32 = 1e-5, 5e-4
#: Causes that need no other case.
_CERTAIN = {*_FACTORS.values(), _SHORT_BATCH, _EVALUATION_MODE}
#: The networks of the losses of an adversarial step, in order.
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

    ``optimizer`` is the optimizer of the case; it rules out causes.
    """
    training = Differences.of(observed, expected)
    arrays = {
        part: array_differences(getattr(observed, part), getattr(expected, part))
        for part in ("gradients", "state", "outputs")
    }
    worst = largest([training.worst, *itertools.chain(*(part.values() for part in arrays.values()))])
    if worst <= TOLERANCE:
        if observed.changed_by_predict:
            return Finding(case, math.inf, _changed_by_predict(observed.changed_by_predict))
        return Finding(case, worst, "")
    deviation, cause = _explain(case, observed, expected, training, arrays, optimizer)
    if worst <= _MOST_OF_FLOAT32 and training.steps[0] <= _FIRST_LOSS_OF_FLOAT32:
        cause = f"{cause}; or at what computes in float32, whose rounding is of this size"
    # A cause that is certain, such as an exact factor, is part of the deviation: no other case shows more.
    return Finding(case, worst, f"{deviation}: {cause}", deviation="" if cause in _CERTAIN else deviation)


def compare_losses(observed: Losses, expected: Losses, precision: Precision, alone: str = "") -> Finding:
    """Compare the first losses in a lower precision with those of the float64 reference.

    ``alone`` is the name of a case that was not compared in float64.

    The comparison finds faults of that precision alone, such as a kernel that is chosen for float32 only.
    Only the first steps are comparable: later, ties of ReLU and pooling that rounding decides make trainings
    diverge.
    """
    steps = [loss_difference(a, b) for a, b in zip(observed, expected, strict=False)]
    worst, tolerance = largest(steps), LOSS_TOLERANCES[precision]
    explanation = ""
    if exceeds(worst, tolerance):
        step = next(number for number, value in enumerate(steps, 1) if exceeds(value, tolerance))
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
    """Return the name under which the first losses in a precision are reported."""
    return f"first losses in {precision}"


def loss_difference(observed: list[float | None], expected: list[float | None]) -> float:
    """Return the largest relative difference of the losses of one step; infinite if a loss is not finite."""
    if len(observed) != len(expected):
        return math.inf
    return largest(
        math.inf if a is None or b is None else abs(a - b) / max(abs(b), 1e-300)
        for a, b in zip(observed, expected, strict=True)
    )


def array_differences(observed: dict[str, list[Piece]], expected: dict[str, list[Piece]]) -> dict[str, float]:
    """Return the relative difference of each piece, named ``model/gru_1/forward/kernel [reset]``.

    Pieces that are tiny beside the largest piece are compared with a share of it: the gradient of a bias that
    a normalisation removes is nothing but rounding.
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


class Differences(NamedTuple):
    """The relative differences of two trainings: of the losses of each step, and of the final weights."""

    steps: list[float]
    weights: dict[str, float]

    @classmethod
    def of(cls, observed: Observation, expected: Observation) -> Self:
        """Compare two trainings of equally many steps."""
        steps = [loss_difference(a, b) for a, b in zip(observed.losses, expected.losses, strict=True)]
        return cls(steps, array_differences(observed.weights, expected.weights))

    @property
    def worst(self) -> float:
        """The largest."""
        return largest([*self.steps, *self.weights.values()])

    @property
    def wrong_step(self) -> int | None:
        """The first step, counted from 0, whose losses differ by more than rounding; None without one."""
        return next((step for step, value in enumerate(self.steps) if exceeds(value, TOLERANCE)), None)


def beyond_rounding(differences: dict[str, float]) -> dict[str, float]:
    """Return the differences that rounding does not explain."""
    return {name: value for name, value in differences.items() if exceeds(value, TOLERANCE)}


def _explain(
    case: str,
    observed: Observation,
    expected: Observation,
    training: Differences,
    arrays: dict[str, dict[str, float]],
    optimizer: Optimizer | None,
) -> tuple[str, str]:
    """State the deviation that shows first, and its likely cause."""
    gradients, late = arrays["gradients"], training.wrong_step
    if late == 0:
        return _explain_first_loss(observed, expected, gradients, training.steps[0])
    if bad_gradients := beyond_rounding(gradients):
        noun, verb, where = ("gradient", "does", "that layer")
        if len(bad_gradients) > 1:
            noun, verb, where = ("gradients", "do", "these layers")
        deviation = f"the loss of step 1 agrees, the {noun} of {listed(bad_gradients)} {verb} not"
        return deviation, (
            f"look at the backward pass of {where}, at what is added to the gradient, or at arrays that "
            "load() or weights() shares with others"
        )
    if bad_state := beyond_rounding(arrays["state"]):
        return (
            f"the loss and all gradients of step 1 agree, what it made of {listed(bad_state)} does not",
            "look at the running statistics: the weight of the new value, the variance (that of n - 1)",
        )
    if late is not None:
        return _explain_later_loss(case, late + 1, training.steps[late], gradients, optimizer)
    if bad_weights := beyond_rounding(training.weights):
        return (
            f"all losses agree, the weights after the last step do not: {listed(bad_weights)}",
            "look at the last update, and at how weights are read out",
        )
    return _explain_outputs(observed, arrays["outputs"])


def _explain_outputs(observed: Observation, differences: dict[str, float]) -> tuple[str, str]:
    if observed.changed_by_predict:
        return _changed_by_predict(observed.changed_by_predict), _EVALUATION_MODE
    return (
        f"training agrees, the outputs in evaluation mode do not: {listed(beyond_rounding(differences))}",
        "look for training behaviour in predict(), or for rows in another order",
    )


def _changed_by_predict(names: list[str]) -> str:
    return (
        f"predict() changed {first_of(names, 2)}: statistics are updated in evaluation, where they must stay "
        "as they are"
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
    hint = f"; {which} nevertheless: {first_of(agreeing)}" if agreeing else ""
    has_gates = any(piece.gate in {"reset", "forget"} for of in expected.weights.values() for piece in of)
    gates = ", or weights whose gates are in another order" if has_gates else ""
    return start, (
        "the forward pass, the loss, the penalty or the first batch differs: look for a missing bias or "
        f"transposed weights{gates}{hint}"
    )


def _differing(
    observed: list[float | None], expected: list[float | None]
) -> tuple[str, float | None, float | None]:
    """Return the loss of a step that differs most: the name of its network, and both values."""
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
    """Name the possible errors in the update of this optimizer."""
    if optimizer is None:
        return "the optimizer's update, the weight decay"
    if not optimizer.slots:
        return "the update (the gradient times the learning rate, state that is left over from a step)"
    return f"the optimizer's update ({entry_of(optimizer).suspects}), the weight decay"


def listed(differences: dict[str, float]) -> str:
    """List the first three differences and the number of the others, in words."""
    return first_of([f"{name} (relative {value:.1e})" for name, value in differences.items()])


def first_of(names: Sequence[str], most: int = 3) -> str:
    """List the first names and the number of the others, in words."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
