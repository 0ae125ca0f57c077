"""What a process prints is kept within bounds: the beginning and the end."""

import os
import subprocess

import pytest

from harness.machine.pipes import OutputLog


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
