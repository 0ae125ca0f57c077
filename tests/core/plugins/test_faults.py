"""The words of an exception, whatever the exception does, and what a plugin prints."""

import os
import threading

import pytest

from harness.core.plugins.faults import bounded, explain, message_of, nothing_on_stdout
from harness.errors import DataError


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("caf\udce9"), "RuntimeError: caf\\udce9"),
        (Unprintable(), "Unprintable: its __str__ raised ValueError"),
        (DataError("no \ud800"), "no \\ud800"),
        (MemoryError(), "the worker ran out of memory (MemoryError); use a smaller --batch-size"),
    ],
)
def test_every_exception_has_a_text_that_can_be_stored(error, text):
    assert explain(error).startswith(text)
    assert explain(error).encode()


def test_of_a_long_text_the_beginning_and_the_end_are_kept():
    text = message_of(RuntimeError("first" + "x" * 20_000_000 + "last"))
    assert text.startswith("firstx")
    assert text.endswith("xlast")
    assert "19,996,009 characters" in text
    assert len(text) < 4100
    assert bounded("short", 10) == "short"


# What a plugin prints never reaches standard output, even where threads load plugins at the same time.


def test_standard_output_is_restored_when_the_last_thread_has_left(capfd):
    inside, leave = threading.Event(), threading.Event()

    def load():
        with nothing_on_stdout():
            inside.set()
            leave.wait(30)
            os.write(1, b"second plugin\n")

    with nothing_on_stdout():
        other = threading.Thread(target=load)
        other.start()
        assert inside.wait(30)
        os.write(1, b"first plugin\n")
    leave.set()
    other.join()
    os.write(1, b"the document\n")
    printed = capfd.readouterr()
    assert printed.out == "the document\n"
    assert printed.err == "first plugin\nsecond plugin\n"
