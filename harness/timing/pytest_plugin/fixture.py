"""The fixture ``harness_benchmark``: it times, and passes the samples to pytest-benchmark."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError, UsageError
from harness.timing.pytest_plugin import replay
from harness.timing.pytest_plugin.options import (
    BASE_COMMIT,
    has_base,
    interpreter,
    project_folder,
    take_count,
)
from harness.timing.pytest_plugin.summary import CALLED, NOT_TIMED, count_benchmarks, count_judged, set_result

if TYPE_CHECKING:
    from harness.core.runs.record import DatasetRecord
    from harness.timing.environments.environment import Environment
    from harness.timing.environments.suite import Benchmark
    from harness.timing.pytest_plugin.training import StepRequest, TimedPairs

#: The chance that unchanged code fails, over all selected benchmarks together.
FALSE_ALARMS = 0.01

_EARLIER = pytest.StashKey[Any]()
_CALL_BLOCKS = 24


@pytest.fixture
def _replay_clock(request: pytest.FixtureRequest) -> replay.ReplayClock:
    """Set the timer before ``benchmark`` is made, which reads it then."""
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
            "harness_benchmark must be an argument of the test or of one of its fixtures. With "
            "getfixturevalue, or from a fixture that overrides one of the same name, --harness-gate cannot "
            "count it and would exceed the allowed rate of false alarms",
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
    """The value of the fixture: called once per test, with the work to time."""

    def __init__(
        self, node: pytest.Item, benchmark: replay.Benchmark, clock: replay.ReplayClock, folder: Path
    ) -> None:
        self._node = node
        self._config = node.config
        self._benchmark = benchmark
        self._clock = clock
        self._folder = folder
        node.stash[CALLED] = False

    def __call__(self, target: str | Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Time training steps of a backend, or a callable, whose last result is returned.

        After a backend: a task, then the keywords of a benchmark in ``gate.toml`` (dataset, batch_size,
        precision, threads, device, seed, set, max_slowdown, ...) and mode, pairs, turns and certify. After a
        callable: its arguments, then turns, the number of blocks to time.
        """
        if not callable(target):
            return self._once(lambda: self._train(target, *arguments, **options))
        if self._is_gated_call:
            return self._once(lambda: self._gated_call(target, arguments, options))
        return self._once(lambda: self._call(functools.partial(target, *arguments), **options))

    @property
    def _is_gated_call(self) -> bool:
        """True if a callable is judged in two interpreters, and not by a stored run."""
        option = self._config.getoption
        gated = option("--harness-gate") and has_base(self._config)
        return gated and not option("--benchmark-compare-fail")

    def step(self, factory: Callable[..., Any], **options: Any) -> None:
        """Time a training step of your own in fresh processes; of two interpreters, compared first.

        ``factory`` is a function at the top level of a module, which returns the step. Keywords are those of
        a step in ``gate.toml`` (with, samples, threads, values, tolerance, max_slowdown, ...), and pairs and
        turns; ``arguments`` is another name of ``with``, which Python reserves.
        """
        self._once(lambda: self._own_step(factory, options))

    def _own_step(self, function: Callable[..., Any], options: dict[str, Any], *, call: bool = False) -> None:
        from harness.timing.pytest_plugin import training

        if "arguments" in options:
            options["with"] = options.pop("arguments")
        target = training.target_of(function, project_folder(self._config))
        self._run(training.step_request(self._node.nodeid, {**options, "step": target, "call": call}))

    def _gated_call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        """Judge a callable, which fresh processes of base and head import from the test's module."""
        from harness.timing.pytest_plugin import training

        try:
            training.target_of(function, project_folder(self._config))
        except UsageError as error:
            raise UsageError(f"--harness-gate cannot judge a callable: {error}") from error
        named = training.arguments_of(function, arguments)
        self._own_step(function, {**options, "with": named}, call=True)

    def _once(self, work: Callable[[], Any]) -> Any:
        """Do the work of the only call in a test; an error fails the test with its message alone."""
        try:
            if self._node.stash[CALLED]:
                raise UsageError(
                    "harness_benchmark can be called once per test; parametrize the test to time more"
                )
            self._node.stash[CALLED] = True
            return work()
        except HarnessError as error:
            message = str(error)
        finally:
            replay.mark_used(self._benchmark)
        pytest.fail(message, pytrace=False)

    def _call(self, function: Callable[[], Any], **options: Any) -> Any:
        from harness.timing.pytest_plugin.calls import time_calls

        turns = take_count(options, "turns", _CALL_BLOCKS)
        if options:
            raise UsageError(
                f"harness_benchmark: unknown keyword for a callable: {', '.join(options)}. It takes the "
                "callable's arguments and turns; pass keywords with functools.partial"
            )
        self._refuse_unjudged_call()
        if not self._benchmark.enabled:
            set_result(self._node, NOT_TIMED)
            return self._benchmark.pedantic(function)
        calls = time_calls(function, turns)
        self._benchmark.extra_info.update(calls.info())
        replay.replay(self._benchmark, self._clock, calls.seconds)
        return calls.result

    def _refuse_unjudged_call(self) -> None:
        """Raise UsageError for a callable that the gate can only run in this interpreter."""
        if not self._config.getoption("--harness-gate"):
            return
        if not self._config.getoption("--benchmark-compare-fail"):
            raise UsageError(
                "--harness-gate cannot judge a callable in this process alone: its times do not predict "
                "those of the next. Add --harness-base or --harness-base-python, with which base's processes "
                "import it too, or --benchmark-compare and --benchmark-compare-fail, which compare it with a "
                "stored run"
            )
        if not replay.is_stored(self._config, self._benchmark):
            raise UsageError(
                "no run loaded by --benchmark-compare contains this test. Store one first "
                "(--benchmark-autosave, without --harness-gate)"
            )
        count_judged(self._config)

    def _train(self, backend: str, *task: Any, **options: Any) -> None:
        from harness.timing.pytest_plugin import training

        if len(task) != 1:
            raise UsageError('harness_benchmark takes a backend and a task, ("torch", "cnn"), or a callable')
        options |= {"backend": backend, "task": task[0]}
        self._run(training.step_request(self._node.nodeid, options))

    def _run(self, request: "StepRequest") -> None:
        from harness.timing.pytest_plugin import training

        dataset = training.choose_data(request.benchmark)
        environments = self._environments(request.benchmark)
        if not self._benchmark.enabled:
            set_result(self._node, NOT_TIMED)
            workloads = training.workloads_of(request.benchmark, environments)
            self._benchmark.pedantic(functools.partial(training.run_untimed, workloads, dataset.name))
        elif self._config.getoption("--harness-gate"):
            self._judge(request, environments, dataset)
        else:
            self._measure(request, environments, dataset)

    def _environments(self, benchmark: "Benchmark") -> "list[Environment]":
        """Return base and head, or head alone with the label of the backend or step."""
        from harness.timing.environments.environment import Environment, alone, of_interpreters

        commit = self._config.stash[BASE_COMMIT]
        if commit is not None:
            return commit.environments(is_step=bool(benchmark.step))
        base, head = (interpreter(self._config, label) for label in ("base", "head"))
        head = head or sys.executable
        folder = str(project_folder(self._config))
        if base is None:
            label = benchmark.backend or benchmark.step
            return [alone(Environment(label=label, python=head, folder=folder))]
        pair = (
            Environment(label="base", python=base, folder=folder),
            Environment(label="head", python=head, folder=folder),
        )
        return [*of_interpreters(*pair)]

    def _measure(
        self, request: "StepRequest", environments: "list[Environment]", dataset: "DatasetRecord"
    ) -> None:
        from harness.timing.pytest_plugin import extra_info, training

        measured = training.measure(training.workloads_of(request.benchmark, environments), dataset, request)
        if len(environments) > 1:
            limits = request.benchmark.limits
            result = extra_info.duel_result(measured, limits)
            self._benchmark.extra_info.update(extra_info.duel_info(result))
            set_result(self._node, extra_info.duel_text(measured, result, limits))
        self._store(request, measured)

    def _judge(
        self, request: "StepRequest", environments: "list[Environment]", dataset: "DatasetRecord"
    ) -> None:
        """Judge a benchmark by a gate.

        The samples are stored first, so that those of a failed test are saved too.
        """
        from harness.timing.gate.record import forgiven
        from harness.timing.pytest_plugin import extra_info, gate

        record = gate.run_gate(
            request,
            environments,
            dataset,
            self._folder,
            false_alarms=FALSE_ALARMS / max(1, count_benchmarks(self._node.session)),
            budget_seconds=self._config.getoption("--harness-budget"),
        )
        count_judged(self._config)
        (result,) = record.benchmarks
        set_result(self._node, gate.verdict_text(record))
        self._benchmark.extra_info.update(extra_info.gate_info(result))
        if result.look:
            self._store(request, gate.measured_pairs(result))
        replay.leave_uncompared(self._config, self._benchmark)
        inconclusive = self._config.getoption("--harness-inconclusive")
        if result.verdict != "PASS" and not forgiven(result, inconclusive):
            raise HarnessError(gate.failure_text(record))

    def _store(self, request: "StepRequest", measured: "TimedPairs") -> None:
        from harness.timing.pytest_plugin import extra_info

        info = extra_info.measurement_info(measured)
        self._benchmark.extra_info.update({"task": request.benchmark.task or request.benchmark.step, **info})
        replay.replay(self._benchmark, self._clock, extra_info.samples(measured))
