"""A gate from start to end: a few pairs of every benchmark, then fresh pairs of those they do not clear."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from harness.core.documents.kinds import carry_out, stamp
from harness.core.machine.description import describe_machine
from harness.core.plugins import registry
from harness.core.runs.record import DatasetRecord
from harness.errors import HarnessError, UsageError
from harness.timing.engine.pairs import Program
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.workloads import Workload
from harness.timing.environments.environment import Environment, probe, program_of, workload_of
from harness.timing.environments.suite import Benchmark, Suite
from harness.timing.gate.benchmark import BenchmarkComparison
from harness.timing.gate.conclusion import failed, worst_of
from harness.timing.gate.metrics import limits_of
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import GATES, BenchmarkRecord, GateRecord, Stage, Upgrade


class GateObserver(Protocol):
    """An observer of a gate while it runs."""

    def phase(self, benchmark: str, activity: str) -> None:
        """Follow the beginning of ``activity``."""

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """Follow the end of a stage of a benchmark."""

    def confirming(self, benchmark: BenchmarkRecord) -> None:
        """Follow the beginning of one more pair of a benchmark that is not decided."""


def new_record(benchmark: Benchmark, dataset: DatasetRecord) -> BenchmarkRecord:
    """Return the record of a benchmark before anything is measured."""
    backend, _, mode = benchmark.backend.partition(":")
    return BenchmarkRecord(
        name=benchmark.name,
        backend=backend,
        mode=mode,
        task=benchmark.step or benchmark.task,
        options={name: _plain(value) for name, value in benchmark.arguments.items()} or benchmark.options,
        asked=benchmark,
        dataset=msgspec.structs.replace(dataset),
        threads=benchmark.threads or 0,
        limits=benchmark.limits,
        has_reference=_has_reference(benchmark.task),
    )


def _has_reference(task: str) -> bool:
    """Check that backends can be certified on a task; True where it is not known here."""
    try:
        return registry.task(task).reference is not None
    except HarnessError:
        return True


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)


def removed_record(benchmark: Benchmark) -> BenchmarkRecord:
    """Return the record of a benchmark that only base's suite has: it fails, because it was not run."""
    record = new_record(benchmark, DatasetRecord(benchmark.dataset or ""))
    text = "base's suite has this benchmark, head's suite does not"
    hint = "Restore it in head's suite. If the change is intended, use a base with the same change."
    record.verdict, record.reasons = "FAIL", [Reason(kind="removed", text=text, hint=hint)]
    return record


#: The share of the false alarms that trainings over seeds may cause, where trainings are compared.
_TRAINING_SHARE = 0.5
#: Without a budget, the most time of the confirmation of one benchmark, and of its trainings: 20 pairs of
#: 15 s. At 3.4 % noise between pairs, 20 pairs detect a slowdown of 5 % in 9 of 10 gates.
_MOST_SECONDS = 300.0


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The suite to compare, the environments, and the data (one data set for each benchmark).

    For ``suite_difference``, ``new`` and ``removed`` see :class:`SuiteInForce`.
    """

    suite: Suite
    suite_difference: list[str] = []
    new: frozenset[str] = frozenset()
    removed: tuple[Benchmark, ...] = ()
    base: Environment
    head: Environment
    datasets: list[DatasetRecord]
    budget_seconds: float | None = None
    """No pair is started later. None: until all is decided, and at most 5 minutes
    of confirmation for each benchmark that needs it."""
    turns: int | None = None
    upgrade: Upgrade | None = None
    """The requirements of base and head, where they differ in nothing else."""
    profile: bool = False
    """Profile every benchmark; otherwise those whose step time failed."""
    command: list[str] = []
    """The command line that asked for the gate."""


class Gate:
    """One gate and its record, which is saved after each stage of each benchmark."""

    def __init__(self, request: GateRequest, folder: Path, observer: GateObserver) -> None:
        """Probe both environments."""
        self._request, self._observer, self._start = request, observer, time.monotonic()
        identifier, started_at = stamp("gate")
        needs_harness = request.suite.has_tasks
        base, head = probe(request.base, needs_harness=needs_harness), request.head
        self.record = GateRecord(
            id=identifier,
            started_at=started_at,
            machine=describe_machine(),
            command=request.command,
            suite=request.suite.file,
            base=base,
            head=probe(head, needs_harness=needs_harness and not head.failure),
            false_alarms=request.suite.false_alarms,
            suite_difference=request.suite_difference,
            upgrade=request.upgrade,
        )
        self.path = folder / f"{identifier}.json"

    def carry_out(self) -> GateRecord:
        """Run the gate. After Ctrl-C or an error, the record holds what was measured until then.

        An error such as a full disk ends it; the record returned states it in ``failure``.
        """
        try:
            carry_out(self.record, self._measure, self._save)
        except UsageError as error:
            self.record.status, self.record.failure = "failed", str(error)
            with contextlib.suppress(HarnessError):  # the reason that is raised is the one to correct
                if self.path.exists():  # it says that the gate is running
                    self._save()
            raise
        self._conclude()  # again, because the record of one that passed may not have been written
        return self.record

    def _conclude(self) -> None:
        """Set the verdict. A gate that did not end has not passed."""
        record = self.record
        for benchmark in record.benchmarks if record.status in {"interrupted", "failed"} else ():
            is_measured = benchmark.look or benchmark.reasons or not limits_of(benchmark.limits)
            if benchmark.verdict == "PASS" and not is_measured:
                text = "the gate ended before the first pair was made"
                reason = Reason(kind="not measured", text=text, hint="Run the gate again.")
                benchmark.verdict, benchmark.reasons = "INVALID", [reason]
        verdicts = [benchmark.verdict for benchmark in record.benchmarks]
        record.verdict = worst_of(verdicts if record.status == "ok" else [*verdicts, "INVALID"])

    def _save(self) -> None:
        self._conclude()
        self.record.seconds = time.monotonic() - self._start
        GATES.save(self.record, self.path.parent)

    def _judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        self._save()
        self._observer.judged(benchmark, stage)

    def _measure(self) -> None:
        record, request = self.record, self._request
        if request.head.failure:
            record.benchmarks = [
                _not_installed(benchmark, dataset, request.head.failure)
                for benchmark, dataset in zip(request.suite.benchmarks, request.datasets, strict=True)
            ]
            return
        comparisons, deadline = self._comparisons(), self._start + (request.budget_seconds or math.inf)
        record.benchmarks += map(removed_record, request.removed)
        self._save()
        # The first steps of all come first: a budget must not end before a check that is cheap.
        to_measure = [comparison for comparison in comparisons if comparison.check(deadline)]
        for comparison in comparisons:
            if comparison in to_measure:
                comparison.look(deadline)
            self._judged(comparison.record, "look")
        self._confirm([comparison for comparison in comparisons if comparison.record.undecided], deadline)
        for comparison in to_measure:
            if comparison.is_slower or request.profile:
                comparison.profile()

    def _comparisons(self) -> list[BenchmarkComparison]:
        """Return the comparisons that can be run; the records of other benchmarks have their verdict."""
        suite = self._request.suite
        may_train = [
            benchmark for benchmark in suite.benchmarks if benchmark.limits.max_accuracy_loss is not None
        ]
        worse_level = _TRAINING_SHARE * suite.false_alarms / max(1, len(may_train))
        every = [
            self._comparison(benchmark, dataset, worse_level)
            for benchmark, dataset in zip(suite.benchmarks, self._request.datasets, strict=True)
        ]
        return [comparison for comparison in every if comparison is not None]

    def _comparison(
        self, benchmark: Benchmark, dataset: DatasetRecord, worse_level: float
    ) -> BenchmarkComparison | None:
        request, record = self._request, new_record(benchmark, dataset)
        self.record.benchmarks.append(record)
        try:
            # Head first: a name that neither knows fails head; base would leave nothing to compare with.
            head = self._head(benchmark)
            record.threads = head.configuration.threads
            if isinstance(head, Workload):
                record.mode, record.options = head.plan.mode, head.options
            base = program_of(request.base, benchmark, request.head)
            if isinstance(base, OwnStep) and isinstance(head, OwnStep):
                self._state_files(base, head)
        except ConfigurationFailed as error:
            record.verdict, reason = failed(error)
            record.reasons = [reason]
            return None

        def say(line: str) -> None:
            self._observer.phase(benchmark.name, line)

        most_seconds = _MOST_SECONDS if request.budget_seconds is None else math.inf
        return BenchmarkComparison(
            benchmark,
            [base, head],
            record,
            say,
            request.turns,
            worse_level,
            most_seconds,
            is_new=benchmark.name in request.new,
        )

    def _state_files(self, base: OwnStep, head: OwnStep) -> None:
        """State whose file of a step runs, where base and head do not simply run the same one."""
        place = base.target.target.rpartition(":")[0]
        if base.target.lacks_file:
            caution = f"base has no {place}: head's is used, with what base imports"
        elif (ours := base.target.content) != head.target.content and ours is not None:
            caution = f"head changes {place}, and each side runs its own"
        else:
            return
        self.record.base.cautions.append(caution)

    def _head(self, benchmark: Benchmark) -> Program:
        head = self._request.head
        try:
            return program_of(head, benchmark, head)
        except ConfigurationFailed as error:
            plain = msgspec.structs.replace(benchmark, options={})
            if not benchmark.options or self._defines(benchmark, self._request.base):
                raise
            if not self._defines(plain, head):
                raise
            where = f"{self._request.suite.file}: benchmark {benchmark.name}: set"
            raise UsageError(f"{where}: {error.reason}") from error
        except UsageError as error:
            if not self._defines(benchmark, self._request.base):
                raise
            raise ConfigurationFailed(head.label, str(error)) from error

    def _defines(self, benchmark: Benchmark, environment: Environment) -> bool:
        """Check that an environment knows all names of a benchmark."""
        try:
            workload_of(environment, benchmark)
        except HarnessError:
            return False
        return True

    def _confirm(self, undecided: list[BenchmarkComparison], deadline: float) -> None:
        """Make more pairs of all in turn, until each is decided or out of time."""
        level = self._level()
        for comparison in undecided:
            comparison.judge(level)
            if not comparison.record.undecided:
                self._judged(comparison.record, "confirmation")
        undecided = [comparison for comparison in undecided if comparison.record.undecided]
        while undecided:
            still_undecided = []
            for comparison in undecided:
                self._observer.confirming(comparison.record)
                if comparison.confirm(level, deadline):
                    still_undecided.append(comparison)
                    self._save()
                else:
                    self._judged(comparison.record, "confirmation")
            undecided = still_undecided

    def _level(self) -> Callable[[], float]:
        """Return a function that returns the present level of the proof that a metric is worse.

        Holm's rule shares it among all metrics of the suite that have not failed, those that passed included:
        their number must not depend on the pairs. Trainings that were compared, whose differences no noise of
        the clock decides, have a share of their own.
        """
        record = self.record
        qualities = [benchmark.quality for benchmark in record.benchmarks]
        trained = any(quality is not None and quality.seeds for quality in qualities)
        allowed = record.false_alarms * (1 - _TRAINING_SHARE if trained else 1.0)
        metrics = sum(len(limits_of(benchmark.limits)) for benchmark in self._request.suite.benchmarks)

        def level() -> float:
            results = [result for benchmark in record.benchmarks for result in benchmark.metrics]
            worse = sum(result.verdict == "FAIL" for result in results)
            return allowed / max(1, metrics - worse)

        return level


def _not_installed(benchmark: Benchmark, dataset: DatasetRecord, failure: str) -> BenchmarkRecord:
    """Return the record of a benchmark that base can run, and head cannot: pip failed for it."""
    record = new_record(benchmark, dataset)
    hint = "Base was installed. Install head alone with pip to see the whole error."
    record.verdict, record.reasons = "FAIL", [Reason(kind="failed", text=failure, hint=hint)]
    return record
