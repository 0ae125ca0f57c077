"""No process of a command survives it, or this process, however they end."""

import subprocess
import sys
import time

import psutil
import pytest

from harness.core.machine import processes

SLEEPS = "sleep 300 & echo $! > slept; wait"


def content(path):
    return path.exists() and path.read_text().strip()


def gone(path, within_seconds=20.0):
    """Whether the process whose number is in the file ends by then."""
    until = time.monotonic() + within_seconds
    number = int(path.read_text())
    while time.monotonic() < until:
        try:
            if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_output_and_exit_code_of_a_command(monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    done = processes.run(["/bin/sh", "-c", "echo $KEPT$ADDED; echo bad >&2; exit 3"], 20, {"ADDED": "2"})
    assert (done.returncode, done.stdout, done.stderr) == (3, "12\n", "bad\n")
    with pytest.raises(OSError, match="/nowhere/sh"):
        processes.run(["/nowhere/sh"], 20)


@pytest.mark.slow
def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["/bin/sh", "-c", SLEEPS], 5)
    assert gone(tmp_path / "slept")


def test_a_command_ends_with_a_killed_parent(tmp_path):
    call = f"from harness.core.machine import processes; processes.run(['/bin/sh', '-c', {SLEEPS!r}], 300)"
    parent = subprocess.Popen([sys.executable, "-c", call], cwd=tmp_path)
    until = time.monotonic() + 60
    # The command has begun, and so has what ends it.
    while len(psutil.Process(parent.pid).children()) < 2 or not content(tmp_path / "slept"):
        assert time.monotonic() < until
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    assert gone(tmp_path / "slept")
