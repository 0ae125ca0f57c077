"""What another process writes: lines that are complete, in time and bounded; and a log of bounded size."""

import os
import subprocess
import threading
import time

import pytest

from harness.core.machine import pipes
from harness.core.machine.pipes import LineOverdue, LinePipe, LineTooLong, OutputLog, PipeClosed


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


# What a process prints is kept within bounds: the beginning and the end.


@pytest.fixture
def log():
    log = OutputLog()
    yield log
    log.close()


def print_into(log, program):
    subprocess.run(["/bin/sh", "-c", program], stdout=log.file, stderr=log.file, check=True)


def size(log):
    return os.fstat(log.file.fileno()).st_size


def test_the_last_lines_of_little_output(log):
    print_into(log, "for i in $(seq 30); do echo line $i; done; echo bad >&2")
    log.trim()
    assert log.last_lines() == [*(f"line {number}" for number in range(12, 31)), "bad"]


def test_much_output_keeps_its_beginning_and_its_end(log):
    for part in range(3):
        print_into(log, f"echo begin {part}; yes 'between' | head -c 6000000; echo; echo end {part}")
        log.trim()
    assert size(log) == 0
    print_into(log, "echo at last")
    lines = log.last_lines()
    assert (lines[0], lines[-2:]) == ("begin 0", ["end 2", "at last"])
    assert [line for line in lines if "18 MB" in line]
    assert sum(map(len, lines)) < 20_000


def test_reading_does_not_move_where_the_process_writes(log):
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log.file) as process:
        for word in (b"one\n", b"two\n", b"three\n"):
            process.stdin.write(word)
            process.stdin.flush()
            while word.decode().strip() not in log.last_lines():
                continue
    assert log.last_lines() == ["one", "two", "three"]
