"""An interrupt at any line leaves no record that claims to be running, and further signals change nothing."""

import contextlib
import copy
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from support.interrupts import every_interrupt
from support.processes import ended, wait_until
from support.records import make_request

from harness.core.machine import files
from harness.core.runs import execute
from harness.core.runs.store import RUNS, Store
from harness.core.shell import signals
from harness.errors import RequestFailed

DIGITS = ("run", "--task", "cnn", "--dataset", "digits", "--epochs", "3", "--quiet", "--no-certify")


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a file's with was interrupted
@pytest.mark.parametrize("fault", [None, RequestFailed("it failed", "")])
def test_a_run_that_is_interrupted_anywhere_has_ended(fault, tmp_path, monkeypatch):
    session = Mock()
    session.process.last_lines.return_value = []
    monkeypatch.setattr(execute, "Session", lambda *_, **__: contextlib.nullcontext(session))
    training = SimpleNamespace(carry_out=Mock(side_effect=fault))
    monkeypatch.setattr(execute, "TrainingRun", lambda *_: training)
    monkeypatch.setattr(files.os, "fsync", lambda _file: None)
    store, request = Store(tmp_path), make_request()
    record = execute.new_record(request)
    monkeypatch.setattr(execute, "new_record", lambda _request: copy.deepcopy(record))
    calls = 0
    for result in every_interrupt(lambda: execute.execute(request, None, store, Mock()), execute, files):
        calls += 1
        for path in store.paths():
            status = RUNS.read(path).status
            assert status in {"failed" if fault else "ok", "interrupted"}
            assert result is None or result.status == status
        assert [path.name for path in store.folder.glob(".*")] == []
        shutil.rmtree(store.folder, ignore_errors=True)
    assert calls > 25


def test_signals_that_follow_an_interrupt_change_nothing_for_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now[0]))
    handler = signals._Interrupt()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        handler(signal.SIGINT, None)
    handler(signal.SIGTERM, None)
    now[0] += 9
    handler(signal.SIGINT, None)
    now[0] += 2
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        handler(signal.SIGTERM, None)


def test_a_signal_while_a_module_is_imported_is_not_lost(tmp_path):
    """Cython's modules and the callbacks of Python's imports lose exceptions, as ``losing`` does."""
    (tmp_path / "losing.py").write_text(
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
    )
    code = (
        "import time\n"
        "from harness.core.shell.signals import interrupt_on_termination\n"
        "interrupt_on_termination()\n"
        "import losing\n"
        "time.sleep(30)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=20)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt: SIGTERM")


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_two_signals_at_once_end_a_run_like_one(harness, second):
    process = harness.start(*DIGITS, "--backend", "faulty:ok,faulty:hang")
    wait_until(lambda: any(each["configuration"]["mode"] == "hang" for each in harness.records()))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.001 * (second == signal.SIGINT))
    process.send_signal(second)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert {record["status"] for record in harness.records()} <= {"ok", "interrupted"}
    assert "Traceback" not in stdout + stderr


#: A data set whose import never ends once it has written an array.
ENDLESS_IMPORT = """
import time
from harness.hookspecs import hookimpl
from harness.spec import DataSource
from harness_tasks.datasets.store import Store, data_root


class Endless(DataSource):
    name, summary, importable = "endless", "an import that never ends", "anything"
    store = Store(data_root() / "endless", "endless", ("a", "b"), "")

    def is_ready(self):
        return False

    def load(self):
        raise NotImplementedError

    def import_from(self, path, progress):
        with self.store.exclusive(progress):
            (self.store.fresh_folder() / "train-inputs.npy").write_bytes(b"part")
            time.sleep(100)


@hookimpl
def harness_dataset(name):
    return Endless() if name == "endless" else None
"""


def test_an_import_that_is_terminated_leaves_no_arrays(harness):
    plugin = harness.folder / "endless_import.py"
    plugin.write_text(ENDLESS_IMPORT)
    data = harness.folder.parent / "data" / "endless"
    words = ("data", "import", "endless", ".", "--plugin", str(plugin))
    done = ended(harness, *words, when=lambda: list(data.glob("arrays-*/*.npy")), by=signal.SIGTERM)
    assert (done.returncode, done.stderr.strip()) == (130, "harness: interrupted")
    assert list(data.glob("arrays-*")) == []


@pytest.mark.slow
def test_a_run_that_is_terminated_while_it_starts_leaves_nothing_behind(harness):
    for delay in (0.05, 0.2, 0.5):
        process = harness.start(*DIGITS, "--backend", "faulty:ok")
        time.sleep(delay)
        process.terminate()
        _, stderr = process.communicate(timeout=30)
        assert process.returncode in {130, -signal.SIGTERM}
        assert "Traceback" not in stderr
        assert {record["status"] for record in harness.records()} <= {"interrupted"}


def test_a_results_folder_that_was_deleted_is_made_again(tmp_path):
    store = Store(tmp_path / "results")
    request = make_request()
    store.prepare()
    record = execute.new_record(request)
    store.save(record)
    shutil.rmtree(tmp_path / "results")
    assert RUNS.read(store.save(record)).id == record.id
    shutil.rmtree(tmp_path / "results")
    store.save_beside(record, b"png", ".png")
    assert (store.folder / f"{record.id}.png").read_bytes() == b"png"
