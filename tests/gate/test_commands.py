"""Commands of other programs: their output, and their errors in one line."""

import sys

import pytest

from harness.errors import HarnessError
from harness.gate.commands import output_of, run_plainly


@pytest.mark.parametrize("options", [(), (run_plainly,)], ids=["in a group", "plainly"])
def test_the_output_is_returned_without_white_space_around_it(tmp_path, options):
    assert output_of(["echo", " a "], tmp_path, "echo failed", *options) == "a"


@pytest.mark.parametrize("options", [(), (run_plainly,)], ids=["in a group", "plainly"])
def test_a_command_that_fails_is_reported_with_its_last_lines(tmp_path, options):
    command = ["sh", "-c", "seq 7 >&2; exit 3"]
    with pytest.raises(HarnessError, match=r"^seq failed: 3; 4; 5; 6; 7$"):
        output_of(command, tmp_path, "seq failed", *options)


def test_a_program_that_is_missing_is_reported(tmp_path):
    with pytest.raises(HarnessError, match=r"^git failed: .*No such file"):
        output_of([str(tmp_path / "git")], tmp_path, "git failed", run_plainly)


def test_the_error_of_a_command_is_text_for_records(tmp_path):
    command = [sys.executable, "-c", "import os, sys; os.write(2, b'caf\\xe9'); sys.exit(1)"]
    with pytest.raises(HarnessError) as raised:
        output_of(command, tmp_path, "it failed")
    assert str(raised.value) == "it failed: caf\ufffd"
