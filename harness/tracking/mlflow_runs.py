"""Runs in MLflow: one MLflow run for each record, found again by the tag ``record_id``."""

import contextlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.core.runs.record import Epoch, Record
from harness.errors import UsageError
from harness.tracking import values
from harness.tracking.tool import TrackedRun, TrackingError

DEFAULT_EXPERIMENT = "harness"
#: Defaults of variables: a dead server is given up soon, and nothing is sent or printed unasked.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
_RUNNING = "RUNNING"
_STATES = {"ok": "FINISHED", "running": _RUNNING, "interrupted": "KILLED", "lost": "KILLED"}
#: MLflow's limits: characters of a parameter and of a tag, parameters and metrics of a call.
_MOST_OF_PARAMETER, _MOST_OF_TAG = 6000, 5000
_MOST_PARAMETERS, _MOST_METRICS = 100, 1000
_DIGEST_CHARACTERS = 12
#: By this tag the web page of MLflow 3 shows curves and tables instead of traces of language models.
_SHOWN_AS = {"mlflow.experimentKind": "custom_model_development"}
#: The metric whose history lists the epochs of a run.
_OF_EVERY_EPOCH = "epoch/steps"


class MlflowTool:
    """See :class:`harness.tracking.tool.Tool`.

    ``uri`` None: the value of ``MLFLOW_TRACKING_URI`` or MLflow's default. ``experiment`` None: the value of
    ``MLFLOW_EXPERIMENT_NAME``, or ``harness``.
    """

    name = "mlflow"

    def __init__(self, uri: str | None, experiment: str | None) -> None:
        if uri and urlsplit(uri).password:
            raise UsageError(
                "leave the password out of the URI: records contain the command line. Set "
                "MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        for variable, value in _SETTINGS.items():
            os.environ.setdefault(variable, value)
        try:
            import mlflow
        except ImportError as error:
            raise UsageError(
                f'MLflow is not installed: pip install "dl-harness[mlflow]" ({error})'
            ) from error
        # Levels of single loggers would not last: migrations of MLflow's database configure logging anew.
        logging.disable(logging.CRITICAL)
        self._uri = uri or mlflow.get_tracking_uri()
        self.place = _without_password(self._uri)
        try:
            # A client of a database opens it, which belongs in the bounded call of connect().
            self._opened = None if _is_database(self._uri) else mlflow.MlflowClient(tracking_uri=self._uri)
        except (mlflow.MlflowException, ImportError) as error:
            raise UsageError(
                f"MLflow cannot use the tracking URI {self.place}: {_first_sentence(error)}. Write for "
                "example http://HOST:5000 or sqlite:///mlflow.db."
            ) from error
        self._experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
        self._experiment_id: str | None = None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            from mlflow import MlflowClient

            _try_database(self._uri)
            self._opened = MlflowClient(tracking_uri=self._uri)
        return self._opened

    def connect(self) -> None:
        """Open the database, if it is one, and find or create the experiment."""
        self._experiment_id = self._experiment_id or self._find() or self._create()

    def _find(self) -> str | None:
        found = self._client.get_experiment_by_name(self._experiment)
        return None if found is None else str(found.experiment_id)

    def _create(self) -> str:
        from mlflow import MlflowException

        try:
            return str(self._client.create_experiment(self._experiment, tags=_SHOWN_AS))
        except MlflowException:
            created = self._find()  # by another process, a moment ago
            if created is None:
                raise
            return created

    def run(self, record: Record, path: Path) -> TrackedRun | None:
        """See :class:`harness.tracking.tool.Tool`."""
        self.connect()
        if not re.fullmatch(r"[\w.+:-]+", record.id):
            raise TrackingError(
                f"the id of the record {path} has other characters than letters, digits, . + : -"
            )
        found = self._client.search_runs(
            [self._experiment_id], f"tags.record_id = '{record.id}'", max_results=1
        )
        if not found:
            return _MlflowRun(self._client, self._begin(record), set(), record, path)
        run = found[0]
        if run.info.status != _RUNNING and run.data.tags.get("status") == record.status:
            return None
        self._describe(run.info.run_id, record, known=run.data.params)
        history = self._client.get_metric_history(run.info.run_id, _OF_EVERY_EPOCH)
        return _MlflowRun(self._client, run.info.run_id, {metric.step for metric in history}, record, path)

    def _begin(self, record: Record) -> str:
        run = self._client.create_run(
            self._experiment_id,
            start_time=_milliseconds(values.started_at(record)),
            tags=_tags(record),
            run_name=values.run_name(record),
        )
        self._describe(run.info.run_id, record, known={})
        return str(run.info.run_id)

    def _describe(self, run_id: str, record: Record, known: Mapping[str, str]) -> None:
        """Log the parameters, which cannot be changed later, and the data set."""
        from mlflow.entities import Dataset, DatasetInput, Param

        parameters = [
            Param(name, str(value)[:_MOST_OF_PARAMETER])
            for name, value in values.parameters(record).items()
            if name not in known
        ]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(run_id, params=parameters[first : first + _MOST_PARAMETERS])
        dataset = record.dataset
        if dataset.fingerprint and not known:
            digest = dataset.fingerprint[:_DIGEST_CHARACTERS]
            described = Dataset(dataset.name, digest, "harness", dataset.origin or dataset.name)
            self._client.log_inputs(run_id, [DatasetInput(described, [])])


class _MlflowRun:
    """See :class:`harness.tracking.tool.TrackedRun`. ``known`` are the epochs that MLflow has."""

    def __init__(self, client: Any, run_id: str, known: set[int], record: Record, path: Path) -> None:
        self._client = client
        self._run_id = run_id
        self._known = known
        self._start = values.started_at(record)
        self._judged = record.judged_seconds is not None
        self._path = path

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """See :class:`harness.tracking.tool.TrackedRun`."""
        metrics = [
            _metric(name, value, values.scored_at(self._start, epoch), epoch.epoch)
            for epoch in epochs
            if epoch.epoch not in self._known
            for name, value in values.epoch_values(epoch, judged=self._judged).items()
        ]
        for first in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._run_id, metrics=metrics[first : first + _MOST_METRICS])

    def ended(self, record: Record) -> None:
        """See :class:`harness.tracking.tool.TrackedRun`. The state comes last: it marks a whole run."""
        from mlflow.entities import RunTag

        last_epoch = record.epochs[-1].epoch if record.epochs else 0
        tags = [RunTag(name, text) for name, text in _tags(record).items()]
        ended_at = values.ended_at(record)
        results = [
            _metric(name, value, ended_at, last_epoch) for name, value in values.final_values(record).items()
        ]
        self._client.log_batch(self._run_id, metrics=results, tags=tags)
        if self._path.is_file():
            self._client.log_artifact(self._run_id, str(self._path))
        for picture in values.pictures(record, self._path.parent).values():
            self._client.log_artifact(self._run_id, str(picture), "pictures")
        state = _STATES.get(record.status, "FAILED")
        self._client.set_terminated(self._run_id, state, _milliseconds(ended_at))


def _is_database(uri: str) -> bool:
    """Check whether MLflow keeps runs of this URI in a database that this process opens."""
    from mlflow.store.db.db_types import DATABASE_ENGINES

    if urlsplit(uri).scheme.partition("+")[0] not in DATABASE_ENGINES:
        return False
    import alembic  # noqa: F401  to find out now whether it is installed
    import sqlalchemy  # noqa: F401

    return True


def _try_database(uri: str) -> None:
    """Open a database once. MLflow tries ten times, for minutes, whatever the reason is."""
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        with contextlib.suppress(OSError):  # SQLite itself reports that it cannot be opened
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _metric(name: str, value: float, seconds: float, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(name, value, _milliseconds(seconds), step)


def _tags(record: Record) -> dict[str, str]:
    """Return the tags of a record, and the tags by which MLflow shows the source of a run."""
    tags = values.tags(record)
    source = {"mlflow.source.name": tags["command"], "mlflow.source.type": "LOCAL"}
    if "git_commit" in tags:
        source["mlflow.source.git.commit"] = tags["git_commit"]
    return {name: text[:_MOST_OF_TAG] for name, text in (tags | source).items()}


def _milliseconds(seconds: float) -> int:
    return round(1e3 * seconds)


def _without_password(uri: str) -> str:
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")
