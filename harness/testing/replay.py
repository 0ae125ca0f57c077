"""Whether timed work was the work that was asked for: its losses are recomputed and compared.

A second program takes the weights and the training state that the timed one had before a block, and makes the
steps of this block in short calls. What it loses at each step must be what the timed program reported.
"""

import math
import statistics
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from harness.spec.backend import Precision
from harness.testing.independent_work import Deviation, Independent
from harness.testing.losses import Losses

Outcome = Literal["verified", "differs", "not verified"]
#: Why work could not be verified: the backend cannot hand out its training state; the second program failed;
#: rounding separated the two programs before enough steps had been compared; it differed from the second
#: program once and not again; the training was too short for a sample.
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
#: The least difference of a score that is one, absolute below 1 and relative above.
_SCORE_TOLERANCE = 0.01
#: Losses that are so near to each other are those of nearly equal weights; rounding that separates trainings
#: grows for more steps than so many.
_NEAR, _SOON = 0.01, 4
#: Fewer steps than this prove nothing if rounding has separated the programs.
_FEWEST_STEPS = 8


class Span(msgspec.Struct, frozen=True):
    """Consecutive steps of a training, counted from 1, that were recomputed in so many calls."""

    first_step: int
    steps: int
    calls: int
    compared_steps: int
    """Those before rounding had separated the programs."""
    worst: float
    """The largest relative deviation of a loss among the compared steps."""
    weights_apart: float | None = None
    """How far the weights after them are from the recomputed ones, as a share of their way; see
    :mod:`harness.testing.displacement`. None if it cannot be said."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was recomputed of a training, and whether it was the same."""

    outcome: Outcome
    gap: Gap | None = None
    detail: str = ""
    """With ``program failed``: the error."""
    verifier: Verifier | None = None
    spans: list[Span] = []
    tolerance: float = 0.0
    """The relative deviation from which on a loss that should be equal is a fault."""
    deviation: Deviation | None = None
    """The first loss that is at fault; None if the weights after the last of ``spans`` are."""
    independent: Independent | None = None
    """The comparison with the harness's own program, which is made for backends of others."""
    seconds: float = 0.0
    """What all of it took, saving states not counted."""


class Comparison(NamedTuple):
    """How far recomputed losses follow those that were reported."""

    compared_steps: int
    worst: float
    fault_at: int | None
    """The index of the first step that no rounding explains."""
    farthest: float = 0.0
    """The largest relative deviation of all steps up to a fault, those after the compared ones included."""

    @property
    def explains_little(self) -> bool:
        """Whether rounding, as far as losses show it, cannot have led the weights far apart."""
        return self.compared_steps <= _SOON or self.farthest <= _NEAR


def compare_replay(reported: Losses, recomputed: Losses, precision: Precision) -> Comparison:
    """Compare the losses of the same steps, up to where rounding has separated the trainings.

    Rounding differences grow from step to step, faster at high learning rates, so a fixed tolerance would be
    too wide for the first step and too narrow for the last. A step is at fault if its deviation exceeds what
    rounding adds in one step, while those of all steps before were rounding.
    """
    tolerance, scale = _TOLERANCES[precision], _scale(reported)
    deviations = [
        max(map(lambda a, b: _deviation(a, b, scale), ours, theirs))
        for ours, theirs in zip(reported, recomputed, strict=True)
    ]
    first = next((i for i, deviation in enumerate(deviations) if deviation > tolerance.rounding), None)
    worst = max(deviations[:first], default=0.0)
    if first is None:
        return Comparison(len(reported), worst, None, worst)
    at_once = first == 0 or deviations[first] > tolerance.fault
    return Comparison(first, worst, first if at_once else None, max(deviations))


def _scale(losses: Losses) -> float:
    """The usual size of these losses, to which deviations are relative; small ones count as larger."""
    sizes = [abs(value) for row in losses for value in row if value is not None]
    return max(_LEAST_LOSS, statistics.fmean(sizes or [0.0]))


def compare_losses_at(ours: Losses, theirs: Losses, precision: Precision) -> int | None:
    """The first of a few steps, each at the same weights in both, whose losses no rounding explains."""
    scale = _scale(theirs)
    for index, (row, other) in enumerate(zip(ours, theirs, strict=True)):
        if max(map(lambda a, b: _deviation(a, b, scale), row, other)) > _TOLERANCES[precision].fault:
            return index
    return None


def different_score(
    reported: Mapping[str, float | None], recomputed: Mapping[str, float | None], precision: Precision
) -> str | None:
    """The first score that no rounding explains. Those of single classes may hang on a few samples."""
    tolerance = max(_SCORE_TOLERANCE, _TOLERANCES[precision].fault)
    for name in ("accuracy", "loss"):
        ours, score = reported.get(name), recomputed.get(name)
        if ours is None or score is None:
            continue
        if abs(ours - score) > tolerance * max(1.0, abs(ours), abs(score)):
            return name
    return None


def deviation_of(index: int, reported: Losses, recomputed: Losses, first: int = 0) -> Deviation:
    """The deviation at an index of losses that begin with step ``first``, counted from 0."""
    ours, theirs = reported[index], recomputed[index]
    deviations = [_deviation(a, b, _LEAST_LOSS) for a, b in zip(ours, theirs, strict=True)]
    column = deviations.index(max(deviations))
    return Deviation(first + index + 1, ours[column], theirs[column])


def deviation_at(span: Span, reported: Losses, recomputed: Losses) -> Deviation:
    """The deviation at the first step after those that could be compared."""
    return deviation_of(span.compared_steps, reported, recomputed, span.first_step - 1)


def outcome_of(spans: list[Span], verifier: Verifier, precision: Precision) -> Verification:
    """The outcome of replays without a fault."""
    compared = sum(span.compared_steps for span in spans)
    enough = compared >= min(sum(span.steps for span in spans), _FEWEST_STEPS)
    return Verification(
        outcome="verified" if enough else "not verified",
        gap=None if enough else "rounding",
        verifier=verifier,
        spans=spans,
        tolerance=_TOLERANCES[precision].fault,
    )


def _deviation(a: float | None, b: float | None, scale: float) -> float:
    if a is None or b is None:  # a loss that is not finite
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), scale)
