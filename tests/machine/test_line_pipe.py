"""Lines of another process: complete, in time, and no longer than allowed."""

import os
import threading
import time

import pytest

from harness.machine import pipes
from harness.machine.pipes import LineOverdue, LinePipe, LineTooLong, PipeClosed


@pytest.fixture
def pipe():
    """The two ends of a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:  # a test closed it
            continue


def alive():
    return False


def in_pieces(descriptor, stop):
    """Write without ever ending the line."""
    while not stop.is_set():
        os.write(descriptor, b"x" * 100)
        time.sleep(0.01)


def test_lines_come_whole_and_in_their_order(pipe):
    reading, writing = pipe
    lines = LinePipe(reading, 1000)
    os.write(writing, b"first\nsecond\nthi")
    due = time.monotonic() + 20
    assert [lines.read(due, alive), lines.read(due, alive)] == [b"first", b"second"]
    os.write(writing, b"rd\n")
    assert lines.read(due, alive) == b"third"


@pytest.mark.parametrize(
    ("longest", "seconds", "error"),
    [(1 << 30, 0.2, LineOverdue), (1000, 20.0, LineTooLong)],
    ids=["deadline", "length"],
)
def test_a_line_without_end_is_refused_at_its_deadline_or_length(pipe, longest, seconds, error):
    reading, writing = pipe
    stop = threading.Event()
    writer = threading.Thread(target=in_pieces, args=(writing, stop))
    writer.start()
    try:
        with pytest.raises(error):
            LinePipe(reading, longest).read(time.monotonic() + seconds, alive)
    finally:
        stop.set()
        writer.join()


def test_no_byte_is_searched_twice(pipe, monkeypatch):
    """Of a long line, which once took seconds."""
    reading, writing = pipe
    searched = []

    class Counted(bytearray):
        def find(self, sought, start=0):
            searched.append(len(self) - start)
            return super().find(sought, start)

    lines = LinePipe(reading, 1 << 20)
    monkeypatch.setattr(lines, "_pending", Counted())
    monkeypatch.setattr(pipes, "_CHUNK_BYTES", 100)
    os.write(writing, b"x" * 10_000 + b"\n")
    assert len(lines.read(time.monotonic() + 20, alive)) == 10_000
    assert sum(searched) == 10_001


def test_a_closed_pipe_and_a_process_that_ended_are_reported(pipe):
    reading, writing = pipe
    with pytest.raises(PipeClosed):
        LinePipe(reading, 1000).read(time.monotonic() + 20, lambda: True)
    os.close(writing)
    with pytest.raises(PipeClosed):
        LinePipe(reading, 1000).read(time.monotonic() + 20, alive)
