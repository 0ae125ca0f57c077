"""``harness time``: a step of the user's own, timed in several fresh processes, one after the other."""

import time
from collections.abc import Callable
from pathlib import Path

from harness.duel.own_steps import OwnStep, TimedStep, WorkRequest, observe_work, step_record
from harness.duel.pairs import Alternation
from harness.duel.preparation import prepare
from harness.duel.profiles import profile_sides
from harness.duel.record import TIMES, TimeRecord
from harness.machine.description import describe_machine
from harness.machine.worker_variables import inherited_variables, missing_controls
from harness.runs.documents import carry_out, stamp

PROCESSES = 5
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


class StepTiming:
    """The timing of one step, and its record, which is saved after every process."""

    def __init__(
        self,
        workload: OwnStep,
        folder: Path,
        say: Callable[[str], None],
        *,
        command: list[str],
        processes: int = PROCESSES,
        turns: int | None = None,
        budget_seconds: float | None = None,
        profile: bool = False,
    ) -> None:
        self._profile = profile
        self._workload, self._say, self._turns = workload, say, turns
        self._processes, self._budget_seconds = processes, budget_seconds
        self._start = time.monotonic()
        identifier, started_at = stamp(workload.target.short_name)
        self.record = TimeRecord(
            id=identifier,
            started_at=started_at,
            command=command,
            machine=describe_machine(),
            step=step_record([workload]),
            inherited_variables=inherited_variables({}, workload.worker_variables(quiet=True)),
            missing_controls=missing_controls(),
        )
        self.path = folder / f"{self.record.id}.json"

    def carry_out(self) -> TimeRecord:
        """Time it. A failure or Ctrl-C ends it; finished processes are kept.

        Raises:
            UsageError: the step cannot be made as it was asked for.
        """
        carry_out(self.record, self._run, self._save)
        return self.record

    def _run(self) -> None:
        record = self.record
        self._say("comparing the values of two processes")
        record.first_values, record.is_deterministic = observe_work(self._workload, WorkRequest().calls)
        self._say("trying it once")
        calls = _Calls([self._workload], "")
        prepared = prepare(calls, None, self._turns)
        record.configurations, record.turns = prepared.records, prepared.turns
        for number in range(1, self._processes + 1):
            if record.pairs and self._is_spent(prepared.pair_seconds):
                break
            self._say(f"process {number} of {self._processes}, about {prepared.pair_seconds:.0f} s each")
            record.pairs.append(calls.pair(prepared.steps, prepared.turns))
            record.single_calls.append(calls.single)
            self._save()
        if self._profile:
            record.profiles = profile_sides([self._workload], "", self._say)

    def _is_spent(self, seconds: float) -> bool:
        budget = self._budget_seconds
        return budget is not None and time.monotonic() - self._start + seconds > budget

    def _save(self) -> None:
        record = self.record
        record.seconds = time.monotonic() - self._start
        TIMES.save(record, self.path.parent)
