"""The options and commands of trackers, without any tracker."""

import sys

import pytest
from click.testing import CliRunner
from support.records import make_record

from harness.cli import cli
from harness.errors import HarnessError, UsageError
from harness.runs.store import Store
from harness.tracking import values


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
    store = Store(tmp_path / "results")
    store.prepare()
    for name in ("20260101-a", "20260102-b"):
        store.save(make_record(name))

    def call(tool, *arguments):
        monkeypatch.setattr("harness.cli.export.make_tracker", lambda *_: tool)
        return CliRunner().invoke(cli, ["export", "mlflow", *arguments], standalone_mode=False)

    return call


def test_export_adds_each_run_once(export):
    tool = Tool()
    assert export(tool, "20260101-a").stdout == "1 run added to mlflow at nowhere\n"
    assert export(tool).stdout == "1 run added to mlflow at nowhere; 1 already present\n"
    assert export(tool, "seed=0").stdout == "0 runs added to mlflow at nowhere; 2 already present\n"


def test_export_names_an_unreadable_record_and_adds_the_others(export, tmp_path):
    (tmp_path / "results" / "runs" / "20260101-z.json").write_text("{")
    done = export(Tool())
    assert done.return_value == 1
    assert done.stdout == "2 runs added to mlflow at nowhere\n"
    assert "skipped: results/runs/20260101-z.json is not a readable run record" in done.stderr


def test_export_says_why_a_server_does_not_answer(export):
    done = export(Tool(ConnectionRefusedError(111, "Connection refused")))
    assert isinstance(done.exception, HarnessError)
    assert str(done.exception) == "mlflow at nowhere: Connection refused. Runs added before: 0."


@pytest.mark.parametrize("name", values.NAMES)
def test_what_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch, name):
    for module in ("mlflow", "tensorboard.compat.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf'is not installed: pip install "dl-harness\[{name}\]"'):
        values.make_tracker(name, tmp_path)
