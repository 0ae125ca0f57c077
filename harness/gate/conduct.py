"""A gate from end to end: a look at every benchmark, then fresh pairs for those that look suspicious."""

from pathlib import Path

import msgspec

from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.errors import UsageError
from harness.gate.benchmark import BenchmarkComparison, failed
from harness.gate.environments import Environment, probe, workload_of
from harness.gate.judgement import Level
from harness.gate.reasons import Removed, Replaced
from harness.gate.record import BenchmarkRecord, GateRecord
from harness.gate.recorder import GateObserver, GateRecorder
from harness.gate.suite import Benchmark, Suite, work_of
from harness.runs.record import DatasetRecord

#: Of the false alarms that are allowed, the share for what is learnt over seeds, where that is compared.
_LEARNING_SHARE = 0.5
_SECONDS_A_BENCHMARK = 120.0
#: A look and the fewest fresh pairs that prove a loss, of one benchmark whose pairs take 15 s.
_LEAST_SECONDS = 240.0


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to try, in which two environments, on which data: one data set for each benchmark."""

    suite: Suite
    base: Environment
    head: Environment
    datasets: list[DatasetRecord]
    vanished: tuple[Benchmark, ...] = ()
    """What base's own suite tries, and this one does not, or not under that name."""
    unwatched: str = ""
    """Why that is not known, where it is not."""
    budget_seconds: float | None = None
    """None: 120 s for each benchmark, and at least 240 s."""
    turns: int | None = None


class Gate:
    """One gate and its record, saved whenever a benchmark has been through a stage."""

    def __init__(self, request: GateRequest, folder: Path, observer: GateObserver) -> None:
        """Look at both environments.

        Raises:
            UsageError: one has no harness that speaks this protocol.
        """
        self._request = request
        self._keeper = GateRecorder(
            folder,
            observer,
            suite=request.suite.file,
            base=probe(request.base),
            head=probe(request.head),
            false_alarms=request.suite.false_alarms,
            unwatched=request.unwatched,
        )
        self.path = self._keeper.path

    def carry_out(self) -> GateRecord:
        """Run it. A Ctrl-C ends it with what was measured till then kept, and so does what else stops it.

        Raises:
            UsageError: a framework is missing in one of the environments.
        """
        return self._keeper.carried_out(self._work)

    def _work(self) -> None:
        keeper = self._keeper
        contests, deadline = self._contests(), keeper.deadline(self._budget_seconds())
        kept = {benchmark.name for benchmark in self._request.suite.benchmarks}
        keeper.record.benchmarks += [
            removed_record(benchmark) for benchmark in self._request.vanished if benchmark.name not in kept
        ]
        keeper.save()
        for contest in contests:
            contest.look(deadline)
            keeper.judged(contest.record, "look")
        self._confirm([contest for contest in contests if contest.suspicious], deadline)

    def _budget_seconds(self) -> float:
        default = max(_LEAST_SECONDS, _SECONDS_A_BENCHMARK * len(self._request.suite.benchmarks))
        return self._request.budget_seconds or default

    def _contests(self) -> list[BenchmarkComparison]:
        """What can be run; a benchmark that one side does not know has its verdict already."""
        request, contests = self._request, []
        judged_by_learning = sum(one.limits.max_accuracy_loss is not None for one in request.suite.benchmarks)
        worse_level = _LEARNING_SHARE * request.suite.false_alarms / max(1, judged_by_learning)
        before = {benchmark.name: benchmark for benchmark in request.vanished}
        for benchmark, dataset in zip(request.suite.benchmarks, request.datasets, strict=True):
            record = new_record(benchmark, dataset)
            self._keeper.record.benchmarks.append(record)
            try:
                # Head first: what neither knows is head's fault, not a base that nothing can be held to.
                head = workload_of(request.head, benchmark)
                earlier = before.get(benchmark.name)
                if earlier is not None and self._is_other_work(earlier, head, dataset):
                    fill_in(record, head)
                    record.verdict, record.vanished = "FAIL", True
                    record.reasons = [Replaced(base=work_of(earlier), head=work_of(benchmark))]
                    continue
                base = workload_of(request.base, benchmark)
            except ConfigurationFailed as error:
                record.verdict, reason = failed(error)
                record.reasons = [reason]
                continue
            fill_in(record, head)

            def say(what: str, name: str = benchmark.name) -> None:
                self._keeper.phase(name, what)

            contests.append(
                BenchmarkComparison(benchmark, [base, head], record, say, request.turns, worse_level)
            )
        return contests

    def _is_other_work(self, earlier: Benchmark, head: Workload, dataset: DatasetRecord) -> bool:
        """Whether what base's suite has under head's name is not the same, as head's environment reads both.

        A data set or a device that one of them leaves open may be the other's.
        """
        try:
            before = workload_of(self._request.head, earlier)
        except (ConfigurationFailed, UsageError):  # head knows it no more, or is without its framework
            return True
        devices = {before.plan.device, head.plan.device} - {"auto"}
        works = [
            (
                side.backend,
                side.plan.mode,
                side.plan.precision,
                msgspec.structs.replace(side.plan.task, epochs=1),
            )
            for side in (before, head)
        ]
        return works[0] != works[1] or earlier.dataset not in {None, dataset.name} or len(devices) > 1

    def _confirm(self, suspicious: list[BenchmarkComparison], deadline: float) -> None:
        """Fresh pairs of all in turn, until each is decided or time is up.

        Holm's rule shares the level among the metrics that have not failed yet. Where trainings were held
        against each other too, which no noise of the clock decides, they have their share of it.
        """
        record, keeper = self._keeper.record, self._keeper
        hypotheses = sum(len(contest.suspicious) for contest in suspicious)
        for contest in suspicious:
            metrics = ", ".join(one.metric for one in contest.suspicious)
            keeper.phase(contest.record.name, f"suspicious ({metrics}): fresh pairs")

        learning = any(one.quality is not None and one.quality.seeds for one in record.benchmarks)
        allowed = record.false_alarms * (1 - _LEARNING_SHARE if learning else 1.0)

        def level() -> Level:
            worse = sum(metric.verdict == "FAIL" for one in record.benchmarks for metric in one.metrics)
            planned, now = (allowed / max(1, left) for left in (hypotheses, hypotheses - worse))
            return Level(planned, now)

        while suspicious:
            undecided = []
            for contest in suspicious:
                if contest.confirm(level, deadline):
                    undecided.append(contest)
                    keeper.save()
                else:
                    keeper.judged(contest.record, "confirmation")
            suspicious = undecided


def new_record(benchmark: Benchmark, dataset: DatasetRecord) -> BenchmarkRecord:
    """The record of a benchmark of which nothing is measured yet."""
    backend, _, mode = benchmark.backend.partition(":")
    return BenchmarkRecord(
        name=benchmark.name,
        backend=backend,
        mode=mode,
        task=benchmark.task,
        options=benchmark.options,
        asked=benchmark,
        dataset=msgspec.structs.replace(dataset),
        threads=benchmark.threads or 0,
        limits=benchmark.limits,
    )


def fill_in(record: BenchmarkRecord, head: Workload) -> None:
    """Tell what the environment made of what the suite left out."""
    record.mode, record.options, record.threads = head.plan.mode, head.options, head.plan.threads


def removed_record(benchmark: Benchmark) -> BenchmarkRecord:
    """The record of a benchmark that only base's suite has."""
    record = new_record(benchmark, DatasetRecord(benchmark.dataset or ""))
    record.verdict, record.vanished, record.reasons = "FAIL", True, [Removed()]
    return record
