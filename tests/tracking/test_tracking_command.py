"""The commands of ``harness export``, without any server."""

import sys

import pytest
from click.testing import CliRunner
from support.records import make_record, save_runs

from harness.core.shell.main import cli
from harness.errors import HarnessError, UsageError
from harness.tracking import tensorboard_runs
from harness.tracking.mlflow_runs import MlflowTool


class Tool:
    name, place = "mlflow", "nowhere"

    def __init__(self, error=None):
        self.known, self.error = set(), error

    def connect(self):
        if self.error:
            raise self.error

    def run(self, record, path):
        if record.id in self.known:
            return None
        self.known.add(record.id)
        return self

    def scored(self, epochs):
        pass

    def ended(self, record):
        pass


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Calls ``harness export mlflow`` with this tool on a folder with two runs."""
    monkeypatch.chdir(tmp_path)
    save_runs(tmp_path / "results", make_record("20260101-a"), make_record("20260102-b"))

    def call(tool, *arguments):
        monkeypatch.setattr("harness.tracking.command.MlflowTool", lambda *_: tool)
        return CliRunner().invoke(cli, ["export", "mlflow", *arguments], standalone_mode=False)

    return call


def test_export_adds_each_run_once(export, snapshot):
    tool = Tool()
    for arguments, known in (("20260101-a",), 1), ((), 2), (("seed=0",), 2):
        assert (export(tool, *arguments).stdout, len(tool.known)) == (snapshot, known)


def test_export_names_an_unreadable_record_and_adds_the_others(export, tmp_path):
    (tmp_path / "results" / "runs" / "20260101-z.json").write_text("{")
    tool = Tool()
    done = export(tool)
    assert (done.return_value, len(tool.known)) == (1, 2)
    assert "20260101-z.json" in done.stderr


def test_export_says_why_a_server_does_not_answer(export, snapshot):
    done = export(Tool(ConnectionRefusedError(111, "Connection refused")))
    assert isinstance(done.exception, HarnessError)
    assert str(done.exception) == snapshot


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_what_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch, name):
    for module in ("mlflow", "tensorboard.compat.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf'is not installed: pip install "dl-harness\[{name}\]"'):
        MlflowTool(None, None) if name == "mlflow" else tensorboard_runs.tool(tmp_path)
