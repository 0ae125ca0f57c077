"""A worker process of base or head that trains: losses of first steps, and whole trainings. No times."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec

from harness.core.certify.certificate import Losses
from harness.core.machine.cpus import places_to_start
from harness.core.training.batches import BatchOrder
from harness.core.training.measures import Scores
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.errors import Declined, MemoryRanOut, WorkerLost
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
    """The validation scores after each epoch of a training, and the steps made by then.

    A training ``diverged`` if any of its losses was not finite.
    """

    steps: list[int]
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
        """Train ``steps`` steps; raises :class:`Declined` if the backend does not offer the precision."""
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
        steps: list[int] = []
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
            steps.append(step)
            scores.append(self._validation())
        return Curve(steps, scores, diverged=not finite)

    def blamed(self) -> contextlib.AbstractContextManager[None]:
        """See :func:`harness.timing.engine.sessions.blaming`."""
        return blaming(self._workload.label, self._session)

    def end(self) -> None:
        """End the process at once; a thread that waits for its answer gets an error."""
        self._session.kill()

    def _build(self, plan: Plan) -> tuple[BatchOrder, str]:
        """The batch order of the training, and the fingerprint of the data."""
        built = self._conversation.build(plan, self._dataset)
        return BatchOrder.of_task(plan.task, built.samples["train"], plan.seed), built.dataset_fingerprint

    def _validation(self) -> Scores:
        evaluated = self._session.call(protocol.Evaluate(["validation"]), protocol.Evaluated)
        return evaluated.scores["validation"]


@contextlib.contextmanager
def training_worker(
    workload: Workload, dataset: str, cpus: Iterable[int] | None = None
) -> Iterator[TrainingWorker]:
    """A worker of this workload, on ``cpus`` or else on those of its variables.

    Raises:
        ConfigurationFailed: it could not start or failed; with the last lines of its output.
    """
    variables, python = workload.worker_variables(quiet=True), workload.configuration.python
    session = session_of(workload.label, variables, PROCESS_LIMIT_SECONDS, python, cpus)
    with ending(workload.label, session):
        yield TrainingWorker(workload, session, dataset)


# The first training steps of base and head, made to be compared.
#
# Both make the same steps in float64, where rounding leaves about 1e-15 and any other formula shows, and
# again in the precision that is timed; then they are scored. :mod:`harness.timing.gate.quality` judges them.

_EXACT_STEPS = 20
#: Only the first few in the precision that is timed: later, rounding alone makes equal trainings differ.
_TIMED_STEPS = 3


def first_steps_of(workloads: Sequence[Workload], dataset: str) -> list[list[FirstSteps]]:
    """The first steps of base and head (``workloads``).

    Raises:
        ConfigurationFailed: one of them failed.
    """
    # Head first: what neither can do fails head, not base, which would leave nothing to compare with.
    order = [*reversed(workloads)]
    made = _side_by_side(order, dataset)
    return [*reversed(made or [observe(workload, dataset) for workload in order])]


def observe(workload: Workload, dataset: str) -> list[FirstSteps]:
    """The first steps in float64, if the backend offers it and memory suffices, and in the timed precision.

    Raises:
        ConfigurationFailed: the worker failed.
    """
    precision = workload.plan.precision
    exact = [FirstSteps("float64", [], {}, memory_ran_out=True)] if precision != "float64" else []
    with training_worker(workload, dataset) as worker, contextlib.suppress(MemoryRanOut):
        exact = _exact_steps(worker)
        return _with_timed_steps(exact, worker, precision)
    # Memory that suffices for the timed precision need not suffice for float64, nor for both at once.
    with training_worker(workload, dataset) as worker:
        return _with_timed_steps(exact, worker, precision)


def _side_by_side(workloads: Sequence[Workload], dataset: str) -> list[list[FirstSteps]] | None:
    """The first steps of both at the same time, which is sound because nothing is timed.

    None where that is not possible: it takes a CPU for each thread of both and memory for both, and one may
    have read data while the other was writing it.

    Raises:
        ConfigurationFailed: one of them failed; the first if several did.
    """
    places = places_to_start([workload.worker_variables(quiet=True) for workload in workloads])
    if places is None or len({cpu for place in places for cpu in place}) < sum(map(len, places)):
        return None
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(training_worker(workload, dataset, cpus))
            for workload, cpus in zip(workloads, places, strict=True)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(len(workloads)))
        try:
            futures = [
                pool.submit(_first_steps, worker, workload.plan.precision)
                for worker, workload in zip(workers, workloads, strict=True)
            ]
            observed = [future.result() for future in futures]
        except BaseException as error:
            for worker in workers:  # the pool waits for its threads, and these for the workers
                worker.end()
            if _is_lack_of_memory(error.__cause__):
                return None
            raise
    return observed if len({steps[-1].fingerprint for steps in observed}) == 1 else None


def _is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether a worker may have failed for lack of memory: it said so, or the kernel killed it."""
    return isinstance(error, MemoryRanOut) or (
        isinstance(error, WorkerLost) and error.signal_name == "SIGKILL"
    )


def _first_steps(worker: TrainingWorker, precision: Precision) -> list[FirstSteps]:
    with worker.blamed():
        return _with_timed_steps(_exact_steps(worker), worker, precision)


def _exact_steps(worker: TrainingWorker) -> list[FirstSteps]:
    """Those in float64; nothing if the backend does not offer it."""
    try:
        return [worker.first_steps("float64", _EXACT_STEPS)]
    except Declined:
        return []


def _with_timed_steps(
    exact: list[FirstSteps], worker: TrainingWorker, precision: Precision
) -> list[FirstSteps]:
    if exact and precision == "float64":
        return exact
    return [*exact, worker.first_steps(precision, _TIMED_STEPS)]
