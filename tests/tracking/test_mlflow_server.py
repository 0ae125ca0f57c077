"""Runs in the server of MLflow, and a server that has died."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("flask", reason="the server is in the package mlflow, not in mlflow-skinny")
pytest.importorskip("torch")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

_RUN = ["run", "--backend", "torch", "--task", "mlp", "--epochs", "2", "--threads", "1", "--no-certify"]


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def answers(port):
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The URI of a running server and of its database, and its process, which leads a group."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--no-serve-artifacts"]
    command += ["--default-artifact-root", str(tmp_path / "artifacts")]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        wait_for(lambda: answers(port))
        yield f"http://127.0.0.1:{port}", database, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_receives_runs_and_one_that_has_died_is_named(server, harness):
    uri, database, process = server
    harness.environment |= {"no_proxy": "127.0.0.1"}
    harness.ok(*_RUN)
    assert harness.ok("export", "mlflow", "--uri", uri).stdout == f"1 run added to mlflow at {uri}\n"
    client = mlflow.MlflowClient(database)
    (run,) = client.search_runs([client.get_experiment_by_name("harness").experiment_id])
    assert (run.info.status, run.data.params["task"]) == ("FINISHED", "mlp")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = harness("export", "mlflow", "--uri", uri)
    assert done.returncode == 1
    assert f"mlflow at {uri}: Connection refused. Runs added before: 0." in done.stderr
