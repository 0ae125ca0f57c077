"""Running the command as a user does: a real process, a folder of its own, an empty data cache."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"
COMMAND = [sys.executable, "-m", "harness"]


def pytest_configure(config):
    """With xdist (``-n 2``) each of its workers has a CPU to itself, and so have the processes of its tests.

    Frameworks would else start as many threads as there are CPUs in every worker, and threads that wait
    for others at a barrier spin: two such processes on two CPUs take many times as long as in turn.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background has it, and children too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


def pytest_collection_modifyitems(config, items):
    if os.environ.get("PYTEST_XDIST_WORKER"):
        for item in items:
            if item.get_closest_marker("all_cpus"):
                item.add_marker(pytest.mark.skip(reason="needs every CPU: pytest -m all_cpus runs it"))


@dataclass
class HarnessCommand:
    """Calls ``harness`` in ``folder``; ``faulty`` plugins are installed, CIFAR-10 is not here."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, timeout: float = 250, **variables: str):
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def in_shell(self, line: str) -> subprocess.CompletedProcess:
        """A line of bash, whose first ``harness`` is the command."""
        return subprocess.run(
            ["bash", "-c", line.replace("harness", f"{sys.executable} -m harness", 1)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def records(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("results/runs/*.json"))]


@pytest.fixture(scope="session")
def harness_in():
    """Makes a :class:`HarnessCommand` that works in a folder."""

    def make(folder: Path) -> HarnessCommand:
        (folder / "work").mkdir()
        # A proxy that nobody answers: no test depends on whether this machine has internet.
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])),
            "HARNESS_DATA_DIR": str(folder / "data"),
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }
        environment.pop("COLUMNS", None)
        environment.pop("PYTHONUNBUFFERED", None)  # what is left in a buffer can spoil an end
        return HarnessCommand(folder / "work", environment)

    return make


@pytest.fixture
def harness(tmp_path, harness_in):
    return harness_in(tmp_path)
