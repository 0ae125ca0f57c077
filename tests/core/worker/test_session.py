"""A worker's life: its limits, pauses and end, and interpreters that cannot be started."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from harness.core.machine import pipes, processes
from harness.core.machine.cpus import WORKER_CPUS, allowed_cpus
from harness.core.machine.usage import queued_seconds
from harness.core.worker import process, protocol, session
from harness.core.worker.session import Session, silence_within
from harness.errors import HarnessError, WorkerTimeout

QUESTION = protocol.Define("torch", "mlp", [])


@pytest.fixture
def later(monkeypatch):
    """A function that lets seconds pass for the parent."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], sleep=time.sleep)
    monkeypatch.setattr(session, "time", clock)
    monkeypatch.setattr(pipes, "time", clock)

    def pass_by(seconds):
        passed[0] += seconds

    return pass_by


def test_pauses_do_not_count_towards_the_deadline(later):
    with Session({}, 100) as session:
        session.call(QUESTION, protocol.Defined)
        session.pause()
        later(1000)
        session.resume()
        assert session.call(QUESTION, protocol.Defined).mode == "eager"
        later(100)
        os.killpg(
            session.process.pid, signal.SIGSTOP
        )  # or its answer may be there before anybody looks at the clock
        with pytest.raises(WorkerTimeout, match="did not finish within the time limit of 100 s") as raised:
            session.call(QUESTION, protocol.Defined)
    assert not raised.value.silent


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker is left waiting")
def test_pause_returns_when_the_worker_has_stopped():
    with Session({}, 30.0) as session:
        worker = psutil.Process(session.process.pid)
        for _ in range(20):
            session.pause()
            assert worker.status() == psutil.STATUS_STOPPED
            session.resume()
        assert session.call(QUESTION, protocol.Defined).mode == "eager"


def with_server(folder):
    """Make workers with this folder on their path start a server, and write its process id to a file."""
    (folder / "sitecustomize.py").write_text(
        "import os, subprocess, sys\n"
        "if 'harness.core.worker' in sys.orig_argv:\n"
        "    server = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        f"    open({str(folder / 'server')!r}, 'w').write(str(server.pid))\n"
    )


def soon(true):
    """Whether that becomes true within 20 seconds."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False


def ended(process):
    """Whether it is gone, or a zombie."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel lists no children")
def test_servers_of_a_worker_stop_and_end_with_it(tmp_path):
    """Frameworks start servers, which signals to the worker's group do not reach."""
    with_server(tmp_path)
    with Session({"PYTHONPATH": str(tmp_path)}, 60.0) as session:
        session.call(QUESTION, protocol.Defined)
        server = psutil.Process(int((tmp_path / "server").read_text()))
        session.pause()
        assert soon(lambda: server.status() == psutil.STATUS_STOPPED)
        session.resume()
        assert soon(lambda: server.status() != psutil.STATUS_STOPPED)
    assert soon(lambda: ended(server))


@pytest.mark.all_cpus
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(allowed_cpus()) == 1, reason="needs two CPUs, and Linux"
)
def test_a_worker_moves_with_its_threads_and_servers(tmp_path):
    with_server(tmp_path)
    first, last = allowed_cpus()[0], allowed_cpus()[-1]
    settings = {"PYTHONPATH": str(tmp_path), WORKER_CPUS: str(last)}
    with Session(settings, 60.0, cpus=[first]) as session:
        session.call(protocol.Describe("torch", 1), protocol.Described)  # its libraries have threads
        server = psutil.Process(int((tmp_path / "server").read_text()))
        worker = psutil.Process(session.process.pid)
        threads = [server.pid, *(thread.id for thread in worker.threads())]
        assert {cpu for thread in threads for cpu in os.sched_getaffinity(thread)} == {first}
        session.pause()
        session.process.move_to([last])
        assert {cpu for thread in threads for cpu in os.sched_getaffinity(thread)} == {last}
        session.resume()
        assert session.call(QUESTION, protocol.Defined).mode == "eager"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel lists no children")
def test_a_stopped_server_ends_with_a_killed_parent(tmp_path):
    """It cannot notice that nobody is left to resume it."""
    with_server(tmp_path)
    command = [
        sys.executable,
        "-c",
        (
            "import sys, time\n"
            "from harness.core.worker import protocol\n"
            "from harness.core.worker.session import Session\n"
            "session = Session({'PYTHONPATH': sys.argv[1]}, 100)\n"
            "session.call(protocol.Define('torch', 'mlp', []), protocol.Defined)\n"
            "session.pause()\n"
            "print('paused', flush=True)\n"
            "time.sleep(100)\n"
        ),
    ]
    parent = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"paused\n"
    server = psutil.Process(int((tmp_path / "server").read_text()))
    parent.kill()
    parent.communicate()
    assert soon(lambda: ended(server))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker is left waiting")
def test_a_silence_is_distinguished_from_a_deadline(monkeypatch):
    with Session({}) as session:
        session.call(QUESTION, protocol.Defined)
        session.process.stop()
        monkeypatch.setattr(session._limits, "_silence_seconds", 0.2)
        with pytest.raises(WorkerTimeout, match=r"was silent for 0\.2 s") as raised:
            session.call(QUESTION, protocol.Defined)
    assert raised.value.silent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_worker_that_uses_the_cpu_is_not_hung(monkeypatch, tmp_path):
    busy = """
import os, sys, time
until = time.monotonic() + 6
while time.monotonic() < until: pass
os.write(int(sys.argv[2]), b'["Done"]\\n')
time.sleep(60)
"""
    monkeypatch.setattr(session, "SILENCE_LIMIT_SECONDS", 2.0)

    class Busy(Session):
        program = ("-c", busy)
        replies = list[str]

    with Busy({}) as worker:
        assert worker.call(protocol.Ping(), list) == ["Done"]
        with pytest.raises(WorkerTimeout, match=r"was silent for 2 s"):
            worker.call(protocol.Ping(), list)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_worker_that_waits_for_the_cpu_is_not_hung(monkeypatch):
    slow = """
import os, sys, time
time.sleep(1.5)
os.write(int(sys.argv[2]), b'["Done"]\\n')
time.sleep(60)
"""
    monkeypatch.setattr(session, "SILENCE_LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(session, "WATCHED_SECONDS", 0.5)
    monkeypatch.setattr(process, "queued_seconds", lambda _pid: time.monotonic())

    class Starved(Session):
        program = ("-c", slow)
        replies = list[str]

    with Starved({}) as worker:
        assert worker.call(protocol.Ping(), list) == ["Done"]
        monkeypatch.undo()
        monkeypatch.setattr(session, "SILENCE_LIMIT_SECONDS", 0.2)
        monkeypatch.setattr(session, "WATCHED_SECONDS", 0.5)
        with pytest.raises(WorkerTimeout, match="was silent"):
            worker.call(protocol.Ping(), list)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_two_processes_on_one_cpu_wait_for_it():
    spin = ("-c", "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass")
    spinning = [subprocess.Popen([sys.executable, *spin]) for _ in range(2)]
    try:
        until = time.monotonic() + 60
        while min(queued_seconds(each.pid) for each in spinning) < 0.2 and time.monotonic() < until:
            time.sleep(0.05)
        assert min(queued_seconds(each.pid) for each in spinning) >= 0.2
    finally:
        for each in spinning:
            each.kill()
            each.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_silence_that_is_given_is_a_limit_however_busy_the_worker_is():
    class Busy(Session):
        program = ("-c", "while True: pass")

    with Busy({}, silence_seconds=0.5) as worker, pytest.raises(WorkerTimeout, match=r"silent for 0\.5 s"):
        worker.call(protocol.Ping(), protocol.Done)


def test_a_paused_worker_leaves_when_it_is_closed():
    session = Session({})
    session.call(QUESTION, protocol.Defined)
    session.pause()
    session.close()
    assert session.process._process.returncode == 0  # it was not killed


def test_a_worker_that_has_been_killed_can_be_paused_and_resumed():
    with Session({}) as session:
        session.kill()
        session.pause()
        session.resume()


def test_a_paused_worker_goes_on_with_the_next_request():
    with Session({}) as session:
        session.call(QUESTION, protocol.Defined)
        for _ in range(2):
            session.pause()
            session.pause()
            assert session.call(QUESTION, protocol.Defined).mode == "eager"


def test_no_worker_is_traced_by_coverage(monkeypatch):
    monkeypatch.setenv("COV_CORE_SOURCE", "src")
    monkeypatch.setenv("COVERAGE_PROCESS_START", ".coveragerc")
    monkeypatch.setenv("COVERAGE_CORE", "ctrace")  # starts nothing by itself
    with Session({}) as session:
        session.call(protocol.Ping(), protocol.Done)  # before it begins, its environment reads as empty
        inherited = psutil.Process(session.process.pid).environ()
    assert {name for name in inherited if name.startswith("COV")} == {"COVERAGE_CORE"}


@pytest.mark.parametrize(("limit", "silence"), [(None, None), (4.0, 600.0), (7200.0, 7200.0)])
def test_a_long_limit_allows_a_long_silence(limit, silence):
    assert silence_within(limit) == silence


def test_a_file_that_is_no_program_is_reported(tmp_path):
    script = tmp_path / "python"
    script.write_text("no program")
    script.chmod(0o755)
    with pytest.raises(HarnessError, match=r"cannot start .*python: Exec format error"):
        Session({}, 10, str(script))


def test_a_worker_without_a_guard_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "GUARD", ["/nowhere/sh"])
    before = psutil.Process().children(), psutil.Process().num_fds()
    with pytest.raises(HarnessError, match="cannot start /nowhere/sh, the guard of a worker: No such file"):
        Session({}, 10)
    assert (psutil.Process().children(), psutil.Process().num_fds()) == before


def test_a_machine_without_temporary_files_is_reported(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", Mock(side_effect=FileNotFoundError))
    with pytest.raises(HarnessError, match="set TMPDIR"):
        Session({}, 10)
