"""At which pace states are read, which segments are kept, and which are repeated."""

import collections
import contextlib
from pathlib import Path

import pytest

from harness.core.audit.segments import Segment, Segments
from harness.core.worker import protocol


class States:
    """Writes states, each in the same time."""

    def __init__(self, *, complete=True, seconds=0.0):
        self.complete, self.seconds = complete, seconds
        self.saved = []

    def save(self, path):
        Path(path).touch()
        self.saved.append(Path(path))
        return self.complete, self.seconds


def block(steps, loss=1.0, seconds=0.1):
    return protocol.Trained(seconds, [[loss]] * steps)


@contextlib.contextmanager
def training(calls, states=None):
    """Segments of a training of these calls, whose state is read at the usual pace and at the end."""
    with contextlib.closing(Segments((states or States()).save)) as segments:
        for call in calls:
            segments.add(call)
            if segments.is_due:
                segments.read()
        segments.read_last()
        yield segments


@pytest.mark.parametrize(("seconds", "readings"), [(0.0, 50), (0.02, 5), (0.2, 4)])
def test_states_are_read_five_times_a_second_and_within_a_hundredth_of_the_time(seconds, readings):
    states = States(seconds=seconds)
    with training([block(1), *[block(5, seconds=0.2)] * 50], states) as segments:
        assert len(states.saved) == pytest.approx(readings, abs=2)
        assert segments.count == len(states.saved) - 1


def test_a_short_training_has_several_segments():
    with training([block(1, seconds=0.001)] * 100) as segments:
        assert segments.count > 10


def test_a_segment_has_the_calls_between_two_readings():
    calls = [block(4), *[block(count, loss=float(count), seconds=0.004) for count in (1, 9, 5)]]
    with training(calls) as segments:
        segment = segments.to_repeat(needs_state=True)
        assert segment.step == 4
        assert segment.losses == [[1.0]] + [[9.0]] * 9 + [[5.0]] * 5
        assert (segment.start.name, segment.end.name) == ("4.npz", "19.npz")


def test_any_step_is_as_likely_to_be_repeated_as_any_other():
    drawn = collections.Counter()
    trials, lengths = 200, [5, 10, 20, 5, 40]
    for _ in range(trials):
        calls = [block(1), *[block(steps, seconds=0.2) for steps in lengths]]
        with training(calls) as segments:
            segment = segments.to_repeat(needs_state=True)
            drawn[len(segment.losses), segment.step] += 1

    for (steps, _), count in drawn.items():
        expected = trials * steps / sum(lengths)
        assert abs(count - expected) < 5 * expected**0.5, drawn


def test_files_that_no_segment_needs_are_deleted():
    states = States()
    with training([block(1), *[block(5, seconds=0.2)] * 40], states) as segments:
        segment = segments.to_repeat(needs_state=True)
        kept = {segment.start, segment.end, segments.last_state}
        assert {path for path in states.saved if path.exists()} == kept
        folder = segments.folder
    assert not folder.exists()


def test_the_last_state_is_read_once():
    states = States()
    with training([block(1), block(5, seconds=0.2)], states) as segments:
        segments.read_last()
        assert [path.name for path in states.saved] == ["1.npz", "6.npz"]
        assert segments.last_state.name == "6.npz"


@pytest.mark.parametrize("needs_state", [True, False])
def test_without_a_training_state_only_the_beginning_can_be_repeated(needs_state):
    calls = [block(1), *[block(5, seconds=0.2)] * 2]
    with training(calls, States(complete=False)) as segments:
        segment = segments.to_repeat(needs_state=needs_state)
        assert (segment is segments.first) == needs_state


def test_the_beginning_has_a_single_step_and_two_longer_calls():
    with training([block(1), block(8), block(20), block(20)], States(complete=False)) as segments:
        first = segments.to_repeat(needs_state=True)
        assert (first.step, first.start, len(first.losses)) == (0, None, 1 + 8 + 20)
        assert len(segments.first_losses) == 9


def test_a_part_of_a_segment_has_its_state_and_no_weights_after_it():
    with training([block(1), block(9, seconds=0.2)]) as segments:
        segment = segments.to_repeat(needs_state=True)
        part = segment.beginning(5)
        assert (part.step, part.start, len(part.losses), part.end) == (1, segment.start, 5, None)
        assert part.seconds == pytest.approx(0.2 * 5 / 9)
        assert segment.beginning(100) is segment


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, 3), (500.0, 38), (1e9, 100)])
def test_as_many_steps_are_repeated_as_the_time_allows_but_a_few_in_any_case(seconds, steps):
    made = Segment(7, Path("7.npz"))
    made.add(protocol.Trained(1000.0, [[1.0]] * 100))
    assert len(made.within(seconds).losses) == steps
