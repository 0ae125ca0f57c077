"""The work of a timed process: sampled once while it is timed, and recomputed before the process ends."""

from harness.duel.workloads import Workload
from harness.plugins import registry
from harness.testing.losses import Losses
from harness.testing.replay import Verification, Verifier
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.independent import Start
from harness.worker.repetition import Recomputer
from harness.worker.sampled_work import SampledWork
from harness.worker.session import Session
from harness.worker.verification import verify, verify_elsewhere
from harness.worker.work_sampler import WorkSampler

#: A program that takes longer than this to build again recomputes its own work instead.
_SECOND_PROGRAM_SECONDS = 2.0


class TimedWork:
    """Samples the work of one process. :meth:`close` it with the process."""

    def __init__(
        self, session: Session, workload: Workload, another: Start, *, certified: bool = False
    ) -> None:
        """``another`` starts a process like that of ``session``; ``certified`` is the workload."""
        self._certified = certified
        self._session = session
        self._workload = workload
        self._another = another
        self._sampler = WorkSampler(session, kept=1)

    def trained(self, trained: protocol.Trained) -> None:
        """A call of the process has ended."""
        self._sampler.trained(trained)

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self._sampler.first_losses

    def save(self, step: int) -> None:
        """Save the state before this step; the next blocks are the sample."""
        self._sampler.save(step)

    def verify(self, dataset: str, order: BatchOrder, new_program_seconds: float) -> Verification:
        """Recompute the sample; ``new_program_seconds`` were those of the build and the first step.

        Raises:
            WorkDiffers: the work was not what a second program computes.
        """
        plan, backend = self._workload.plan, self._workload.configuration.backend
        work = SampledWork(self._sampler, backend, plan, dataset, order, self._certified)
        if registry.is_third_party(backend):
            return verify_elsewhere(work, self._another, seconds=0.0)
        quick = new_program_seconds <= _SECOND_PROGRAM_SECONDS or not self._sampler.complete
        verifier: Verifier = "second program" if quick else "same program"
        return verify(work, Recomputer(self._session, verifier, seconds=0.0))

    def close(self) -> None:
        """Delete the saved states."""
        self._sampler.close()
