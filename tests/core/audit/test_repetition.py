"""When the end of a segment is not what was reported."""

import types
from pathlib import Path

import numpy as np
import pytest

from harness.core.audit.repetition import repeated
from harness.core.audit.segments import Segment
from harness.core.audit.words import verified_work
from harness.core.worker import protocol

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


WORK = types.SimpleNamespace(
    order=types.SimpleNamespace(run_length=lambda _step: 100),
    plan=types.SimpleNamespace(precision="float32", task=types.SimpleNamespace(state=dict)),
)


def verification(whole, timed, losses, by):
    """The result of repeating a segment that has ended with these losses."""
    whole.end = whole.start.parent / "67.npz"
    timed.save(whole.end)
    whole.add(protocol.Trained(1.0, losses))
    return repeated(WORK, whole, by, whole.start.parent)


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

    assert (found.outcome, found.span.whole) == (outcome, True)
    assert (found.span.weights_apart is None) == (step is chaotic and loss == ROUNDED)


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

    found = verification(whole, timed, losses, by=Telling(chaotic))

    assert found.outcome == "verified"
    assert SEPARATED < found.span.compared_steps < STEPS
    assert f"({found.span.compared_steps} of {STEPS})" in verified_work(found)
