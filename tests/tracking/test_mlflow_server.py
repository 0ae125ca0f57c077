"""Runs in the server of MLflow: live, while it dies, and completed afterwards."""

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

_RUN = ["run", "--backend", "torch", "--task", "mlp", "--epochs", "1000", "--threads", "1", "--no-certify"]


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


def test_a_server_that_dies_costs_a_warning_and_export_completes_the_run(server, harness):
    uri, database, process = server
    harness.environment |= {"no_proxy": "127.0.0.1"}
    running = harness.start(*_RUN, "--track", "mlflow", "--track-uri", uri)
    client = mlflow.MlflowClient(database)

    def run():
        experiment = client.get_experiment_by_name("harness")
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return found[0] if found else None

    live = wait_for(lambda: (found := run()) and "train/accuracy" in found.data.metrics and found)
    assert (live.info.status, live.data.params["task"]) == ("RUNNING", "mlp")
    os.killpg(process.pid, signal.SIGKILL)
    scored = len(client.get_metric_history(live.info.run_id, "epoch/steps"))
    wait_for(lambda: len(harness.records()[0]["epochs"]) > scored + 50)
    running.send_signal(signal.SIGINT)
    _, progress = running.communicate(timeout=120)
    (record,) = harness.records()
    assert record["status"] == "interrupted"
    assert progress.count("mlflow at") == 1
    assert f"mlflow at {uri}: Connection refused. Runs continue" in progress
    assert run().info.status == "RUNNING"

    done = harness("export", "mlflow", "--uri", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 run added to mlflow at {database}\n"
    assert run().info.status == "KILLED"
    history = client.get_metric_history(live.info.run_id, "epoch/steps")
    assert sorted(each.step for each in history) == [epoch["epoch"] for epoch in record["epochs"]]
