"""Which samples of a training are kept, and which can be recomputed."""

import collections
import contextlib
from pathlib import Path

import pytest

from harness.worker import protocol
from harness.worker.work_sampler import WorkSampler


class SavingSession:
    """Answers every request to save a state."""

    def __init__(self, *, complete=True):
        self.complete = complete
        self.saved = []

    def call(self, request, expected):
        assert isinstance(request, protocol.SaveState)
        assert expected is protocol.StateSaved
        Path(request.path).touch()
        self.saved.append(Path(request.path))
        return protocol.StateSaved(self.complete)


def block(steps, loss=1.0):
    return protocol.Trained(0.1, [[loss]] * steps)


@pytest.fixture
def session():
    return SavingSession()


@pytest.fixture
def sampler(session):
    with contextlib.closing(WorkSampler(session, kept=2)) as sampler:
        yield sampler


def test_a_training_that_was_never_saved_can_be_repeated_from_its_beginning(sampler):
    for steps in (1, 8, 20, 20):
        sampler.trained(block(steps))

    (first,) = sampler.candidates(needs_state=True)

    assert (first.step, first.path) == (0, None)
    assert len(first.losses) == 1 + 8 + 20


def test_each_saved_state_is_kept_with_the_same_probability_and_the_newest_always():
    kept = collections.Counter()
    trials, states, newest = 600, 6, 6
    for _ in range(trials):
        with contextlib.closing(WorkSampler(SavingSession(), kept=2)) as sampler:
            for step in range(states + 1):
                sampler.save(step)
                sampler.trained(block(5))
            kept.update(sample.step for sample in sampler.samples)

    assert kept[newest] == trials
    # A share of 1/3 each: 200 of 600, with a standard deviation of 11.5.
    assert all(130 < kept[step] < 270 for step in range(states)), kept


def test_files_of_samples_that_are_not_kept_are_deleted(sampler, session):
    for step in range(10):
        sampler.save(step)

    assert {path for path in session.saved if path.exists()} == {sample.path for sample in sampler.samples}


def test_weights_are_saved_after_the_last_block_of_a_sample(sampler, session):
    sampler.save(3)
    (sample,) = sampler.samples
    while not sample.is_whole:
        assert sample.after is None
        sampler.trained(block(5))

    assert session.saved == [sample.path, sample.after]
    sampler.trained(block(5))
    assert len(session.saved) == 2


def test_nothing_is_left_when_it_ends(session):
    with contextlib.closing(WorkSampler(session)) as sampler:
        sampler.save(3)

    assert not session.saved[0].parent.exists()


def test_a_sample_has_the_blocks_after_its_state(sampler):
    sampler.trained(block(4, loss=7.0))
    sampler.save(4)
    sampler.trained(block(1, loss=2.0))
    sampler.trained(block(9, loss=3.0))
    sampler.trained(block(9, loss=4.0))
    sampler.trained(block(9, loss=5.0))

    (sample,) = sampler.samples

    assert sample.is_whole
    assert sample.losses[:10] == [[2.0]] + [[3.0]] * 9
    assert [5.0] not in sample.losses


def test_samples_that_were_cut_off_come_after_whole_ones_and_the_beginning_last(sampler):
    sampler.trained(block(5))
    sampler.save(5)
    sampler.trained(block(5))
    sampler.trained(block(5))
    sampler.save(15)
    sampler.trained(block(1))

    assert [sample.step for sample in sampler.candidates(needs_state=True)] == [5, 15, 0]


def test_without_a_training_state_only_the_beginning_can_be_repeated():
    with contextlib.closing(WorkSampler(SavingSession(complete=False))) as sampler:
        for step in (1, 6):
            sampler.save(step)
            sampler.trained(block(5))
            sampler.trained(block(5))

        assert [sample.step for sample in sampler.candidates(needs_state=True)] == [0]
        assert len(sampler.candidates(needs_state=False)) == 3


def test_the_beginning_of_a_sample_has_its_state_and_no_weights_after_it(sampler):
    sampler.save(4)
    sampler.trained(block(9))
    sampler.trained(block(9))
    (sample,) = sampler.samples

    beginning = sample.beginning(5)

    assert (beginning.step, beginning.path, len(beginning.losses)) == (4, sample.path, 5)
    assert beginning.after is None
    assert sample.after is not None
    assert sample.beginning(100) is sample
