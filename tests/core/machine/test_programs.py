"""Programs given by a path or a name, as in a shell."""

import os
from pathlib import Path

import pytest

from harness.core.machine.arguments import program
from harness.errors import UsageError


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two programs of one name: here, and in PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for place in (tmp_path / "bin", tmp_path):
        place.mkdir(exist_ok=True)
        (place / "mine").write_text("#!/bin/sh\n")
        (place / "mine").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "where"),
    [("mine", "bin/mine"), ("./mine", "mine"), ("bin/../mine", "mine"), ("~/mine", "mine")],
)
def test_a_path_is_a_path_and_a_name_is_looked_up(made, named, where):
    assert Path(program("--base-python", named)).resolve() == made / where
    assert os.path.isabs(program("--base-python", named))  # noqa: PTH117  as a worker is given it


def test_a_path_that_is_not_utf_8_is_refused(made):
    folder = os.fsdecode(b"caf\xe9")
    os.mkdir(folder)  # noqa: PTH102
    os.link("mine", f"{folder}/mine")
    with pytest.raises(UsageError, match=r"caf\\xe9/mine is not UTF-8, which records need"):
        program("--base-python", f"{folder}/mine")


@pytest.mark.parametrize("named", ["yours", "./bin", ""])
def test_a_missing_program_is_refused(made, named):
    with pytest.raises(UsageError, match="no such program; give the bin/python of a virtual environment"):
        program("--base-python", named)
