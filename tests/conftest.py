"""Running the command as a user does: a real process, a folder of its own, an empty data cache."""

import os
import signal
from pathlib import Path

import pytest
from support.command import PLUGINS, HarnessCommand


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
