"""Comparison of a program with the reference: what deviates first, and by how much."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec

from harness.core.certify.certificate import Losses
from harness.core.certify.digests import Piece, relative_difference
from harness.core.certify.observation import Observation
from harness.core.stats.deviations import exceeds, largest
from harness.spec.backend import Precision

#: Rounding in float64 stays near 1e-15; a wrong formula deviates by far more than this.
TOLERANCE = 1e-9
#: The largest effect of rounding on the first three losses in these precisions; see :func:`compare_losses`.
#: Correct programs reached 1.2e-7 on the CPU, in bfloat16 5.3e-3; weights that never change at least 1.1e-2.
LOSS_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.01}
#: The share of the largest norm below which an array may be rounding.
_TINY = 1e-6
#: The networks of the losses of an adversarial step, in order.
_NETWORKS = ("discriminator", "generator")


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one case: the worst relative deviation, and what deviates first, in words."""

    case: str
    worst: float
    explanation: str
    tolerance: float = TOLERANCE
    complete: bool = True
    """Whether all was tested that the case stands for."""
    note: str = ""
    """What a case that passed has shown besides."""

    @property
    def passed(self) -> bool:
        """Whether rounding explains the deviation."""
        return self.worst <= self.tolerance


def compare(case: str, observed: Observation, expected: Observation) -> Finding:
    """Compare an observation with the reference, in the order in which a fault would first show."""
    training = Differences.of(observed, expected)
    arrays = {
        part: array_differences(getattr(observed, part), getattr(expected, part))
        for part in ("gradients", "state", "outputs")
    }
    worst = largest([training.worst, *itertools.chain(*(part.values() for part in arrays.values()))])
    if worst > TOLERANCE:
        return Finding(case, worst, _first_difference(observed, expected, training, arrays))
    if observed.changed_by_predict:
        return Finding(case, math.inf, _changed_by_predict(observed.changed_by_predict))
    return Finding(case, worst, "")


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
        whose, values = _differing(observed[step - 1], expected[step - 1])
        explanation = (
            f"in {precision} the {whose} of step {step} {values} (relative {steps[step - 1]:.1e}; rounding "
            f"explains {tolerance:g})"
        )
        if not alone:
            explanation = f"float64 agrees, but {explanation}"
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


def _first_difference(
    observed: Observation,
    expected: Observation,
    training: Differences,
    arrays: dict[str, dict[str, float]],
) -> str:
    """State the loss or the arrays that deviate first."""
    late = training.wrong_step
    gradients, state, outputs = (beyond_rounding(arrays[part]) for part in ("gradients", "state", "outputs"))
    weights = beyond_rounding(training.weights)
    if late == 0:
        text = _step_text(observed, expected, 0)
    elif gradients:
        text = f"the loss of step 1 agrees, these gradients do not: {listed(gradients)}"
    elif state:
        text = f"the loss and all gradients of step 1 agree, what it made of {listed(state)} does not"
    elif late is not None:
        agree = "loss and all gradients of step 1 agree" if arrays["gradients"] else "loss of step 1 agrees"
        text = f"the {agree}, {_step_text(observed, expected, late)}"
    elif weights:
        text = f"all losses agree, the weights after the last step do not: {listed(weights)}"
    elif observed.changed_by_predict:
        text = _changed_by_predict(observed.changed_by_predict)
    else:
        text = f"training agrees, the outputs in evaluation mode do not: {listed(outputs)}"
    return text


def _step_text(observed: Observation, expected: Observation, step: int) -> str:
    """State both losses of a step, counted from 0, and how far they are apart."""
    ours, theirs = observed.losses[step], expected.losses[step]
    whose, values = _differing(ours, theirs)
    return f"the {whose} of step {step + 1} {values} (relative {loss_difference(ours, theirs):.1e})"


def _changed_by_predict(names: list[str]) -> str:
    return (
        f"predict() changed {first_of(names, 2)}: statistics are updated in evaluation, where they must stay "
        "as they are"
    )


def _differing(observed: list[float | None], expected: list[float | None]) -> tuple[str, str]:
    """State the loss of a step that differs most: the name of its network, and both values."""
    pairs = list(zip(observed, expected, strict=False))
    column = max(range(len(pairs)), key=lambda index: loss_difference(*([one] for one in pairs[index])))
    ours, right = ("not finite" if value is None else f"{value:.12g}" for value in pairs[column])
    return f"{_NETWORKS[column]}'s loss" if len(pairs) > 1 else "loss", f"is {ours} instead of {right}"


def listed(differences: dict[str, float]) -> str:
    """List the first three differences and the number of the others, in words."""
    return first_of([f"{name} (relative {value:.1e})" for name, value in differences.items()])


def first_of(names: Sequence[str], most: int = 3) -> str:
    """List the first names and the number of the others, in words."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
