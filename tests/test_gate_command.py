"""What ``harness gate --base`` leaves out, so that each side runs its own code."""

import os

import pytest

from harness import plugins
from harness.cli.gate import _leave_out_what_both_would_share
from harness.errors import UsageError


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
