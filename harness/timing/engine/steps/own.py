"""Steps of the user's own in the place of tasks: workloads and timed processes."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from harness.core.certify.certificate import Certificate
from harness.core.worker.session import Session
from harness.errors import Declined, UsageError
from harness.timing.engine.record import ConfigurationRecord, ProcessRecord, StepRecord
from harness.timing.engine.sessions import ConfigurationFailed, blaming, ending
from harness.timing.engine.steps.process import (
    Block,
    Called,
    Imported,
    ListImports,
    Made,
    MeasureMemory,
    Sample,
    SingleCalls,
    StepSession,
    StepTarget,
    Timed,
    Used,
)
from harness.timing.engine.timed_worker import TimedProcess
from harness.timing.engine.workloads import Contender

#: The most calls of a step in one request.
_LONGEST_CALL = 1 << 20
#: A process whose values are compared, and that takes longer, is taken to hang.
_PROCESS_LIMIT_SECONDS = 600.0


class OwnStep(Contender, frozen=True, kw_only=True):
    """A step of the user's own as one configuration runs it.

    ``samples`` are those of one call, if the user gave their number. A process that does not answer for
    ``timeout_seconds`` is killed; None: the usual limit.
    """

    target: StepTarget
    samples: int | None = None
    timeout_seconds: float | None = None

    def distinctive(self) -> dict[str, str]:
        """Return the facts of every contender, and the arguments."""
        arguments = {f"argument {name}": str(value) for name, value in self.target.arguments.items()}
        return arguments | super().distinctive()

    def session(
        self,
        variables: Mapping[str, str] | None = None,
        seconds: float = _PROCESS_LIMIT_SECONDS,
        cpus: Iterable[int] | None = None,
    ) -> StepSession:
        """Start a process; raise :class:`ConfigurationFailed` if its interpreter cannot be started."""
        own = self.worker_variables(quiet=True) if variables is None else variables
        deadline = max(seconds, self.timeout_seconds or 0.0)
        with blaming(self.label):
            return StepSession(own, deadline, self.configuration.python, cpus, self.timeout_seconds)

    @contextlib.contextmanager
    def made(self) -> Iterator[tuple[StepSession, Made]]:
        """Yield a process that has made the step; for its errors see :func:`blaming_user`."""
        with ending(self.label, self.session(), blaming_user) as session:
            yield session, session.call(self.target.request(), Made)


class StepRefused(UsageError):
    """A step cannot be made or called as it was asked for; ``label`` names its workload.

    ``reason`` omits the label.
    """

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"{label}: {reason}")
        self.label = label
        self.reason = reason


@contextlib.contextmanager
def blaming_user(label: str, session: Session) -> Iterator[None]:
    """Raise errors as :func:`blaming` does, and wrong input, such as a missing argument, as StepRefused.

    An error that begins with the label, because the label is the target, does not repeat it.
    """
    try:
        with blaming(label, session):
            yield
    except ConfigurationFailed as error:
        if isinstance(error.__cause__, Declined):
            raise StepRefused(label, _without(label, str(error.__cause__))) from error
        raise ConfigurationFailed(label, _without(label, error.reason)) from error.__cause__


def _without(label: str, reason: str) -> str:
    """Return the reason without the label, where it begins with the label as a whole."""
    for end in (": ", " "):
        if reason.startswith(f"{label}{end}"):
            return reason.removeprefix(f"{label}{end}")
    return reason


class TimedStep(TimedProcess):
    """A running process of a step."""

    longest_call = _LONGEST_CALL
    session: StepSession

    def __init__(
        self,
        workload: OwnStep,
        variables: Mapping[str, str],
        deadline_seconds: float,
        cpus: Iterable[int] | None = None,
    ) -> None:
        """Start the process."""
        super().__init__(workload.label, workload.session(variables, deadline_seconds, cpus))
        self._workload = workload
        self.device = _device(variables)
        self.made: Made
        self.built = None
        self.calls = 0
        self.returned: dict[int, Mapping[str, Sample]] = {}

    def blamed(self) -> AbstractContextManager[None]:
        """See :func:`blaming_user`."""
        return blaming_user(self._label, self.session)

    def begin(self, _dataset: str) -> None:
        """Ask the process to make its step, without waiting for it."""
        with self.blamed():
            self.session.send(self._workload.target.request())

    def await_build(self) -> None:
        """Wait for the step."""
        with self.blamed():
            self.made = self.session.receive(Made)

    def make_first_step(self) -> None:
        """Make the first call, in which many frameworks compile."""
        self._first_step_seconds = self.block(1)

    def block(self, steps: int) -> float:
        """Return the seconds of ``steps`` calls."""
        with self.blamed():
            timed = self.session.call(Block(steps), Timed)
        self.calls += steps
        self.returned[self.calls] = timed.values
        return timed.seconds

    def single_calls(self, count: int, seconds: float) -> list[float]:
        """Return the seconds of each of ``count`` calls; no call begins after ``seconds``."""
        with self.blamed():
            return self.session.call(SingleCalls(count, seconds), Called).seconds

    def imported(self) -> Imported:
        """Return the files that the process has imported; it is stopped before and after."""
        with self.blamed():
            imported = self.session.call(ListImports(), Imported)
        self.session.pause()
        return imported

    def even_steps(self, fewest: int) -> int:
        """Return ``fewest``: calls of any number are alike."""
        return fewest

    def unsteady_seconds(self, step_seconds: float) -> float:
        """Return the time of the first call beyond a steady one."""
        return max(0.0, self._first_step_seconds - step_seconds)

    @property
    def batch_size(self) -> int:
        """Samples of a call; 1 where neither the step nor the user gave a number."""
        return self.made.samples or self._workload.samples or 1

    def record(self, variables: dict[str, str], certificate: Certificate | None) -> ConfigurationRecord:
        """Return the configuration as it ran."""
        own = self._workload.configuration
        return ConfigurationRecord(
            label=self._workload.label,
            configuration=own,
            framework=self.made.versions,
            device=self.device,
            batch_size=self.batch_size,
            options={},
            variables=variables,
            certificate=certificate,
            training_flops_per_sample=0,
        )

    def finish(self, *, verify: bool) -> ProcessRecord:
        """Return the record of the process, with its peak memory."""
        with self.blamed():
            used = self.session.call(MeasureMemory(), Used)
        self.session.pause()
        return ProcessRecord(
            import_seconds=self.made.import_seconds,
            build_seconds=self.made.build_seconds,
            first_step_seconds=self._first_step_seconds,
            warm_up_seconds=self._warm_up,
            settled=self._settled,
            measured={"peak_memory_bytes": used.peak_bytes},
        )


def _device(variables: Mapping[str, str]) -> str:
    hidden = variables.get("CUDA_VISIBLE_DEVICES") in {"-1", ""}
    return "cpu" if hidden or not Path("/dev/nvidia0").exists() else "cuda"


def labelled_steps(workloads: Sequence[OwnStep]) -> list[OwnStep]:
    """Give the workloads distinct labels: by their arguments, or else by a letter."""
    letters = "abcdefgh"
    names = [workload.label for workload in workloads]
    if len({*names}) < len(names):
        every = [workload.target.arguments for workload in workloads]
        own = [
            " ".join(f"{name}={value}" for name, value in arguments.items() if _varies(name, every))
            for arguments in every
        ]
        names = [f"{name} {text}".strip() for name, text in zip(names, own, strict=True)]
    if len({*names}) < len(names):
        names = [f"{letter}:{name}" for letter, name in zip(letters, names, strict=False)]
    return [
        msgspec.structs.replace(workload, label=name) for workload, name in zip(workloads, names, strict=True)
    ]


def _varies(name: str, every: Sequence[Mapping[str, Any]]) -> bool:
    return any(arguments.get(name) != every[0].get(name) for arguments in every)


def step_record(workloads: Sequence[OwnStep]) -> StepRecord:
    """Return the record of the requested steps, before any work is compared."""
    return StepRecord(
        targets=[workload.target.target for workload in workloads],
        arguments=[workload.target.arguments for workload in workloads],
        seed=workloads[0].target.seed,
        samples=workloads[0].samples,
    )
