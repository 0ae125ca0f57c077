"""A worker of one side that is asked what it learns, not how fast: losses, scores, whole trainings."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from harness.duel.timed_worker import blaming, session_of
from harness.duel.workloads import Workload
from harness.spec.backend import Plan, Precision
from harness.testing.observation import Losses
from harness.training.batches import BatchOrder
from harness.training.measures import Scores
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.session import Session

#: Of one request, so that the worker answers long before its silence is taken for a hang.
_MOST_STEPS = 200


class Maths(NamedTuple):
    """The losses of the first steps in a precision, validation scores after them, and of what they are."""

    precision: Precision
    losses: Losses
    scores: Scores
    fingerprint: str = ""
    framework: dict[str, str] | None = None
    memory_ran_out: bool = False
    """Nothing could be computed for want of memory."""


class Curve(NamedTuple):
    """Validation scores after each epoch of a training, and the steps made by then.

    A training ``diverged`` where any of its losses was not finite.
    """

    steps: list[int]
    scores: list[Scores]
    diverged: bool = False


class Learner:
    """One process of a side. Use :func:`learner`, which ends it."""

    def __init__(self, side: Workload, session: Session, dataset: str) -> None:
        self._side = side
        self._session = session
        self._dataset = dataset
        self._conversation = Conversation(session, side.backend, side.plan.threads)

    def maths(self, precision: Precision, steps: int) -> Maths:
        """What the first ``steps`` steps come to; raises :class:`Declined` where the backend cannot."""
        plan = msgspec.structs.replace(self._side.plan, precision=precision)
        order, fingerprint = self._build(plan)
        losses: Losses = []
        while len(losses) < steps:
            count = min(order.run_length(len(losses)), steps - len(losses))
            losses += self._session.call(protocol.Train(count), protocol.Trained).losses
        return Maths(
            precision, losses, self._validation(), fingerprint, self._conversation.describe().environment
        )

    def curve(self, seed: int) -> Curve:
        """A whole training with this seed. The side's time limit is for each epoch, not for all of them."""
        plan = msgspec.structs.replace(self._side.plan, seed=seed)
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

    def _build(self, plan: Plan) -> tuple[BatchOrder, str]:
        """In which order it will train, and the fingerprint of the data."""
        built = self._conversation.build(plan, self._dataset)
        return BatchOrder.of_task(plan.task, built.samples["train"], plan.seed), built.dataset_fingerprint

    def blamed(self) -> contextlib.AbstractContextManager[None]:
        """See :func:`harness.duel.timed_worker.blaming`."""
        return blaming(self._side.label, self._session)

    def end(self) -> None:
        """End its process at once; whoever waits for an answer is told."""
        self._session.kill()

    def _validation(self) -> Scores:
        evaluated = self._session.call(protocol.Evaluate(["validation"]), protocol.Evaluated)
        return evaluated.scores["validation"]


@contextlib.contextmanager
def learner(
    side: Workload, dataset: str, limit_seconds: float, cpus: Iterable[int] | None = None
) -> Iterator[Learner]:
    """A learner of this side, on these CPUs or else on those of its settings.

    Raises:
        ConfigurationFailed: it could not start or failed at work; with what its worker said last.
    """
    session = session_of(side.label, side.settings(quiet=True), limit_seconds, side.python, cpus)
    try:
        made = Learner(side, session, dataset)
        with made.blamed():
            yield made
    finally:
        session.kill_and_close()


def best(values: list[float | None], *, higher_is_better: bool) -> float | None:
    """The best of the scores that are finite; None where none is."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return (max if higher_is_better else min)(finite, default=None)
