"""A gate from end to end: a look at every benchmark, then fresh pairs for those that look suspicious."""

import datetime
import secrets
import sys
import time
from pathlib import Path
from typing import Protocol

import msgspec

from harness.duel.conduct import TURNS
from harness.duel.contender import SideFailed
from harness.duel.sides import Side
from harness.errors import HarnessError
from harness.gate.contest import Contest, worst_of
from harness.gate.environments import Environment, probe, side_of
from harness.gate.record import BenchmarkRecord, GateRecord, encode
from harness.gate.suite import Benchmark, Suite
from harness.machine import describe_machine
from harness.record import DatasetRecord
from harness.store import replace_file

_DEFINE_LIMIT_SECONDS = 300.0


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to try, in which two environments, on which data: one data set for each benchmark."""

    suite: Suite
    base: Environment
    head: Environment
    datasets: list[DatasetRecord]
    budget_seconds: float
    turns: int = TURNS


class GateObserver(Protocol):
    """Is told how a gate goes while it goes."""

    def phase(self, benchmark: str, what: str) -> None:
        """Something begins."""

    def judged(self, benchmark: BenchmarkRecord, stage: str) -> None:
        """A benchmark has been through a stage."""


class Gate:
    """One gate and its record, saved whenever a benchmark has been through a stage."""

    def __init__(self, request: GateRequest, folder: Path, observer: GateObserver) -> None:
        """Look at both environments.

        Raises:
            UsageError: one has no harness that speaks this protocol.
        """
        self._request = request
        self._observer = observer
        self._start = time.monotonic()
        now = datetime.datetime.now(datetime.UTC)
        self.record = GateRecord(
            id=f"{now:%Y%m%d-%H%M%S}-gate-{secrets.token_hex(2)}",
            started_at=now.isoformat(timespec="seconds"),
            command=sys.argv[1:],
            machine=describe_machine(),
            suite=request.suite.file,
            base=probe(request.base),
            head=probe(request.head),
            false_alarms=request.suite.false_alarms,
        )
        self.path = folder / f"{self.record.id}.json"

    def carry_out(self) -> GateRecord:
        """Run it. A Ctrl-C ends it with what was measured till then kept.

        Raises:
            UsageError: a framework is missing in one of the environments.
            HarnessError: the record cannot be written.
        """
        record = self.record
        try:
            contests = self._contests()
            self._save()
            for contest in contests:
                contest.look()
                self._told(contest, "look")
            self._confirm([contest for contest in contests if contest.suspicious])
            record.status = "ok"
        except KeyboardInterrupt:
            record.status, record.failure = "interrupted", "interrupted by the user"
        record.verdict = worst_of([one.verdict for one in record.benchmarks])
        self._save()
        return record

    def _contests(self) -> list[Contest]:
        """What can be run; a benchmark that one side does not know has its verdict already."""
        request, contests = self._request, []
        for benchmark, dataset in zip(request.suite.benchmarks, request.datasets, strict=True):
            record = _record(benchmark, dataset)
            self.record.benchmarks.append(record)
            try:
                sides = [
                    side_of(environment, benchmark, _DEFINE_LIMIT_SECONDS)
                    for environment in (request.base, request.head)
                ]
            except SideFailed as error:
                record.verdict = "FAIL" if error.label == request.head.label else "INCONCLUSIVE"
                record.reason = str(error)
                continue
            _fill_in(record, sides[1])

            def say(what: str, name: str = benchmark.name) -> None:
                self._observer.phase(name, what)

            contests.append(Contest(benchmark, sides, record, say, request.turns))
        return contests

    def _confirm(self, suspicious: list[Contest]) -> None:
        """Fresh pairs; Holm's rule shares the level among the metrics that have not failed yet."""
        hypotheses = sum(len(contest.suspicious) for contest in suspicious)
        record = self.record
        deadline = self._start + self._request.budget_seconds
        for number, contest in enumerate(suspicious):
            now = time.monotonic()
            share = max(0.0, deadline - now) / (len(suspicious) - number)
            self._observer.phase(contest.record.name, f"suspicious: fresh pairs for up to {share:.0f} s")

            def level() -> float:
                failed = sum(metric.verdict == "FAIL" for one in record.benchmarks for metric in one.metrics)
                return record.false_alarms / max(1, hypotheses - failed)

            contest.confirm(level, now + share)
            self._told(contest, "confirmation")

    def _told(self, contest: Contest, stage: str) -> None:
        self._save()
        self._observer.judged(contest.record, stage)

    def _save(self) -> None:
        record = self.record
        record.seconds = time.monotonic() - self._start
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, encode(record))
        except OSError as error:
            raise HarnessError(f"the record {self.path} cannot be written: {error.strerror}") from error


def _record(benchmark: Benchmark, dataset: DatasetRecord) -> BenchmarkRecord:
    backend, _, mode = benchmark.backend.partition(":")
    return BenchmarkRecord(
        name=benchmark.name,
        backend=backend,
        mode=mode,
        task=benchmark.task,
        options=benchmark.options,
        asked=benchmark.options,
        dataset=msgspec.structs.replace(dataset),
        threads=benchmark.threads or 0,
        limits=benchmark.limits,
    )


def _fill_in(record: BenchmarkRecord, head: Side) -> None:
    """What the environment made of what the suite left out."""
    record.mode, record.options, record.threads = head.plan.mode, head.options, head.plan.threads
