"""How much of a sample is repeated in the time there is."""

from pathlib import Path

import pytest

from harness.worker import protocol
from harness.worker.repetition import Recomputer
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
