"""Waits for a CPU are unknown, not 0, where the kernel does not report them."""

import os
import sys

import pytest

from harness.machine import main_threads
from harness.machine.main_threads import MainThreads


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone reports them")
@pytest.mark.parametrize(("schedule", "known"), [("9 0 2", True), ("0 0 0", False), ("", False)])
def test_a_schedule_of_zeros_is_none(tmp_path, monkeypatch, schedule, known):
    file = tmp_path / "schedstat"
    file.write_text(schedule)
    monkeypatch.setattr(main_threads, "_OWN_SCHEDULE", file)
    waits = MainThreads(os.getpid()).since()
    assert (waits is not None) == known
    assert waits is None or waits.own_seconds == 0


def test_of_a_process_that_has_ended_nothing_is_known():
    assert MainThreads(2**30).since() is None
