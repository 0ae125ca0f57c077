"""What sides are started with: equally much on the stack, whatever was asked of one of them alone."""

import os
import subprocess
import sys

import pytest

from harness.duel.workloads import pad_to_equal_size
from harness.errors import UsageError
from harness.worker.interpreter import installed_harness

#: What the kernel keeps of a process's variables, and how many pointers to them there are.
_SIZE = "told = open('/proc/self/environ', 'rb').read(); print(len(told), told.count(0))"


@pytest.mark.skipif(sys.platform != "linux", reason="where the kernel tells of a process's variables")
@pytest.mark.parametrize(
    "asked", [{"LENGTHY": "x"}, {"NEW": "1", "OTHER": "22"}, {"ACCENTED": "é"}, {"LENGTHY": ""}]
)
def test_environments_take_equally_much_of_the_stack(monkeypatch, asked):
    """A variable of the shell's that one side replaces counts once, and each has a pointer of 8 bytes."""
    monkeypatch.setenv("LENGTHY", "y" * 100)
    monkeypatch.delenv("LC_CTYPE", raising=False)

    def taken(settings):
        told = subprocess.run(
            [sys.executable, "-c", _SIZE],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        length, count = map(int, told.stdout.split())
        return length + 8 * count

    padded = pad_to_equal_size([{"SAME": "1"}, {"SAME": "1", **asked}], [sys.executable] * 2)
    assert taken(padded[0]) == taken(padded[1])


def test_a_longer_path_of_an_interpreter_is_made_up_for():
    short, long = pad_to_equal_size([{}, {}], ["/a/python", "/a/longer/python"])
    assert len(short["HARNESS_PADDING"]) - len(long["HARNESS_PADDING"]) == 2 * len("/longer")


def test_an_interpreter_that_is_too_old_is_told_as_that(tmp_path):
    """As CPython 3.10 answers."""
    old = tmp_path / "python"
    said = "Unknown option: -P\nusage: python [option] ...\nTry `python -h' for more information."
    old.write_text(f'#!/bin/sh\necho "{said.replace("`", chr(92) + "`")}" >&2\nexit 2\n')
    old.chmod(0o755)
    with pytest.raises(UsageError, match=r"--b-python: .*python is older than Python 3\.11, which"):
        installed_harness("--b-python", str(old), {})
