"""What ``harness gate --base`` leaves out, so that each side runs its own code."""

import os
import sys

import pytest

from harness import plugins
from harness.cli.gate import _environments, _leave_out_what_both_would_share
from harness.cli.gate_display import GateDisplay
from harness.errors import UsageError
from harness.gate.suite import read_suite


def test_pythonpath_is_left_out_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv(plugins.PLUGIN_FILES_VARIABLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", "src")
    said = []
    _leave_out_what_both_would_share(tmp_path, said.append)
    assert "PYTHONPATH" not in os.environ
    assert said == ["PYTHONPATH=src is left out, so that each side runs what is installed of it"]
    _leave_out_what_both_would_share(tmp_path, said.append)
    assert len(said) == 1


def test_a_plugin_file_of_the_checkout_is_refused(tmp_path, monkeypatch):
    files = [tmp_path / "elsewhere.py", tmp_path / "project" / "mine.py"]
    monkeypatch.setenv(plugins.PLUGIN_FILES_VARIABLE, str(files[0]))
    _leave_out_what_both_would_share(tmp_path / "project", [].append)
    monkeypatch.setenv(plugins.PLUGIN_FILES_VARIABLE, os.pathsep.join(map(str, files)))
    with pytest.raises(UsageError, match="is of this checkout, and base would load it too"):
        _leave_out_what_both_would_share(tmp_path / "project", [].append)


def test_a_path_that_reaches_both_sides_is_told_in_the_outcome(tmp_path, monkeypatch):
    suite = tmp_path / "gate.toml"
    suite.write_text('[benchmarks.a]\nbackend = "torch"\ntask = "mlp"\n')
    options = dict.fromkeys(("base", "base_suite", "suite", "head_python"))
    options |= {"base_python": sys.executable, "base_env": (), "head_env": ()}

    def cautions(**changes):
        with _environments(read_suite(suite), options | changes, GateDisplay(quiet=True)) as (base, head, _):
            return [*base.cautions, *head.cautions]

    monkeypatch.setenv("PYTHONPATH", "src")
    assert cautions() == ["PYTHONPATH=src reaches both sides: its code is the same for both"]
    assert cautions(head_env=("PYTHONPATH=other",)) == []
    monkeypatch.delenv("PYTHONPATH")
    assert cautions() == []
