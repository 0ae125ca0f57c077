"""The work of a run: sampled while it trains, and recomputed when everything else is done."""

import random
import time
from collections.abc import Mapping

from harness.plugins import registry
from harness.runs.record import Record
from harness.runs.request import RunRequest
from harness.spec.task import Adversarial, Task
from harness.testing.losses import Losses
from harness.testing.replay import Verification, Verifier
from harness.training.batches import BatchOrder
from harness.training.measures import Scores
from harness.worker import protocol
from harness.worker.limits import silence_within
from harness.worker.repetition import Recomputer
from harness.worker.sampled_work import SampledWork
from harness.worker.session import Session
from harness.worker.verification import verify, verify_elsewhere
from harness.worker.work_sampler import WorkSampler

_CHANCE = random.SystemRandom()
#: States are saved after this share of blocks, as far as saving takes at most this share of the training.
_SAVED_BLOCKS = 0.5
_SAVING_SHARE = 0.005
#: ... or this time, so that a short run has samples of all its parts.
_LEAST_SAVING_SECONDS = 0.05
#: Scores are recomputed where it takes no more operations than this.
_CHEAP_FLOPS = 1e10
#: What saving and verification may take: this share of the run. Of a short run so many steps are repeated all
#: the same.
_SHARE = 0.02
_FEWEST_STEPS = 9
#: A program that takes longer than this to build repeats its own work instead of a second one ...
_LONGEST_BUILD_SECONDS = 2.0
#: ... and one that compiles, whose first step takes longer than this and than this share of that time.
_LONGEST_FIRST_STEP_SECONDS = 0.4
_FIRST_STEP_SHARE = 0.5


class RunWork:
    """Samples the work of a run, and has it recomputed."""

    def __init__(
        self, session: Session, request: RunRequest, order: BatchOrder, sampler: WorkSampler
    ) -> None:
        self._session = session
        self._request = request
        self._order = order
        self._sampler = sampler
        self._start = time.monotonic()
        self._training_seconds = self._saving_seconds = 0.0
        total = order.steps_per_epoch * request.plan.task.epochs
        self._total_steps = min(total, request.max_steps or total)

    def trained(self, trained: protocol.Trained, step: int, *, last: bool) -> None:
        """A block has ended, after which ``step`` steps have been made; ``last`` if there is no other."""
        start = time.monotonic()
        self._sampler.trained(trained)
        self._training_seconds += trained.seconds
        if last and self._is_compared:
            self._sampler.save_last()
        if not last and self._is_saved(step):
            self._sampler.save(step)
        self._saving_seconds += time.monotonic() - start

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self._sampler.first_losses

    def _is_saved(self, step: int) -> bool:
        if self._sampler.complete is None:
            return True
        # The part of the time that the training so far may use, or nothing would be left for its end.
        least = _LEAST_SAVING_SECONDS * step / self._total_steps
        affordable = self._saving_seconds <= max(least, _SAVING_SHARE * self._training_seconds)
        return affordable and _CHANCE.random() < _SAVED_BLOCKS

    def verify(self, record: Record) -> Verification:
        """Recompute a sample as thoroughly as the time that the run took allows.

        Raises:
            WorkDiffers: the work was not what a second program computes.
        """
        request = self._request
        work = SampledWork(
            self._sampler,
            request.backend,
            request.plan,
            record.dataset.name,
            self._order,
            self._is_certified,
            _cheap_scores(record, request.plan.task) if self._is_compared else None,
        )
        phases = record.phases
        before = (phases.import_seconds or 0.0) + (phases.data_seconds or 0.0) + (phases.build_seconds or 0.0)
        affordable = _SHARE * (before + time.monotonic() - self._start) - self._saving_seconds
        verifier = self._verifier(record, affordable)
        if verifier != "other process":
            by = Recomputer(self._session, verifier, affordable, _FEWEST_STEPS)
            return verify(work, by)
        return verify_elsewhere(work, lambda variables: self._other_session(record, variables), affordable)

    @property
    def _is_certified(self) -> bool:
        certificate = self._request.certificate
        return certificate is not None and certificate.certified

    @property
    def _is_compared(self) -> bool:
        """Whether the harness's own program compares it."""
        return self._is_certified and registry.is_third_party(self._request.backend)

    def _other_session(self, record: Record, variables: Mapping[str, str]) -> Session:
        limit = self._request.timeout_seconds
        return Session({**record.worker_variables, **variables}, limit, silence_seconds=silence_within(limit))

    def _verifier(self, record: Record, affordable_seconds: float) -> Verifier:
        """A process of its own hides most from a program; the same program compiles nothing again.

        Backends of others are verified in a process of their own whatever it takes: their faults are unknown.
        """
        if registry.is_third_party(self._request.backend):
            return "other process"
        phases = record.phases
        sample = max((sample.seconds for sample in self._sampler.samples), default=0.0)
        first_step = phases.first_step_seconds or 0.0
        build = (phases.build_seconds or 0.0) + first_step
        start = (phases.import_seconds or 0.0) + (phases.data_seconds or 0.0)
        if start + build + 2 * sample <= affordable_seconds:
            return "other process"
        compiles = first_step > max(_LONGEST_FIRST_STEP_SECONDS, _FIRST_STEP_SHARE * affordable_seconds)
        cheap = build <= max(_LONGEST_BUILD_SECONDS, affordable_seconds) and not compiles
        return "second program" if cheap or not self._sampler.complete else "same program"


def _cheap_scores(record: Record, task: Task) -> Scores | None:
    """The scores of the test data, where plain NumPy computes them in a few seconds.

    Those of generated pictures take longer than the pictures, whoever made them.
    """
    if isinstance(task.objective, Adversarial):
        return None
    samples = (record.dataset.samples or {}).get("test", 0)
    cheap = samples * record.forward_flops_per_sample <= _CHEAP_FLOPS
    return record.test_at_last if cheap else None
