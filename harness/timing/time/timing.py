"""A step of the user's own, timed in several fresh processes, one after the other."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.core.documents.kinds import carry_out, stamp
from harness.core.machine.description import describe_machine
from harness.core.machine.worker_variables import inherited_variables, missing_controls
from harness.timing.engine.findings import FEWEST_FOR_MEDIAN
from harness.timing.engine.pairs import Alternation
from harness.timing.engine.preparation import prepare
from harness.timing.engine.steps.equal_work import WorkRequest, observe_work
from harness.timing.engine.steps.own import OwnStep, TimedStep, step_record
from harness.timing.engine.steps.profiling import profile_sides
from harness.timing.time.record import TIMES, TimeRecord

#: As many as the interval of the step time needs.
PROCESSES = FEWEST_FOR_MEDIAN
#: Single calls of each process, and the seconds in which no more begin. 368 calls give p99 an interval.
_CALLS, _CALL_SECONDS = 200, 3.0


class _Calls(Alternation):
    """Processes of one step, in each of which single calls are timed after the blocks."""

    single: list[float]

    def before_finish(self, workers: dict[int, TimedStep]) -> None:  # type: ignore[override]
        """Time single calls."""
        worker = workers[0]
        worker.session.resume()
        self.single = worker.single_calls(_CALLS, _CALL_SECONDS)
        worker.session.pause()


@dataclass(eq=False)
class StepTiming:
    """The timing of one step, and its record, which is saved after every process."""

    workload: OwnStep
    folder: Path
    say: Callable[[str], None]
    command: list[str]
    processes: int = PROCESSES
    turns: int | None = None
    budget_seconds: float | None = None
    profile: bool = False

    def __post_init__(self) -> None:
        self._start, workload = time.monotonic(), self.workload
        identifier, started_at = stamp(workload.target.short_name)
        self.record = TimeRecord(
            id=identifier,
            started_at=started_at,
            command=self.command,
            machine=describe_machine(),
            step=step_record([workload]),
            inherited_variables=inherited_variables(os.environ, workload.worker_variables(quiet=True)),
            missing_controls=missing_controls(),
        )
        self.path = self.folder / f"{self.record.id}.json"

    def carry_out(self) -> TimeRecord:
        """Time the step. A failure or Ctrl-C ends the timing; finished processes are kept."""
        carry_out(self.record, self._run, self._save)
        return self.record

    def _run(self) -> None:
        record = self.record
        self.say("comparing the values of two processes")
        record.first_values, record.is_deterministic = observe_work(self.workload, WorkRequest().calls)
        self.say("trying it once")
        calls = _Calls([self.workload], "")
        prepared = prepare(calls, None, self.turns)
        record.configurations, record.turns = prepared.records, prepared.turns
        for number in range(1, self.processes + 1):
            seconds = time.monotonic() - self._start + prepared.pair_seconds
            if record.pairs and self.budget_seconds is not None and seconds > self.budget_seconds:
                break
            self.say(f"process {number} of {self.processes}, about {prepared.pair_seconds:.0f} s each")
            record.pairs.append(calls.pair(prepared.steps, prepared.turns))
            record.single_calls.append(calls.single)
            self._save()
        if self.profile:
            record.profiles = profile_sides([self.workload], "", self.say)

    def _save(self) -> None:
        record = self.record
        record.seconds = time.monotonic() - self._start
        TIMES.save(record, self.path.parent)
