"""How much of a segment is repeated in time, and when its end is not what was reported."""

import types
from pathlib import Path

import numpy as np
import pytest

from harness.core.audit.repetition import Repeater, repeated
from harness.core.audit.segments import Segment
from harness.core.worker import protocol


def segment(step=7):
    """100 steps of 10 s each, which no repetition finishes while the test runs."""
    made = Segment(step, Path(f"{step}.npz"))
    made.end = Path("end.npz")
    made.add(protocol.Trained(1000.0, [[1.0]] * 100))
    return made


def steps(seconds, whole, segments=3):
    by = Repeater(None, "same program", seconds, whole)
    return [len(part.losses) for part in by.parts([segment(step) for step in range(segments)])]


@pytest.mark.parametrize(
    ("seconds", "whole", "expected"),
    [
        (0.0, 0, [3]),  # a few steps in any case
        (500.0, 0, [38, 38, 38]),  # as long as time allows, of which none passes here
        (0.0, 1, [100]),
        (0.0, 2, [100, 100]),
        (1e9, 0, [100, 100, 100]),
    ],
)
def test_segments_are_repeated_as_far_as_time_allows(seconds, whole, expected):
    assert steps(seconds, whole) == pytest.approx(expected, abs=2)


#: Enough for rounding to become as large as the weights.
STEPS = 60


class Program:
    """A session whose steps are a function of the weights; their losses say nothing."""

    def __init__(self, step):
        self._step = step
        self.weights = np.zeros(0)

    def call(self, request, _expected):
        if isinstance(request, protocol.SaveState):
            return self.save(Path(request.path))
        if request.path is not None:
            self.weights = np.load(request.path)["weights/w"]
        for _ in range(sum(request.calls)):
            self.weights = self._step(self.weights)
        return protocol.Trained(0.0, [[1.0]] * sum(request.calls))

    def save(self, path):
        np.savez(path, allow_pickle=False, **{"weights/w": self.weights})


def moving(weights):
    return weights + np.float32(0.01)


def chaotic(weights):
    """The logistic map: rounding doubles from step to step."""
    return 4 * weights * (1 - weights)


@pytest.mark.parametrize(
    ("step", "made", "outcome"),
    [
        (moving, STEPS, "verified"),
        (moving, 0, "differs"),  # the timed steps were left out
        (moving, STEPS - 1, "differs"),
        (chaotic, 0, "verified"),  # rounding leads as far, so only the losses count
    ],
)
def test_weights_elsewhere_count_unless_rounding_leads_there(tmp_path, step, made, outcome):
    timed = Program(step)
    timed.weights = np.random.default_rng(0).random(50).astype(np.float32)
    whole = Segment(7, tmp_path / "7.npz")
    timed.save(whole.start)
    timed.call(protocol.Replay(7, [made], str(whole.start), complete=True), None)
    whole.end = tmp_path / "67.npz"
    timed.save(whole.end)
    whole.add(protocol.Trained(1.0, [[1.0]] * STEPS))
    segments = types.SimpleNamespace(folder=tmp_path, count=1, draw=lambda **_: [whole])
    work = types.SimpleNamespace(
        order=types.SimpleNamespace(run_length=lambda _step: 100),
        plan=types.SimpleNamespace(precision="float32", task=types.SimpleNamespace(state=dict)),
        needs_state=True,
    )

    found = repeated(work, segments, Repeater(Program(step), "same program", 60.0, 1))

    (span,) = found.spans
    assert (found.outcome, found.draws, span.whole) == (outcome, 1, True)
    assert (span.weights_apart is None) == (step is chaotic)
    assert [found.chance(share) for share in (0.1, 1.0)] == pytest.approx([0.1, 1.0])
