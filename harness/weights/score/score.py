"""The scores of a run's weights in any configuration, by a program that holds them in a worker."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.core.data_files.providing import provide_again
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.runs.places import Place
from harness.core.runs.record import Record
from harness.core.runs.weights import read_weights, weights_path
from harness.core.stats.deviations import largest
from harness.core.training.measures import Scores
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session, silence_within
from harness.errors import Declined, UsageError


@contextlib.contextmanager
def holding(record: Record, configuration: Configuration, place: Place | None = None) -> Iterator[Session]:
    """Start a worker with a program of the run's task on the run's data, which can load the weights.

    It works at ``place``, or else has the machine for itself.
    """
    data = record.dataset
    provide_again(data.name, data.fingerprint, data.file)
    with _worker(configuration, place) as session:
        conversation = Conversation(session, configuration.backend, configuration.threads)
        plan = configuration.plan(record.task.description, record.seed)
        try:
            built = conversation.build(plan, data.name)
            if data.fingerprint not in (None, built.dataset_fingerprint):
                raise UsageError(
                    f"data set {data.name} has changed since run {record.id}: its fingerprint was "
                    f"{data.fingerprint} and is {built.dataset_fingerprint}"
                )
            yield session
        except Declined as error:
            raise UsageError(f"{configuration.label}: {error}") from error


def _worker(configuration: Configuration, place: Place | None) -> Session:
    if place is not None:  # the only worker of its configuration: a template would take as long
        return place.session(configuration, None, fresh=True)[0]
    variables = worker_variables(configuration.threads, configuration.device, os.environ)
    return Session(variables, None, silence_seconds=silence_within(None))


#: Scores of float64 weights agree this well, relative to values above 1.
SCORE_TOLERANCE = 1e-9


class WeightsScore(msgspec.Struct, frozen=True):
    """The test scores of a run's weights in another configuration, beside those in its record."""

    weights: str
    """``last`` or ``best``."""
    recorded: Scores
    found: Scores

    @property
    def error(self) -> float:
        """The largest difference of a score, relative if the score is above 1; NaN if one is not finite."""
        pairs = [(self.recorded[name], self.found.get(name)) for name in self.recorded]
        errors = []
        for one, other in pairs:
            if one is not None and other is not None:
                errors.append(abs(one - other) / max(1.0, abs(one)))
            elif one != other:
                return math.nan
        return largest(errors)


def score_weights(
    record: Record, folder: Path, configuration: Configuration, place: Place | None = None
) -> list[WeightsScore]:
    """Score the test data with the weights of the last and of the best epoch of a run.

    Raises as :func:`harness.core.runs.weights.read_weights` and :func:`holding`.
    """
    kept = {"last": record.test_at_last, "best": record.test_at_best}
    if record.weights is not None and record.weights.best is None:
        del kept["best"]
    for which in kept:
        read_weights(record, folder, best=which == "best")
    scores = []
    with holding(record, configuration, place) as session:
        for which, recorded in kept.items():
            path = weights_path(record, folder, best=which == "best")
            session.call(protocol.LoadWeights(str(path)), protocol.Done)
            found = session.call(protocol.Evaluate(["test"]), protocol.Evaluated).scores["test"]
            known = {name: value for name, value in (recorded or {}).items() if name in found}
            scores.append(WeightsScore(which, known, found))
    return scores
