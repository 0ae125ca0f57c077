"""The command in this process, for what starts no worker: a tenth of the time of a process of its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli import execute


@pytest.fixture
def quick(tmp_path, monkeypatch, capsys):
    """Calls ``harness`` in a folder, without the plugins of tests; returns what ``subprocess.run`` does."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy"):  # one that does not answer
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, **variables: str) -> SimpleNamespace:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = execute(list(arguments))
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=printed.out, stderr=printed.err)

    call.folder = Path(tmp_path)
    return call
