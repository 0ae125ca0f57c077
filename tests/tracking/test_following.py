"""A run in trackers: all of it arrives, and no failure of a tracker reaches the run."""

import threading
from pathlib import Path

import msgspec
import pytest
from support.records import EPOCHS, make_record, make_unfinished_record

from harness.core.runs.events import Finished, Phase, Scored, Started, Trained
from harness.tracking import following
from harness.tracking.following import BoundedTool, Follower
from harness.tracking.tool import send

FOLDER = Path("runs")
RUNNING = make_unfinished_record(make_record().id, status="running")


class Line:
    def __init__(self):
        self.told = []

    def __call__(self, event):
        self.told.append(event)


class Tool:
    """A tool in memory that fails at the calls named."""

    name, place = "tool", "nowhere"

    def __init__(self, *failing):
        self.failing, self.received = set(failing), []

    def _called(self, name, *values):
        if name in self.failing:
            raise ConnectionRefusedError(111, "Connection refused")
        self.received.append((name, *values))

    def connect(self):
        self._called("connect")

    def run(self, record, path):
        self._called("run", record.status, path)
        return self

    def scored(self, epochs):
        self._called("scored", *[epoch.epoch for epoch in epochs])

    def ended(self, record):
        self._called("ended", record.status)


EVENTS = [Started(RUNNING), Scored(EPOCHS[0]), Scored(EPOCHS[1]), Finished(make_record())]


def follow(tool, events=EVENTS, warnings=None):
    tracker = Follower(tool)
    tracker.begin(FOLDER, ([] if warnings is None else warnings).append)
    notify = tracker.follow(Line())
    for event in events:
        notify(event)
    return notify


def test_epochs_arrive_when_they_are_scored_and_results_at_the_end():
    tool = Tool()
    follow(tool)
    path = FOLDER / f"{RUNNING.id}.json"
    assert tool.received[:3] == [("connect",), ("run", "running", path), ("scored", 1)]
    assert tool.received[3:] == [("scored", 2), ("ended", "ok")]


def test_short_epochs_are_sent_together(monkeypatch):
    monkeypatch.setattr(following, "_INTERVAL_SECONDS", 60.0)
    tool = Tool()
    notify = follow(tool, [Started(RUNNING), *map(Scored, [*EPOCHS, *EPOCHS])])
    assert [call for call in tool.received if call[0] == "scored"] == [("scored", 1)]
    notify(Finished(make_record()))
    assert tool.received[-2:] == [("scored", 2, 1, 2), ("ended", "ok")]


def test_the_display_is_informed_first_and_of_everything():
    line = Line()
    events = [Phase("building"), EVENTS[0], Trained(1, 2, 1, 0.5, 0.1), *EVENTS[1:]]
    tracker = Follower(Tool("connect", "run"))
    tracker.begin(FOLDER, lambda _: None)
    notify = tracker.follow(line)
    for event in events:
        notify(event)
    assert line.told == events


@pytest.mark.parametrize("failing", ["connect", "run", "scored", "ended"])
def test_a_failing_tracker_costs_one_warning(failing):
    warnings = []
    follow(Tool(failing), warnings=warnings)
    (warning,) = warnings
    assert warning.startswith("tool at nowhere: Connection refused. ")
    assert warning.endswith(": harness export tool")


def test_a_tracker_rests_after_a_failure_and_then_gets_the_whole_run(monkeypatch):
    tool = Tool("scored")
    notify = follow(tool, EVENTS[:2])
    tool.failing.clear()
    notify(EVENTS[2])  # it rests
    assert tool.received[-1][0] == "run"
    monkeypatch.setattr(following.time, "monotonic", lambda: 1e9)
    notify(EVENTS[3])
    assert tool.received[-3:] == [
        ("run", "ok", FOLDER / f"{RUNNING.id}.json"),
        ("scored", 1, 2),
        ("ended", "ok"),
    ]


def test_a_run_that_never_started_is_shown_at_its_end():
    tool = Tool()
    follow(tool, [Finished(make_unfinished_record())])
    assert [call[0] for call in tool.received] == ["connect", "run", "scored", "ended"]


def test_a_call_without_an_answer_is_left_behind():
    warnings, forever = [], threading.Event()
    tracker = BoundedTool(Tool(), warnings.append, limit=0.05)
    assert tracker.call(forever.wait) is None
    forever.set()
    assert "no answer in 0 s" in warnings[0]
    assert tracker.call(lambda: 1) is None  # it rests


def test_a_run_without_an_end_is_sent_without_one():
    tool = Tool()
    assert send(tool, msgspec.structs.replace(make_record(), status="running"), FOLDER)
    assert [call[0] for call in tool.received] == ["run", "scored"]
