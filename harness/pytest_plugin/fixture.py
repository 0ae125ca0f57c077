"""The fixture ``harness_benchmark``: it times, and hands the samples to pytest-benchmark."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError, UsageError
from harness.pytest_plugin import interpreter, replay
from harness.pytest_plugin.keywords import count
from harness.pytest_plugin.outcome import CALLED, NOT_TIMED, count_benchmarks, count_judged, tell

if TYPE_CHECKING:
    from harness.gate.environments import Environment
    from harness.pytest_plugin.training import TimedPairs, Wish
    from harness.runs.record import DatasetRecord

#: The chance, over all benchmarks that were selected, that unchanged code fails.
FALSE_ALARMS = 0.01

_EARLIER = pytest.StashKey[Any]()
_CALL_BLOCKS = 24


@pytest.fixture
def _replay_clock(request: pytest.FixtureRequest) -> replay.ReplayClock:
    """Comes before ``benchmark``, which reads its timer when it is made."""
    clock = replay.ReplayClock()
    replay.set_timer(request.node, clock)
    return clock


@pytest.fixture
def harness_benchmark(
    request: pytest.FixtureRequest,
    _replay_clock: replay.ReplayClock,
    benchmark: replay.Benchmark,
    tmp_path_factory: pytest.TempPathFactory,
) -> "HarnessBenchmark":
    """Time training steps of a backend in fresh processes, or a call of your own.

    harness_benchmark("torch", "cnn", batch_size=32, max_slowdown="5%")
    harness_benchmark(function, argument)
    """
    if request.config.getoption("--harness-gate") and request.fixturename not in request.node.fixturenames:
        replay.mark_used(benchmark)
        pytest.fail(
            "harness_benchmark must be an argument of the test or of a fixture of its, not be got with "
            "getfixturevalue or by a fixture that overrides one of its own name: --harness-gate shares its "
            "false alarms among the tests that name it",
            pytrace=False,
        )
    earlier = request.node.stash.get(_EARLIER, None)
    if earlier is not None:
        replay.withdraw(earlier)
    request.node.stash[_EARLIER] = benchmark
    return HarnessBenchmark(
        request.node, benchmark, _replay_clock, tmp_path_factory.getbasetemp() / "harness"
    )


class HarnessBenchmark:
    """Called once in a test, with what is to be timed."""

    def __init__(
        self, node: pytest.Item, benchmark: replay.Benchmark, clock: replay.ReplayClock, folder: Path
    ) -> None:
        self._node = node
        self._config = node.config
        self._benchmark = benchmark
        self._clock = clock
        self._folder = folder
        node.stash[CALLED] = False

    def __call__(self, what: str | Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Time it. A callable's last result is returned.

        A backend is followed by a task, and by keywords as of a benchmark in ``gate.toml``: dataset,
        batch_size, precision, threads, device, seed, set, max_slowdown...; and by mode, pairs, turns and
        certify. A callable is followed by its own arguments, and by turns, the blocks to time.
        """
        try:
            if self._node.stash[CALLED]:
                raise UsageError("harness_benchmark is called once in a test; parametrise it for more")
            self._node.stash[CALLED] = True
            if callable(what):
                return self._call(functools.partial(what, *arguments), **options)
            return self._train(what, *arguments, **options)
        except HarnessError as error:
            message = str(error)
        finally:
            replay.mark_used(self._benchmark)
        pytest.fail(message, pytrace=False)

    def _call(self, function: Callable[[], Any], **options: Any) -> Any:
        from harness.pytest_plugin.calls import time_calls

        turns = count(options, "turns", _CALL_BLOCKS)
        if options:
            raise UsageError(
                f"harness_benchmark: a callable takes no {', '.join(options)}, only its arguments and turns; "
                "functools.partial gives it keywords"
            )
        self._refuse_unjudged_call()
        if not self._benchmark.enabled:
            tell(self._node, NOT_TIMED)
            return self._benchmark.pedantic(function)
        calls = time_calls(function, turns)
        self._benchmark.extra_info.update(calls.facts())
        replay.replay(self._benchmark, self._clock, calls.seconds)
        return calls.result

    def _refuse_unjudged_call(self) -> None:
        """The gate holds fresh processes of two interpreters against each other; a callable lives in one."""
        if not self._config.getoption("--harness-gate"):
            return
        if not self._config.getoption("--benchmark-compare-fail"):
            raise UsageError(
                "--harness-gate cannot judge a callable: it lives in this process alone, and the blocks of "
                "one process say nothing of the next. Give --benchmark-compare and --benchmark-compare-fail "
                "too, which hold it against a stored run, or deselect this test (-k, -m)"
            )
        if not replay.is_stored(self._config, self._benchmark):
            raise UsageError(
                "no run that --benchmark-compare loads has this test, so nothing would be compared: store "
                "one first (--benchmark-autosave, without --harness-gate)"
            )
        count_judged(self._config)

    def _train(self, backend: str, *task: Any, **options: Any) -> None:
        from harness.pytest_plugin import training

        if len(task) != 1:
            raise UsageError('harness_benchmark takes a backend and a task, ("torch", "cnn"), or a callable')
        wished = training.wish(self._node.nodeid, backend, task[0], options)
        dataset = training.choose_data(wished.benchmark)
        environments = self._environments(wished.benchmark.backend)
        if not self._benchmark.enabled:
            tell(self._node, NOT_TIMED)
            sides = training.sides_of(wished.benchmark, environments)
            self._benchmark.pedantic(functools.partial(training.try_once, sides, dataset.name))
        elif self._config.getoption("--harness-gate"):
            self._judge(wished, environments, dataset)
        else:
            self._measure(wished, environments, dataset)

    def _environments(self, label: str) -> "list[Environment]":
        """Base and head, or head alone, which goes by the backend's name then."""
        from harness.gate.environments import Environment, held_against

        base, head = (interpreter(self._config, side) for side in ("base", "head"))
        head = head or sys.executable
        if base is None:
            return [Environment(label=label, python=head)]
        return held_against(Environment(label="base", python=base), Environment(label="head", python=head))

    def _measure(self, wished: "Wish", environments: "list[Environment]", dataset: "DatasetRecord") -> None:
        from harness.pytest_plugin import facts, training

        measured = training.measure(training.sides_of(wished.benchmark, environments), dataset, wished)
        if len(environments) > 1:
            limits = wished.benchmark.limits
            comparison = facts.comparison_of(measured, limits)
            self._benchmark.extra_info.update(facts.comparison_facts(comparison))
            tell(self._node, facts.comparison_sentence(measured, comparison, limits))
        self._store(wished, measured)

    def _judge(self, wished: "Wish", environments: "list[Environment]", dataset: "DatasetRecord") -> None:
        """Samples first, so that what fails is saved too."""
        from harness.gate.folding import forgiven
        from harness.pytest_plugin import judging

        gate = judging.judge(
            wished,
            environments,
            dataset,
            self._folder,
            false_alarms=FALSE_ALARMS / max(1, count_benchmarks(self._node.session)),
            budget_seconds=self._config.getoption("--harness-budget"),
        )
        count_judged(self._config)
        (record,) = gate.benchmarks
        sentence = judging.verdict_sentence(gate)
        tell(self._node, sentence)
        self._benchmark.extra_info.update(judging.verdict_facts(record))
        if record.look:
            self._store(wished, judging.measured_of(record))
        replay.leave_uncompared(self._config, self._benchmark)
        inconclusive = self._config.getoption("--harness-inconclusive")
        if record.verdict != "PASS" and not forgiven(record, inconclusive):
            raise HarnessError(sentence)

    def _store(self, wished: "Wish", measured: "TimedPairs") -> None:
        from harness.pytest_plugin import facts

        self._benchmark.extra_info.update({"task": wished.benchmark.task, **facts.facts_of(measured)})
        replay.replay(self._benchmark, self._clock, facts.samples(measured))
