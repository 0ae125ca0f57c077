"""Fixtures: the command in a process and a folder of its own, whose data cache has MNIST-1D alone."""

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from support.command import PLUGINS, HarnessCommand
from support.engines import QUICK_XLA

from harness.core.shell.main import execute

#: A busy machine makes no example wrong.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config):
    """Give each worker of xdist one CPU, which the processes of its tests inherit.

    Otherwise frameworks start one thread per CPU in every worker, and threads that wait at a barrier spin:
    two such processes on two CPUs take many times as long as one after the other.
    """
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # a shell sets it in the background; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


@pytest.hookimpl(trylast=True)  # when tests are deselected
def pytest_collection_modifyitems(config, items):
    """Skip what needs every CPU, and begin with the files that have the most slow tests.

    Otherwise they come last, since they have few tests, and one worker waits for the other.
    """
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        return
    for item in items:
        if item.get_closest_marker("all_cpus"):
            item.add_marker(pytest.mark.skip(reason="needs every CPU: run pytest -n 0 -m all_cpus"))
    tests = Counter(item.path for item in items)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path], item.path))


@pytest.fixture(scope="session")
def generated_data(tmp_path_factory) -> Path:
    """A data folder that has MNIST-1D, which most runs of tests train on; generating it takes seconds."""
    from harness_tasks.datasets import SOURCES

    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_DATA_DIR", str(folder))
        SOURCES["mnist1d"].load()
    return folder


@pytest.fixture(scope="session")
def harness_in(generated_data):
    """Makes a :class:`HarnessCommand` that works in a folder."""

    def make(folder: Path) -> HarnessCommand:
        (folder / "work").mkdir()
        shutil.copytree(generated_data, folder / "data")
        # A proxy that does not answer: no test depends on internet access.
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])),
            "HARNESS_DATA_DIR": str(folder / "data"),
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }
        environment.pop("COLUMNS", None)
        environment.pop("PYTHONUNBUFFERED", None)  # tests cover what an unflushed buffer does at exit
        return HarnessCommand(folder / "work", environment)

    return make


@pytest.fixture(scope="session")
def _xla_flags():
    """XLA reads its flags once, when a process first uses a device."""
    jax = pytest.importorskip("jax")
    with pytest.MonkeyPatch.context() as patch:
        for name, flags in QUICK_XLA.items():
            patch.setenv(name, flags)
        jax.devices()


@pytest.fixture(scope="module")
def quick_xla(_xla_flags):
    """Compilation by JAX takes most of the time of its tests; here it is quick, and its result slow."""
    import jax

    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def harness(tmp_path, harness_in):
    return harness_in(tmp_path)


@pytest.fixture
def quick(tmp_path, monkeypatch, capsys):
    """The command in this process, for what starts no worker: a tenth of the time of a process of its own.

    Calls ``harness`` in a folder, without the plugins of tests; returns what ``subprocess.run`` does.
    """
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy"):  # one that does not answer
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, **variables: str) -> SimpleNamespace:
        capsys.readouterr()
        with mock.patch.dict(os.environ, variables):  # --plugin sets a variable of the process
            code = execute(list(arguments))
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=printed.out, stderr=printed.err)

    call.folder = tmp_path
    return call
