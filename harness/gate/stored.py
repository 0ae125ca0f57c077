"""Gates without base: head measured alone, to be kept as a baseline or to be held against one."""

import functools
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.duel.record import ConfigurationRecord
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.gate.alone import first_losses, measure_alone
from harness.gate.baseline import BaselineRecord, StoredBenchmark, new_baseline, prepare_place, write_baseline
from harness.gate.benchmark import conclude
from harness.gate.conduct import fill_in, new_record, vanished_record
from harness.gate.environments import Environment, probe, side_of
from harness.gate.learner import Maths
from harness.gate.metrics import limits_of
from harness.gate.quality import changed_fields, changed_options, compare_maths
from harness.gate.record import BenchmarkRecord, GateRecord, QualityResult
from harness.gate.recorder import GateObserver, GateRecorder
from harness.gate.remembered import judge
from harness.gate.suite import Benchmark, Limits, Suite
from harness.machine.description import describe_machine
from harness.runs.record import DatasetRecord

_BASE = "base"
#: What of a benchmark is the suite's to ask, and is not told by what became of it.
_ASKED = ("task", "precision", "batch_size", "epochs", "seed", "options")


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure of head: one data set for each benchmark."""

    suite: Suite
    head: Environment
    datasets: list[DatasetRecord]
    turns: int | None


def save_baseline(request: Alone, path: Path, observer: GateObserver) -> BaselineRecord:
    """Measure every benchmark and keep that as a baseline.

    Raises:
        UsageError: the file cannot be written; found before anything is measured.
        HarnessError: a benchmark cannot be measured. Nothing is kept then:
            a baseline that lacks a benchmark would be no base for it.
    """
    prepare_place(path)
    environment = probe(request.head)
    measured = []
    for benchmark, dataset in zip(request.suite.benchmarks, request.datasets, strict=True):
        side = side_of(request.head, benchmark)

        def say(what: str, name: str = benchmark.name) -> None:
            observer.phase(name, what)

        maths = first_losses(side, dataset, say)
        measured.append(measure_alone(benchmark, side, dataset, maths, request.turns, say))
    record = new_baseline(describe_machine(), environment, measured)
    write_baseline(record, path)
    return record


class StoredGate:
    """Head against a stored baseline; see :mod:`harness.gate.remembered` for what that is worth."""

    def __init__(
        self, request: Alone, baseline: BaselineRecord, folder: Path, observer: GateObserver
    ) -> None:
        """Look at head's environment.

        Raises:
            UsageError: it has no harness that speaks this protocol.
        """
        self._request = request
        self._stored = {one.name: one for one in baseline.benchmarks}
        self._keeper = GateRecorder(
            folder,
            observer,
            suite=request.suite.file,
            base=baseline.environment,
            head=probe(request.head),
            against="stored baseline",
            false_alarms=request.suite.false_alarms,
        )
        self.path = self._keeper.path

    def carry_out(self) -> GateRecord:
        """Run it. A Ctrl-C ends it with what was measured till then kept, and so does what else stops it.

        Raises:
            UsageError: a framework is missing in head's environment.
        """
        return self._keeper.carried_out(self._work)

    def _work(self) -> None:
        suite, keeper = self._request.suite, self._keeper
        level = suite.false_alarms / max(1, sum(len(limits_of(one.limits)) for one in suite.benchmarks))
        records = list(map(new_record, suite.benchmarks, self._request.datasets))
        vanished = self._stored.keys() - {benchmark.name for benchmark in suite.benchmarks}
        keeper.record.benchmarks += [*records, *(_vanished(self._stored[name]) for name in sorted(vanished))]
        holds = [
            functools.partial(self._hold, benchmark, record, self._side(benchmark), level)
            for benchmark, record in zip(suite.benchmarks, records, strict=True)
        ]
        for record, hold in zip(records, holds, strict=True):
            conclude(record, hold)
            keeper.judged(record, "measurement")

    def _side(self, benchmark: Benchmark) -> Workload | ConfigurationFailed:
        try:
            return side_of(self._request.head, benchmark)
        except ConfigurationFailed as error:
            return error

    def _hold(
        self,
        benchmark: Benchmark,
        record: BenchmarkRecord,
        side: Workload | ConfigurationFailed,
        level: float,
    ) -> None:
        stored = self._stored.get(benchmark.name)
        if stored is None:
            raise ConfigurationFailed(
                _BASE, "the baseline has no such benchmark: make it anew with --save-baseline"
            )
        if isinstance(side, ConfigurationFailed):
            raise side
        fill_in(record, side)
        _refuse_other_work(stored, benchmark, side, record.dataset, self._request.turns)

        def say(what: str) -> None:
            self._keeper.phase(benchmark.name, what)

        maths = first_losses(side, record.dataset, say)
        _refuse_differences({"data": (stored.dataset.fingerprint, maths[-1].fingerprint)})
        record.quality = _quality(stored, maths, side, benchmark.limits)
        if record.quality.verdict == "FAIL":
            return
        see = functools.partial(_refuse_another_device, stored)
        head = measure_alone(
            benchmark, side, record.dataset, maths, stored.turns, say, see, stored.block_steps
        )
        record.dataset, record.turns = head.dataset, head.turns
        record.sides = [stored.side, head.side]
        record.metrics = judge(stored, head, benchmark.limits, level)


def _refuse_other_work(
    stored: StoredBenchmark, asked: Benchmark, head: Workload, dataset: DatasetRecord, turns: int | None
) -> None:
    """What was asked for must be the same; what head's code makes of that now is head's to answer for."""
    then, now = stored.asked, asked
    pairs: dict[str, tuple[object, object]] = {
        name.replace("_", " "): (getattr(then, name), getattr(now, name)) for name in _ASKED
    }
    if then.backend != now.backend:  # torch and torch:eager may be one
        was = stored.side
        pairs["backend"] = (f"{was.backend}:{was.mode}", f"{head.backend}:{head.plan.mode}")
    pairs |= {
        "data": (stored.dataset.name, dataset.name),
        "threads": (stored.plan.threads, head.plan.threads),
        "turns": (stored.turns, turns or stored.turns),
    }
    _refuse_differences(pairs)


def _refuse_another_device(stored: StoredBenchmark, head: ConfigurationRecord) -> None:
    """It shows only when it is built. The fixed work is the CPU's, and knows nothing of another GPU."""
    _refuse_differences({"device": (stored.side.device, head.device)})


def _refuse_differences(pairs: Mapping[str, tuple[object, object]]) -> None:
    for name, (then, now) in pairs.items():
        if then != now:
            raise ConfigurationFailed(
                _BASE, f"the baseline is of {name} {then}, and head's is {now}: make it anew"
            )


def _quality(stored: StoredBenchmark, maths: list[Maths], head: Workload, limits: Limits) -> QualityResult:
    changed = changed_options(stored.side.options, head.options)
    found = compare_maths(stored.maths, maths, changed or changed_fields(stored.plan.task, head.plan.task))
    if found.verdict != "FAIL" or limits.max_accuracy_loss is None:
        return found
    told = f"{found.reason}; what it learns can be compared with base itself only (--base)"
    return msgspec.structs.replace(found, verdict="INCONCLUSIVE", reason=told, unsound=True)


def _vanished(stored: StoredBenchmark) -> BenchmarkRecord:
    side = stored.side
    benchmark = msgspec.structs.replace(
        stored.asked, backend=f"{side.backend}:{side.mode}", dataset=stored.dataset.name
    )
    return vanished_record(benchmark, "the baseline")
