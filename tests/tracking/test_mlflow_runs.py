"""Records in a real MLflow on a database of its own."""

import logging
import threading

import pytest
from click.testing import CliRunner
from support.records import EPOCHS, make_record, make_unfinished_record

from harness.core.runs.record import Pictures
from harness.core.runs.store import Store
from harness.errors import HarnessError, UsageError
from harness.tracking.command import to_mlflow
from harness.tracking.tool import TrackingError, send

#: Those of pytest's plugins.
THREADS = set(threading.enumerate())

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")
from harness.tracking.mlflow_runs import MlflowTool  # noqa: E402  after the skips

#: MLflow takes seconds to import and to make its database. Its libraries warn of their own futures.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(autouse=True)
def logging_again():
    """What a tracker turns off for the whole process."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def tracker(uri, request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # MLflow writes artifacts to a folder here
    return MlflowTool(uri, request.node.name)


@pytest.fixture
def client(uri):
    return mlflow.MlflowClient(uri)


def stored(tmp_path, record):
    """The file of a record, with a picture beside it."""
    store = Store(tmp_path)
    store.prepare()
    record.pictures = Pictures(examples=store.save_beside(record, b"\x89PNG", "-examples.png"))
    return store.save(record)


def runs_of(client, request):
    experiment = client.get_experiment_by_name(request.node.name)
    return client.search_runs([experiment.experiment_id])


def test_a_run_has_parameters_curves_tags_and_artifacts(tracker, client, request, tmp_path):
    record = make_record()
    assert send(tracker, record, stored(tmp_path, record))
    (run,) = runs_of(client, request)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "cnn torch:eager seed 0"
    assert run.data.params["width"] == "0.5"
    assert run.data.metrics["test/accuracy"] == 0.5
    assert run.data.tags["dataset_fingerprint"] == "f" * 64
    history = client.get_metric_history(run.info.run_id, "epoch/training_loss")
    assert [(each.step, each.value) for each in history] == [(1, 2.25), (2, 1.75)]
    assert [each.timestamp - run.info.start_time for each in history] == [1000, 1500]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "f" * 12)
    names = [each.path for each in client.list_artifacts(run.info.run_id)]
    assert names == [f"{record.id}.json", "pictures"]
    (picture,) = client.list_artifacts(run.info.run_id, "pictures")
    assert picture.path == f"pictures/{record.id}-examples.png"


def test_a_run_is_added_once_and_a_part_of_it_is_completed(tracker, client, request, tmp_path):
    record = make_record()
    path = stored(tmp_path, record)
    begun = tracker.run(make_unfinished_record(record.id, status="running"), path)
    begun.scored(EPOCHS[:1])
    (run,) = runs_of(client, request)
    assert (run.info.status, run.data.tags["status"]) == ("RUNNING", "running")
    assert run.data.metrics["train/accuracy"] == 0.25
    assert send(tracker, record, path)
    assert not send(tracker, record, path)
    (run,) = runs_of(client, request)
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "ok")
    assert len(client.get_metric_history(run.info.run_id, "train/accuracy")) == 2


@pytest.mark.parametrize(
    ("status", "state"), [("failed", "FAILED"), ("interrupted", "KILLED"), ("lost", "KILLED")]
)
def test_the_state_of_a_run_is_that_of_the_record(tracker, client, request, tmp_path, status, state):
    record = make_unfinished_record(status=status)
    send(tracker, record, tmp_path / "gone.json")
    (run,) = runs_of(client, request)
    assert run.info.status == state


def test_an_id_that_would_change_the_query_is_refused(tracker, tmp_path):
    record = make_record("x' OR tags.status = 'ok")
    with pytest.raises(TrackingError, match="other characters than letters"):
        send(tracker, record, tmp_path / "x.json")


def test_no_thread_is_left_that_could_work_while_steps_are_timed(tracker, tmp_path):
    record = make_record()
    send(tracker, record, stored(tmp_path, record))
    assert set(threading.enumerate()) <= THREADS


def garbage(folder):
    path = folder / "garbage.db"
    path.write_bytes(b"no database at all " * 100)
    return path


def directory(folder):
    path = folder / "directory.db"
    path.mkdir()
    return path


def below_a_file(folder):
    (folder / "file").touch()
    return folder / "file" / "mlflow.db"


@pytest.mark.timeout(60)  # MLflow would try again for minutes
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (garbage, "file is not a database"),
        (directory, "unable to open database file"),
        (below_a_file, "unable to open database file"),
    ],
)
def test_an_export_to_no_database_fails_in_one_line(tmp_path, make, why):
    path = stored(tmp_path, make_record())
    done = CliRunner().invoke(to_mlflow, [str(path), "--uri", f"sqlite:///{make(tmp_path)}"])
    assert isinstance(done.exception, HarnessError)
    assert f"{why}. Runs added before: 0." in str(done.exception)


def test_a_uri_of_no_use_is_refused():
    with pytest.raises(UsageError, match=r"cannot use the tracking URI nothing://x: Model registry .* Write"):
        MlflowTool("nothing://x", None)


def test_a_password_on_the_command_line_is_refused_and_none_is_shown(uri, monkeypatch):
    with pytest.raises(UsageError, match="leave the password out"):
        MlflowTool("http://me:secret@localhost:5000", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@localhost:5000")
    assert MlflowTool(None, None).place == "http://me:***@localhost:5000"
