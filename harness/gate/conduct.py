"""A gate from end to end: a look at every benchmark, then fresh pairs for those that look suspicious."""

from pathlib import Path

import msgspec

from harness.duel.contender import SideFailed
from harness.duel.sides import Side
from harness.gate.contest import Contest
from harness.gate.environments import Environment, probe, side_of
from harness.gate.judgement import Level
from harness.gate.keeping import GateKeeper, GateObserver
from harness.gate.record import BenchmarkRecord, GateRecord
from harness.gate.suite import Benchmark, Suite
from harness.record import DatasetRecord


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to try, in which two environments, on which data: one data set for each benchmark."""

    suite: Suite
    base: Environment
    head: Environment
    datasets: list[DatasetRecord]
    vanished: tuple[Benchmark, ...] = ()
    """What base's own suite has and this one has not."""
    unwatched: str = ""
    """Why that is not known, where it is not."""
    budget_seconds: float
    turns: int | None = None


class Gate:
    """One gate and its record, saved whenever a benchmark has been through a stage."""

    def __init__(self, request: GateRequest, folder: Path, observer: GateObserver) -> None:
        """Look at both environments.

        Raises:
            UsageError: one has no harness that speaks this protocol.
        """
        self._request = request
        self._keeper = GateKeeper(
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
        """Run it. A Ctrl-C ends it with what was measured till then kept.

        Raises:
            UsageError: a framework is missing in one of the environments.
            HarnessError: the record cannot be written.
        """
        return self._keeper.carried_out(self._work)

    def _work(self) -> None:
        keeper = self._keeper
        contests, deadline = self._contests(), keeper.deadline(self._request.budget_seconds)
        keeper.record.benchmarks += [
            vanished_record(benchmark, "base's suite") for benchmark in self._request.vanished
        ]
        keeper.save()
        for contest in contests:
            contest.look(deadline)
            keeper.judged(contest.record, "look")
        self._confirm([contest for contest in contests if contest.suspicious], deadline)

    def _contests(self) -> list[Contest]:
        """What can be run; a benchmark that one side does not know has its verdict already."""
        request, contests = self._request, []
        for benchmark, dataset in zip(request.suite.benchmarks, request.datasets, strict=True):
            record = new_record(benchmark, dataset)
            self._keeper.record.benchmarks.append(record)
            try:
                # Head first: what neither knows is head's fault, not a base that nothing can be held to.
                head = side_of(request.head, benchmark)
                base = side_of(request.base, benchmark)
            except SideFailed as error:
                record.unsound = error.label != request.head.label
                record.verdict = "INCONCLUSIVE" if record.unsound else "FAIL"
                record.reason = str(error)
                continue
            fill_in(record, head)

            def say(what: str, name: str = benchmark.name) -> None:
                self._keeper.phase(name, what)

            contests.append(Contest(benchmark, [base, head], record, say, request.turns))
        return contests

    def _confirm(self, suspicious: list[Contest], deadline: float) -> None:
        """Fresh pairs of all in turn, until each is decided or time is up.

        Holm's rule shares the level among the metrics that have not failed yet.
        """
        record, keeper = self._keeper.record, self._keeper
        hypotheses = sum(len(contest.suspicious) for contest in suspicious)
        for contest in suspicious:
            metrics = ", ".join(one.metric for one in contest.suspicious)
            keeper.phase(contest.record.name, f"suspicious ({metrics}): fresh pairs")

        def level() -> Level:
            failed = sum(metric.verdict == "FAIL" for one in record.benchmarks for metric in one.metrics)
            planned, now = (record.false_alarms / max(1, left) for left in (hypotheses, hypotheses - failed))
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
        unsound=True,
    )


def fill_in(record: BenchmarkRecord, head: Side) -> None:
    """Tell what the environment made of what the suite left out."""
    record.mode, record.options, record.threads = head.plan.mode, head.options, head.plan.threads


def vanished_record(benchmark: Benchmark, where: str) -> BenchmarkRecord:
    """Of a benchmark that base had: what is no longer tried has not passed."""
    record = new_record(benchmark, DatasetRecord(benchmark.dataset or ""))
    record.verdict, record.unsound, record.vanished = "FAIL", False, True
    record.reason = f"it is in {where} and not in head's suite: what is no longer tried has not passed"
    return record
