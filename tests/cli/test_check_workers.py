"""Two workers share the tasks of a check; clocks are tested when nothing else works."""

import threading
from typing import ClassVar

import pytest

from harness.cli import check_workers
from harness.cli.check_workers import can_work_side_by_side, side_by_side
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.testing.certify import Selection

CONFIGURATION = Configuration("torch", "eager", "cpu", 2)
NAMES = ("mlp", "cnn", "rnn", "forecast")


class FakeExaminer:
    """Records when it is paused, interrupted and closed."""

    made: ClassVar = []

    def __init__(self, configuration, *, beside_another):
        assert beside_another
        self.paused = self.closed = False
        self.interrupted = threading.Event()
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def pause(self):
        self.paused = True

    def interrupt(self):
        self.interrupted.set()


class FakeOutcome:
    """A check in which two must be at work at the same time to go on."""

    meeting = threading.Barrier(2, timeout=10)
    begun: ClassVar = []

    def __init__(self, examiner, definition, _selection):
        self.examiner, self.name = examiner, definition.name
        self.begun.append(self.name)
        self.meeting.wait()

    def test_clock(self):
        assert all(one.paused for one in FakeExaminer.made)
        self.examiner.paused = False

    def pause(self):
        self.examiner.pause()


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    monkeypatch.setattr(FakeExaminer, "made", [])
    monkeypatch.setattr(FakeOutcome, "begun", [])
    monkeypatch.setattr(check_workers, "Examiner", FakeExaminer)
    monkeypatch.setattr(check_workers, "CheckOutcome", FakeOutcome)


def checked(*names):
    return side_by_side(CONFIGURATION, [registry.task(name) for name in names or NAMES], Selection())


def test_tasks_are_checked_two_at_a_time_and_clocks_alone():
    assert [outcome.name for outcome in checked()] == list(NAMES)
    first, second = FakeExaminer.made
    assert first.closed
    assert second.closed


def test_the_largest_networks_are_begun_first():
    list(checked())
    assert set(FakeOutcome.begun[:2]) == {"cnn", "rnn"}


def test_an_interrupt_ends_the_other_worker_and_begins_nothing_more(monkeypatch):
    class Interrupted(FakeOutcome):
        def __init__(self, examiner, definition, selection):
            self.begun.append(definition.name)
            if definition.name == "cnn":
                raise KeyboardInterrupt
            assert examiner.interrupted.wait(10)

    monkeypatch.setattr(check_workers, "CheckOutcome", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(checked("cnn", "mlp", "rnn", "forecast"))
    assert len(FakeOutcome.begun) <= 3
    assert all(one.closed for one in FakeExaminer.made)


@pytest.mark.parametrize(
    ("device", "cpus", "gpu", "can"),
    [
        ("cpu", 2, "nvidia0", True),
        ("cpu", 1, "", False),
        ("cuda", 8, "nvidia0", False),
        ("auto", 8, "nvidia0", False),
        ("auto", 8, "nvidiactl", True),
    ],
)
def test_two_workers_need_a_cpu_each_and_share_no_gpu(monkeypatch, tmp_path, device, cpus, gpu, can):
    (tmp_path / (gpu or "tty")).touch()
    monkeypatch.setattr(check_workers, "_DEVICES", tmp_path)
    monkeypatch.setattr(check_workers, "usable_cpus", lambda: cpus)
    assert can_work_side_by_side(Configuration("torch", "eager", device, 1)) == can
