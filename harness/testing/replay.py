"""Whether timed work was the work that was asked for: its losses are recomputed and compared.

A second program takes the weights and the training state that the timed one had before a block, and makes the
steps of this block in short calls. What it loses at each step must be what the timed program reported.
"""

import math
import statistics
from typing import Literal, NamedTuple

import msgspec

from harness.spec.backend import Precision
from harness.testing.observation import Losses

Outcome = Literal["verified", "differs", "not verified"]
#: Why work could not be verified: the backend cannot hand out its training state; the second program failed;
#: rounding separated the two programs before enough steps had been compared; two second programs differ from
#: each other; the training was too short for a sample.
Gap = Literal["no training state", "program failed", "rounding", "not repeatable", "too short"]
#: Who recomputed: a program in a process of its own, a second one in the same process, or the timed one.
Verifier = Literal["other process", "second program", "same program"]


class _Tolerance(NamedTuple):
    """Relative deviations of a loss: what rounding causes within a step, and what it never causes so soon."""

    rounding: float
    fault: float


#: Rounding makes two trainings part slowly, over many steps: a step's deviation is at most some times that of
#: the steps before. A fault goes from the first to the second of these within one step.
_TOLERANCES: dict[Precision, _Tolerance] = {
    "float64": _Tolerance(1e-9, 1e-6),
    "float32": _Tolerance(1e-5, 1e-3),
    "bfloat16": _Tolerance(0.02, 0.1),
}
#: Losses below this are compared as if they were as large: the rounding of logits does not shrink with them.
_LEAST_LOSS = 0.05
#: Fewer steps than this prove nothing if rounding has separated the programs.
_FEWEST_STEPS = 8


class Span(msgspec.Struct, frozen=True):
    """Consecutive steps of a training, counted from 1, that were recomputed in so many calls."""

    first_step: int
    steps: int
    calls: int


class Deviation(msgspec.Struct, frozen=True):
    """The first step whose loss is not what was reported; of two losses, the one that deviates more."""

    step: int
    reported: float | None
    recomputed: float | None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was recomputed of a training, and whether it was the same.

    ``worst`` is the largest relative deviation of a loss among the steps that were compared, ``tolerance``
    the one from which on it is a fault. ``seconds`` is what all of it took.
    """

    outcome: Outcome
    gap: Gap | None = None
    span: Span | None = None
    compared_steps: int = 0
    """Those of the span before rounding separated the programs."""
    verifier: Verifier | None = None
    worst: float = 0.0
    tolerance: float = 0.0
    deviation: Deviation | None = None
    detail: str = ""
    """With ``program failed``: the error."""
    seconds: float = 0.0


class Comparison(NamedTuple):
    """How far the recomputed losses follow the reported ones."""

    compared_steps: int
    worst: float
    fault_at: int | None
    """The index of the first step that no rounding explains."""


def compare_replay(reported: Losses, recomputed: Losses, precision: Precision) -> Comparison:
    """Compare the losses of the same steps, up to where rounding has separated the trainings.

    Rounding differences grow from step to step, faster at high learning rates, so a fixed tolerance would be
    too wide for the first step and too narrow for the last. A step is at fault if its deviation exceeds what
    rounding adds in one step, while those of all steps before were rounding.
    """
    tolerance = _TOLERANCES[precision]
    magnitudes = [abs(value) for row in reported for value in row if value is not None]
    scale = max(_LEAST_LOSS, statistics.fmean(magnitudes or [0.0]))
    worst = 0.0
    for index, (ours, theirs) in enumerate(zip(reported, recomputed, strict=True)):
        deviation = max(map(lambda a, b: _deviation(a, b, scale), ours, theirs))
        if deviation > tolerance.fault or (index == 0 and deviation > tolerance.rounding):
            return Comparison(index, worst, index)
        if deviation > tolerance.rounding:
            return Comparison(index, worst, None)
        worst = max(worst, deviation)
    return Comparison(len(reported), worst, None)


def verification(
    span: Span, reported: Losses, recomputed: Losses, precision: Precision, verifier: Verifier
) -> Verification:
    """The outcome of a replay of these steps."""
    found = compare_replay(reported, recomputed, precision)
    deviation = None
    if found.fault_at is not None:
        column = _worst_column(reported[found.fault_at], recomputed[found.fault_at])
        deviation = Deviation(
            span.first_step + found.fault_at,
            reported[found.fault_at][column],
            recomputed[found.fault_at][column],
        )
    enough = found.compared_steps >= min(span.steps, _FEWEST_STEPS)
    outcome: Outcome = "differs" if deviation else "verified" if enough else "not verified"
    return Verification(
        outcome=outcome,
        gap="rounding" if outcome == "not verified" else None,
        span=span,
        compared_steps=found.compared_steps,
        verifier=verifier,
        worst=found.worst,
        tolerance=_TOLERANCES[precision].fault,
        deviation=deviation,
    )


def _deviation(a: float | None, b: float | None, scale: float) -> float:
    if a is None or b is None:  # a loss that is not finite
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), scale)


def _worst_column(ours: list[float | None], theirs: list[float | None]) -> int:
    deviations = [_deviation(a, b, _LEAST_LOSS) for a, b in zip(ours, theirs, strict=True)]
    return deviations.index(max(deviations))
