"""A worker process of base or head that trains: losses of first steps, and whole trainings. No times."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from harness.core.certify.certificate import Losses
from harness.core.training.batches import BatchOrder
from harness.core.training.measures import Scores
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.spec.backend import Plan, Precision
from harness.timing.engine.pairs import PROCESS_LIMIT_SECONDS
from harness.timing.engine.sessions import blaming, ending, session_of
from harness.timing.engine.workloads import Workload

#: Steps of one request, so that the worker answers long before its silence is taken for a hang.
_MOST_STEPS = 200


class FirstSteps(NamedTuple):
    """The losses of the first steps in a precision, and the validation scores after them.

    ``fingerprint`` is that of the data, ``framework`` what the backend reports about itself.
    """

    precision: Precision
    losses: Losses
    scores: Scores
    fingerprint: str = ""
    framework: dict[str, str] | None = None
    memory_ran_out: bool = False
    """Nothing was computed for lack of memory."""


class Curve(NamedTuple):
    """The validation scores after each epoch of a training.

    It ``diverged`` if any of its losses was not finite.
    """

    scores: list[Scores]
    diverged: bool = False


class TrainingWorker:
    """One process of base or head. Use :func:`training_worker`, which ends it."""

    def __init__(self, workload: Workload, session: Session, dataset: str) -> None:
        configuration = workload.configuration
        self._workload = workload
        self._session = session
        self._dataset = dataset
        self._conversation = Conversation(session, configuration.backend, configuration.threads)

    def first_steps(self, precision: Precision, steps: int) -> FirstSteps:
        """Train ``steps`` steps; raise :class:`Declined` if the backend does not offer the precision."""
        plan = msgspec.structs.replace(self._workload.plan, precision=precision)
        order, fingerprint = self._build(plan)
        losses: Losses = []
        while len(losses) < steps:
            count = min(order.run_length(len(losses)), steps - len(losses))
            losses += self._session.call(protocol.Train(count), protocol.Trained).losses
        framework = self._conversation.describe().environment
        return FirstSteps(precision, losses, self._validation(), fingerprint, framework)

    def curve(self, seed: int) -> Curve:
        """Train all epochs with a seed. The time limit of the process applies to each epoch."""
        plan = msgspec.structs.replace(self._workload.plan, seed=seed)
        order, _ = self._build(plan)
        scores: list[Scores] = []
        finite = True
        for epoch in range(plan.task.epochs):
            self._session.renew_deadline()
            step = epoch * order.steps_per_epoch
            while step < (epoch + 1) * order.steps_per_epoch:
                count = min(order.run_length(step), _MOST_STEPS)
                trained = self._session.call(protocol.Train(count), protocol.Trained)
                finite = finite and all(value is not None for row in trained.losses for value in row)
                step += count
            scores.append(self._validation())
        return Curve(scores, diverged=not finite)

    def blamed(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that blames the workload: see :func:`harness.timing.engine.sessions.blaming`."""
        return blaming(self._workload.label, self._session)

    def end(self) -> None:
        """End the process at once; a thread that waits for its answer gets an error."""
        self._session.kill()

    def _build(self, plan: Plan) -> tuple[BatchOrder, str]:
        """Build, and return the batch order of the training and the fingerprint of the data."""
        built = self._conversation.build(plan, self._dataset)
        return BatchOrder.of_task(plan.task, built.samples["train"], plan.seed), built.dataset_fingerprint

    def _validation(self) -> Scores:
        evaluated = self._session.call(protocol.Evaluate(["validation"]), protocol.Evaluated)
        return evaluated.scores["validation"]


@contextlib.contextmanager
def training_worker(
    workload: Workload, dataset: str, cpus: Iterable[int] | None = None
) -> Iterator[TrainingWorker]:
    """Yield a worker of this workload, on ``cpus`` or else on those of its variables."""
    variables, python = workload.worker_variables(quiet=True), workload.configuration.python
    session = session_of(workload.label, variables, PROCESS_LIMIT_SECONDS, python, cpus)
    with ending(workload.label, session):
        yield TrainingWorker(workload, session, dataset)
