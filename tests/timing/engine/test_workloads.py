"""Workloads: the same work in each, and variables that take the same size on every stack."""

import os
import sys

import msgspec
import pytest
from support.command import python, script
from support.workloads import TORCH, workload

from harness.core.worker.interpreter import installed_harness
from harness.errors import UsageError
from harness.timing.engine.workloads import pad_to_equal_size, refuse_different_work

#: Prints the size of a process's variables as the kernel stores them, and their number.
_SIZE = "stored = open('/proc/self/environ', 'rb').read(); print(len(stored), stored.count(0))"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    "asked", [{"LENGTHY": "x"}, {"NEW": "1", "OTHER": "22"}, {"ACCENTED": "é"}, {"LENGTHY": ""}]
)
def test_variables_take_the_same_size_of_the_stack(monkeypatch, asked):
    """A replaced variable of the shell counts once, and each variable has a pointer of 8 bytes."""
    monkeypatch.setenv("LENGTHY", "y" * 100)
    monkeypatch.delenv("LC_CTYPE", raising=False)

    def taken(variables):
        length, count = map(int, python(_SIZE, env={**os.environ, **variables}).split())
        return length + 8 * count

    padded = pad_to_equal_size([{"SAME": "1"}, {"SAME": "1", **asked}], [sys.executable] * 2)
    assert taken(padded[0]) == taken(padded[1])


def test_a_longer_interpreter_path_is_padded():
    short, long = pad_to_equal_size([{}, {}], ["/a/python", "/a/longer/python"])
    assert len(short["HARNESS_PADDING"]) - len(long["HARNESS_PADDING"]) == 2 * len("/longer")


def test_an_interpreter_that_is_too_old_is_reported(tmp_path):
    """With the answer of CPython 3.10."""
    said = "Unknown option: -P\nusage: python [option] ...\nTry \\`python -h' for more information."
    old = script(tmp_path / "python", f'echo "{said}" >&2\nexit 2')
    with pytest.raises(UsageError, match=r"--base-python: .*python is older than Python 3\.11, which"):
        installed_harness("--base-python", old, {})


def test_different_work_is_refused_with_what_differs():
    with pytest.raises(UsageError, match=r"a and b would do different work \(width 1\.0 and 2\.0\)\."):
        refuse_different_work([workload("a"), workload("a"), workload("b", "width=2")])


def test_work_that_another_installation_defines_otherwise_is_refused():
    ours, theirs = workload("a"), workload("b")
    theirs = msgspec.structs.replace(theirs, task=msgspec.structs.replace(theirs.task, version=99))
    with pytest.raises(UsageError, match=rf"\(version {ours.task.version} and 99\)"):
        refuse_different_work([ours, theirs])


def test_only_the_batch_size_may_differ():
    smaller = workload("b")
    smaller = msgspec.structs.replace(smaller, task=msgspec.structs.replace(smaller.task, batch_size=7))
    refuse_different_work([workload("a"), smaller])


def test_the_order_of_variables_makes_no_other_configuration():
    one, other = (
        msgspec.structs.replace(TORCH, variables=variables)
        for variables in ((("A", "1"), ("B", "2")), (("B", "2"), ("A", "1")))
    )
    assert one == other
    assert hash(one) == hash(other)
