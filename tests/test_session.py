"""A worker's life: what bounds it, and what is told of an interpreter that cannot be started."""

import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from harness import process_groups, protocol
from harness import session as session_module
from harness.errors import HarnessError
from harness.session import Session, WorkerTimeout

QUESTION = protocol.Define("torch", "mlp", [])


@pytest.fixture
def later(monkeypatch):
    """Lets so many seconds pass for the parent."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], sleep=time.sleep)
    monkeypatch.setattr(session_module, "time", clock)

    def pass_by(seconds):
        passed[0] += seconds

    return pass_by


def test_time_in_which_a_worker_was_stopped_is_not_counted(later):
    with Session({}, 100) as session:
        session.call(QUESTION, protocol.Defined)
        session.pause()
        later(1000)
        session.resume()
        assert session.call(QUESTION, protocol.Defined).mode == "eager"
        later(100)
        with pytest.raises(WorkerTimeout, match="did not end within the time limit of 100 s") as raised:
            session.call(QUESTION, protocol.Defined)
    assert not raised.value.silent


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker is left waiting")
def test_a_paused_worker_has_stopped_when_the_next_may_begin():
    with Session({}, 30.0) as session:
        worker = psutil.Process(session.pid)
        for _ in range(20):
            session.pause()
            assert worker.status() == psutil.STATUS_STOPPED
            session.resume()
        assert session.call(QUESTION, protocol.Defined).mode == "eager"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel tells of no children")
def test_what_a_worker_starts_in_a_group_of_its_own_stops_and_ends_with_it(tmp_path):
    """A framework's server, which no signal to the worker's group reaches."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, subprocess\n"
        "server = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        f"open(os.path.join({str(tmp_path)!r}, 'server'), 'w').write(str(server.pid))\n"
    )
    with Session({"PYTHONPATH": str(tmp_path)}, 60.0) as session:
        session.call(QUESTION, protocol.Defined)
        server = psutil.Process(int((tmp_path / "server").read_text()))
        session.pause()
        assert server.status() == psutil.STATUS_STOPPED
        session.resume()
        assert server.status() != psutil.STATUS_STOPPED
    psutil.wait_procs([server], timeout=20)
    assert not server.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker is left waiting")
def test_a_silence_is_told_from_a_limit_that_more_time_would_lift(monkeypatch):
    with Session({}) as session:
        session.call(QUESTION, protocol.Defined)
        session.pause()
        monkeypatch.setattr(session_module, "SILENCE_LIMIT_SECONDS", 0.2)
        with pytest.raises(WorkerTimeout, match=r"said nothing for 0\.2 s") as raised:
            session.call(QUESTION, protocol.Defined)
    assert raised.value.silent


def test_what_is_no_program_is_told(tmp_path):
    script = tmp_path / "python"
    script.write_text("no program")
    script.chmod(0o755)
    with pytest.raises(HarnessError, match="python cannot be started: Exec format error"):
        Session({}, 10, str(script))


def test_a_worker_that_cannot_be_guarded_is_not_left_behind(monkeypatch):
    monkeypatch.setattr(process_groups, "GUARD", ["/nowhere/sh"])
    before = psutil.Process().children(), psutil.Process().num_fds()
    with pytest.raises(HarnessError, match="a worker's guard, /nowhere/sh, cannot be started: No such file"):
        Session({}, 10)
    assert (psutil.Process().children(), psutil.Process().num_fds()) == before
