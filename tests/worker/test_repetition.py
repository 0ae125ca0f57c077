"""How much of a sample is repeated in time, and when its weights are not those that were reported."""

import types
from pathlib import Path

import numpy as np
import pytest

from harness.worker import protocol
from harness.worker.repetition import Recomputer, Repetition
from harness.worker.work_sampler import WorkSample


@pytest.fixture
def sample():
    """100 steps of 10 s each, which no repetition finishes while the test runs."""
    sample = WorkSample(7, Path("7.npz"))
    sample.add(protocol.Trained(1000.0, [[1.0]] * 100))
    return sample


def test_the_first_sample_is_repeated_in_part_if_all_of_it_takes_too_long(sample):
    by = Recomputer(None, "same program", seconds=0.0, fewest_steps=9)
    assert len(by.affordable(sample, made=0).losses) == 9


def test_the_part_is_as_long_as_time_allows(sample):
    by = Recomputer(None, "same program", seconds=500.0, fewest_steps=9)
    assert len(by.affordable(sample, made=0).losses) == pytest.approx(38, abs=2)


@pytest.mark.parametrize("fewest", [None, 9])
def test_other_samples_are_repeated_whole_or_not_at_all(sample, fewest):
    assert Recomputer(None, "same program", 500.0, fewest).affordable(sample, made=50) is None
    assert Recomputer(None, "same program", 1e9, fewest).affordable(sample, made=50) is sample


def test_without_a_least_number_of_steps_the_first_sample_is_repeated_whole(sample):
    assert Recomputer(None, "same program", seconds=0.0).affordable(sample, made=0) is sample


def test_a_sample_of_few_steps_is_followed_by_a_part_of_another(sample):
    by = Recomputer(None, "same program", seconds=0.0, fewest_steps=9)
    assert len(by.affordable(sample, made=2).losses) == 7


#: Enough for rounding to become as large as the weights.
STEPS = 60


class Program:
    """A session whose steps are a function of the weights; their losses tell nothing."""

    def __init__(self, step):
        self._step = step
        self.weights = np.zeros(0)

    def call(self, request, _expected):
        if isinstance(request, protocol.SaveState):
            return self.save(Path(request.path))
        self.weights = np.load(request.path)["weights/w"]
        for _ in range(sum(request.calls)):
            self.weights = self._step(self.weights)
        return protocol.Replayed([[1.0]] * sum(request.calls))

    def save(self, path):
        np.savez(path, allow_pickle=False, **{"weights/w": self.weights})


def chaotic(weights):
    """The logistic map: rounding doubles from step to step."""
    return 4 * weights * (1 - weights)


@pytest.mark.parametrize(
    ("step", "moves", "differs"),
    [
        (lambda weights: 0.9 * weights, True, False),
        (lambda weights: 0.9 * weights, False, True),  # the timed steps were left out
        (chaotic, False, False),  # equal replays are equal in every bit, and still prove nothing
    ],
)
def test_weights_elsewhere_count_if_rounding_does_not_lead_there(tmp_path, step, moves, differs):
    timed, second = Program(step), Program(step)
    timed.weights = np.random.default_rng(0).random(50).astype(np.float32)
    sample = WorkSample(7, tmp_path / "7.npz")
    timed.save(sample.path)
    if moves:
        timed.call(protocol.Replay(7, [STEPS], str(sample.path), complete=True), None)
    sample.after = tmp_path / "7.after.npz"
    timed.save(sample.after)
    sample.add(protocol.Trained(1.0, [[1.0]] * STEPS))
    work = types.SimpleNamespace(
        sampler=types.SimpleNamespace(folder=tmp_path),
        order=types.SimpleNamespace(run_length=lambda _step: 100),
        plan=types.SimpleNamespace(precision="float32", task=types.SimpleNamespace(state=dict)),
    )
    repeated = Repetition(sample, work, Recomputer(second, "same program", seconds=60.0))
    assert repeated.is_suspicious == (not moves)
    assert (repeated.is_suspicious and repeated.differs_again()) == differs
