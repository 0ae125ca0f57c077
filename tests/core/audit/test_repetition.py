"""How much of a segment is repeated in time, and when its end is not what was reported."""

import types
from pathlib import Path

import numpy as np
import pytest

from harness.core.audit.repetition import Repeater, repeat, repeated
from harness.core.audit.segments import Segment
from harness.core.audit.words import verified_work
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
        return protocol.Trained(0.0, [self.row() for _ in range(sum(request.calls))])

    def row(self):
        self.weights = self._step(self.weights)
        return [1.0]

    def save(self, path):
        np.savez(path, allow_pickle=False, **{"weights/w": self.weights})


class Telling(Program):
    """A loss for each weight."""

    def row(self):
        losses = (1 + self.weights).tolist()
        self.weights = self._step(self.weights)
        return losses


def moving(weights):
    return weights + np.float32(0.01)


def chaotic(weights):
    """The logistic map: rounding doubles from step to step."""
    return 4 * weights * (1 - weights)


def begun(timed, folder):
    """A segment before its first step."""
    timed.weights = np.random.default_rng(0).random(50).astype(np.float32)
    whole = Segment(7, folder / "7.npz")
    timed.save(whole.start)
    return whole


def work(*, is_third_party=True):
    return types.SimpleNamespace(
        order=types.SimpleNamespace(run_length=lambda _step: 100),
        plan=types.SimpleNamespace(precision="float32", task=types.SimpleNamespace(state=dict)),
        needs_state=True,
        is_third_party=is_third_party,
    )


def verification(whole, timed, losses, by, *, is_third_party=True):
    """The result of repeating a segment that has ended with these losses."""
    folder = whole.start.parent
    whole.end = folder / "67.npz"
    timed.save(whole.end)
    whole.add(protocol.Trained(1.0, losses))
    segments = types.SimpleNamespace(folder=folder, count=1, draw=lambda **_: [whole])
    made = work(is_third_party=is_third_party)
    return repeated(made, segments, Repeater(by, "same program", 60.0, 1))


#: A loss that rounding has changed.
ROUNDED = 1.0 + 2**-22


@pytest.mark.parametrize(
    ("step", "made", "loss", "outcome"),
    [
        (moving, STEPS, ROUNDED, "verified"),
        (moving, 0, ROUNDED, "differs"),  # the timed steps were left out
        (moving, STEPS - 1, ROUNDED, "differs"),
        (chaotic, 0, ROUNDED, "verified"),  # rounding leads as far, so only the losses count
        (chaotic, 0, 1.0, "differs"),  # no loss was rounded
    ],
)
def test_weights_elsewhere_count_unless_rounding_leads_there(tmp_path, step, made, loss, outcome):
    whole = begun(timed := Program(step), tmp_path)
    timed.call(protocol.Replay(7, [made], None, complete=True), None)

    found = verification(whole, timed, [[loss]] * STEPS, by=Program(step))

    (span,) = found.spans
    assert (found.outcome, found.draws, span.whole) == (outcome, 1, True)
    assert (span.weights_apart is None) == (step is chaotic and loss == ROUNDED)
    assert [found.chance(share) for share in (0.1, 1.0)] == pytest.approx([0.1, 1.0])


#: Steps after which rounding has separated two chaotic trainings.
SEPARATED = 30


@pytest.mark.parametrize("steps", [0, 1, SEPARATED, STEPS - 1])
def test_rounding_excuses_nothing_where_a_program_has_repeated_itself_exactly(tmp_path, steps):
    """An honest beginning, of whatever length, hides nothing that follows."""
    whole = begun(timed := Telling(chaotic), tmp_path)
    losses = timed.call(protocol.Replay(7, [steps], None, complete=True), None).losses

    found = verification(whole, timed, losses + [[1.5] * 50] * (STEPS - steps), by=Telling(chaotic))

    assert (found.outcome, found.deviation.step) == ("differs", 7 + steps + 1)


def test_a_step_that_is_rounded_differently_late_accuses_nobody(tmp_path):
    whole = begun(timed := Telling(chaotic), tmp_path)
    losses = timed.call(protocol.Replay(7, [SEPARATED], None, complete=True), None).losses
    timed.weights = np.nextafter(timed.weights, np.float32(2))
    losses += timed.call(protocol.Replay(7, [STEPS - SEPARATED], None, complete=True), None).losses

    found = verification(whole, timed, losses, by=Telling(chaotic), is_third_party=False)

    (span,) = found.spans
    assert (found.outcome, found.draws) == ("verified", 0)
    assert SEPARATED < span.compared_steps < STEPS


@pytest.mark.parametrize(("is_third_party", "outcome"), [(True, "not verified"), (False, "verified")])
def test_a_segment_that_cannot_be_compared_to_its_end_verifies_no_third_party(
    tmp_path, is_third_party, outcome
):
    """A program may add roundings, train honestly until they have grown, and then stop."""
    whole = begun(timed := Telling(chaotic), tmp_path)
    timed.weights = np.nextafter(timed.weights, np.float32(2))
    losses = timed.call(protocol.Replay(7, [SEPARATED], None, complete=True), None).losses

    found = verification(
        whole,
        timed,
        losses + [[1.5] * 50] * (STEPS - SEPARATED),
        by=Telling(chaotic),
        is_third_party=is_third_party,
    )

    (span,) = found.spans
    assert (found.outcome, found.draws, span.steps) == (outcome, 0, STEPS)
    assert 0 < span.compared_steps < SEPARATED
    assert f"({span.compared_steps} of {STEPS})" in verified_work(found)


def test_the_examined_steps_have_states_around_them_and_a_drawn_place(tmp_path):
    whole = begun(timed := Telling(moving), tmp_path)
    whole.add(timed.call(protocol.Replay(7, [STEPS], None, complete=True), None))
    places = set()
    for _ in range(20):
        examined = Repeater(Telling(moving), "same program", 60.0, 1, 4)
        repeat(work(), whole, examined, tmp_path)
        ((step, losses, states),) = examined.examined
        places.add(step)
        assert losses == whole.losses[step - 7 :][:4]
        assert [(1 + np.load(path)["weights/w"]).tolist() for path in states[:4]] == losses
        assert len(states) == 5
    assert len(places) > 5
    assert 7 <= min(places) < max(places) <= 7 + STEPS - 4
