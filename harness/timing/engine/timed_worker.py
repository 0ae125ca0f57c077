"""A running process of a configuration: started, warmed up, and asked for blocks of steady steps."""

import contextlib
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from harness.core.audit.audit import AuditedTraining
from harness.core.audit.segments import Work
from harness.core.certify.certificate import Certificate
from harness.core.stats import settling
from harness.core.training.batches import BatchOrder
from harness.core.training.counts import samples_of_step
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError
from harness.spec.task import training_flops_per_sample
from harness.timing.engine.record import ConfigurationRecord, ProcessRecord
from harness.timing.engine.sessions import blaming, session_of
from harness.timing.engine.workloads import Workload


class TimedProcess:
    """A process that is timed. It is stopped (SIGSTOP) except while it works, and leaves nothing behind.

    Every request raises :class:`ConfigurationFailed` if the process fails, hangs or
    declines.
    """

    def __init__(self, label: str, session: Session) -> None:
        self._label, self.session = label, session
        self._first_step_seconds = 0.0
        self._warm_up: list[float] = []
        self._settled = False

    def blamed(self) -> AbstractContextManager[None]:
        """Return a context that raises errors as those of the workload: see :func:`blaming`."""
        return blaming(self._label, self.session)

    def block(self, steps: int) -> float:
        """Return the seconds of ``steps`` steps of the full batch size."""
        raise NotImplementedError

    def warm_up(self, steps: int) -> None:
        """Make blocks until their times have settled; see :mod:`harness.core.stats.settling`."""
        while not self._settled and not settling.is_hopeless(self._warm_up):
            self._warm_up.append(self.block(steps))
            self._settled = settling.has_settled(self._warm_up)
            self.read_state()

    def read_state(self) -> None:
        """Read the state from which the next block can be recomputed; nothing where nothing is recomputed."""

    def end(self) -> None:
        """End the process, paused or not, and remove all that is left of it."""
        self.session.kill_and_close()


class TimedWorker(TimedProcess):
    """A worker of one workload; ``steps`` counts all steps made so far."""

    def __init__(
        self,
        workload: Workload,
        variables: Mapping[str, str],
        deadline_seconds: float,
        cpus: Iterable[int] | None = None,
    ) -> None:
        configuration = workload.configuration
        session = session_of(workload.label, variables, deadline_seconds, configuration.python, cpus)
        super().__init__(workload.label, session)
        self._workload, self._plan = workload, workload.plan

        def start() -> Session:
            """Start another worker like this one, on the CPUs of its variables."""
            return session_of(workload.label, variables, deadline_seconds, configuration.python)

        self._start = start
        self._backend = configuration.backend
        self._audit: AuditedTraining
        self._states = contextlib.ExitStack()
        self._dataset = ""
        self._conversation = Conversation(self.session, configuration.backend, configuration.threads)
        self.steps = 0
        self._lengths: set[int] = set()
        self._called: set[tuple[int, bool]] = set()
        self._first_call_steps, self._first_call_seconds = 0, 0.0
        self.described: protocol.Described
        self.built: protocol.Built

    def begin(self, dataset: str) -> None:
        """Ask the process to import and build, without waiting for it."""
        self._dataset = dataset
        with self.blamed():
            self._conversation.request_program(self._plan, dataset)

    def await_build(self) -> None:
        """Wait for the answers to :meth:`begin`."""
        with self.blamed():
            self.described = self._conversation.describe()
            self.built = self._conversation.receive_program()
            order = BatchOrder.of_task(self._plan.task, self.built.samples["train"], self._plan.seed)
            work = Work(self._backend, self._plan, self._dataset, order, self._start)
            self._audit = AuditedTraining(self.session, work)
            self._states.callback(self._audit.close)

    @property
    def order(self) -> BatchOrder:
        """The order of its samples."""
        return self._audit.order

    def make_first_step(self) -> None:
        """Make the first step, in which many frameworks compile."""
        with self.blamed():
            self._first_step_seconds = self._train(1)
            self._first_call_steps, self._first_call_seconds = 0, 0.0

    def _train(self, steps: int) -> float:
        length = steps, self.steps % self.order.steps_per_epoch == self.order.full_steps
        trained = self._audit.train(steps)
        if length not in self._called:
            self._called.add(length)
            self._first_call_steps += steps
            self._first_call_seconds += trained.seconds
        self.steps += steps
        if any(loss is None for losses in trained.losses for loss in losses):
            raise HarnessError(f"a loss within the first {self.steps} steps is not finite")
        return trained.seconds

    def unsteady_seconds(self, step_seconds: float) -> float:
        """Return the time of the first step and of first calls beyond steady steps of ``step_seconds``.

        The first call of each length may compile; the first short batch comes late. Other calls only vary
        with the load of the machine.
        """
        excess = self._first_call_seconds - self._first_call_steps * step_seconds
        return self._first_step_seconds + max(0.0, excess)

    def block(self, steps: int) -> float:
        """Return the seconds of ``steps`` steps of the full batch size: a part of an epoch, or whole epochs.

        Steps that are made but not counted: the rest of an epoch into which no whole part fits, its short
        last batch, and the first call of each length.
        """
        part = min(steps, self.order.full_steps)
        with self.blamed():
            if part not in self._lengths:
                self._part(part)
                self._lengths.add(part)
            return math.fsum(self._part(part) for _ in range(steps // part))

    def _part(self, steps: int) -> float:
        order = self.order
        while order.run_length(self.steps) < steps or self.steps % order.steps_per_epoch == order.full_steps:
            self._train(order.run_length(self.steps))
        return self._train(steps)

    @property
    def device(self) -> str:
        """The device, as the backend names it."""
        return self.built.device

    @property
    def batch_size(self) -> int:
        """Samples of a step."""
        return samples_of_step(self._workload.task, self.built.samples["train"])

    def record(self, variables: dict[str, str], certificate: Certificate | None) -> ConfigurationRecord:
        """Return the configuration as it ran."""
        workload, configuration = self._workload, self._workload.configuration
        return ConfigurationRecord(
            label=workload.label,
            configuration=configuration,
            framework=self.described.environment,
            device=self.device,
            batch_size=self.batch_size,
            options=workload.options,
            variables=variables,
            certificate=certificate,
            training_flops_per_sample=training_flops_per_sample(workload.task),
        )

    @property
    def longest_call(self) -> int:
        """The most steps that one call can make."""
        return self.order.full_steps

    def even_steps(self, fewest: int) -> int:
        """Return at least ``fewest`` steps, in calls of one length."""
        return self.order.even_steps(fewest)

    def read_state(self) -> None:
        """Read the state if the pace of readings asks for it, so that blocks can be recomputed."""
        with self.blamed():
            self._audit.read()

    def finish(self, *, verify: bool) -> ProcessRecord:
        """Return the record of the process, with its peak memory; ``verify`` its work too.

        This is the last request before the process is ended.
        """
        with self.blamed():
            self._audit.read(last=True)
            measured = self.session.call(protocol.Measure(), protocol.Measured).values
            verification = self._audit.verify() if verify else None
        self.session.pause()
        return ProcessRecord(
            import_seconds=self.described.import_seconds,
            build_seconds=self.built.build_seconds,
            first_step_seconds=self._first_step_seconds,
            first_call_steps=self._first_call_steps,
            first_call_seconds=self._first_call_seconds,
            warm_up_seconds=self._warm_up,
            settled=self._settled,
            measured=measured,
            first_losses=self._audit.first_losses,
            verification=verification,
        )

    def end(self) -> None:
        """End the process, and delete its saved states."""
        super().end()
        self._states.close()
