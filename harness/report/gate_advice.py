"""What to do about a benchmark that did not pass a gate, and the command that shows more."""

import json
import shlex
from collections.abc import Iterator
from typing import NamedTuple, assert_never

import msgspec

from harness.gate import reasons
from harness.gate.reasons import (
    BenchmarkReason,
    FirstStepsReason,
    MetricReason,
    Reason,
    TrainingReason,
)
from harness.gate.record import BenchmarkRecord, EnvironmentRecord, GateRecord, Metric, MetricResult
from harness.gate.suite import Benchmark
from harness.report.escaping import one_line
from harness.runs.identity import value_text

# The commands that look into one benchmark of a gate: the same work once more, as the gate ran it.

#: A gate compares head with base and asks for no certificate, so its commands work where there is none.
_NO_CERTIFICATE = "--no-certify"


def check_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness check`` of head, which names the step or layer that deviates."""
    words = [_quoted(record.head.python), "-m harness check", _backend(benchmark)]
    return " ".join([*words, "--task", _quoted(benchmark.task), *_given(record, "--plugin")])


def duel_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness duel`` of head against base; for a step of the user's own the gate, which has checkouts."""
    if benchmark.is_step:
        return shlex.join(["harness", *record.command])
    backend = _backend(benchmark)
    words = [_quoted(record.head.python), "-m harness duel", backend, backend]
    words += ["--task", _quoted(benchmark.task), _NO_CERTIFICATE, *_options(benchmark)]
    for letter, environment in (("a", record.base), ("b", record.head)):
        words.append(f"--{letter}-python {_quoted(environment.python)}")
        words += [f"--{letter}-env {word}" for word in _assignments(environment)]
    return " ".join([*words, *_given(record, "--turns"), *_given(record, "--plugin")])


def run_command(record: GateRecord, benchmark: BenchmarkRecord, environment: EnvironmentRecord) -> str:
    """``harness run`` in base or in head alone; of a step of the user's own ``harness time``."""
    variables = _assignments(environment)
    if benchmark.is_step:
        asked = benchmark.asked or _from_record(benchmark)
        given = asked.arguments
        arguments = [f"--with {_quoted(f'{name}={json.dumps(value)}')}" for name, value in given.items()]
        arguments += [f"--seed {asked.seed}"] if asked.seed else []
        arguments += [f"--timeout {_quoted(asked.timeout)}"] if asked.timeout else []
        threads = f"--threads {benchmark.threads}"
        words = ["env", *variables] if variables else []
        own = f"--own-python {_quoted(environment.python)}"
        return " ".join([*words, "harness time", _quoted(benchmark.task), *arguments, threads, own])
    words = ["env", *variables] if variables else []
    words += [_quoted(environment.python), "-m harness run --backend", _backend(benchmark)]
    words += ["--task", _quoted(benchmark.task), _NO_CERTIFICATE, *_options(benchmark)]
    return " ".join([*words, *_given(record, "--plugin")])


def _backend(benchmark: BenchmarkRecord) -> str:
    return _quoted(f"{benchmark.backend}:{benchmark.mode}" if benchmark.mode else benchmark.backend)


def _assignments(environment: EnvironmentRecord) -> list[str]:
    return [_quoted(f"{name}={value}") for name, value in environment.variables.items()]


def _options(benchmark: BenchmarkRecord) -> Iterator[str]:
    """What the suite asks for, as ``run`` and ``duel`` take it."""
    yield f"--dataset {_quoted(benchmark.dataset.name)}"
    if benchmark.threads:
        yield f"--threads {benchmark.threads}"
    asked = benchmark.asked or _from_record(benchmark)
    yield f"--precision {asked.precision}"
    given = {
        "batch-size": asked.batch_size,
        "device": asked.device if asked.device != "auto" else None,
        "seed": asked.seed or None,
    }
    for name, value in given.items():
        if value is not None:
            yield f"--{name} {_quoted(str(value))}"
    for name, option in asked.options.items():
        yield f"--set {_quoted(f'{name}={value_text(option)}')}"


def _from_record(benchmark: BenchmarkRecord) -> Benchmark:
    """An approximation for records that do not hold what the suite asked for."""
    asked = Benchmark(name=benchmark.name, backend="", task="", options=benchmark.options)
    for head in benchmark.configurations[-1:]:
        asked = msgspec.structs.replace(
            asked, batch_size=head.batch_size, precision=head.configuration.precision
        )
    return asked


def _given(record: GateRecord, name: str) -> Iterator[str]:
    """An option as the gate was given it: plugin files, which define the names in the command, or turns."""
    words = record.command
    for number, word in enumerate(words):
        option, sign, value = word.partition("=")
        if option == name:
            yield f"{name} {_quoted(value if sign else words[number + 1])}"


def _quoted(text: str) -> str:
    """One word of a shell command, in one line."""
    return shlex.quote(one_line(text))


_LIMITS: dict[Metric, str] = {
    "step": "max_slowdown",
    "first step": "max_first_step_slowdown",
    "memory": "max_memory_growth",
}


class Advice(NamedTuple):
    """Sentences, of which the last introduces the ``command`` where there is one."""

    text: str
    command: str = ""


class Options(NamedTuple):
    """The names of the options that the gate was started with."""

    budget: str = "--budget"
    turns: str = "--turns"


def advice(record: GateRecord, benchmark: BenchmarkRecord, options: Options | None = None) -> Advice:
    """What to do next; it follows from the first reason of the worst verdict."""
    return _Adviser(record, benchmark, options or Options()).advice()


class _Adviser(NamedTuple):
    record: GateRecord
    benchmark: BenchmarkRecord
    options: Options

    def advice(self) -> Advice:
        deciding = self._deciding_reasons()
        if not deciding:
            return self._of_verdict()
        reason = deciding[0]
        if isinstance(reason, MetricReason):
            return self._of_metric(reason)
        if isinstance(reason, FirstStepsReason):
            return self._of_first_steps(reason)
        if isinstance(reason, TrainingReason):
            return self._of_trainings(reason)
        return self._of_benchmark(reason)

    def _deciding_reasons(self) -> list[Reason]:
        """The reasons that the benchmark's verdict comes from; quality before metrics."""
        results = reversed(self.benchmark.results)
        same = [each for each in results if each.verdict == self.benchmark.verdict]
        return [*self.benchmark.reasons, *(reason for each in same for reason in each.reasons)]

    def _of_metric(self, reason: MetricReason) -> Advice:
        match reason:
            case reasons.ProvenWorse():
                return self._measure_again()
            case reasons.ImplausibleSpeedup():
                return Advice("Check that head does all the work. If it does, raise max_speedup.")
            case reasons.TooFewPairs(needed=needed, pair_seconds=seconds):
                enough = f"{needed} pairs take about {needed * seconds:.0f} s"
                return Advice(f"Give the gate more time ({self.options.budget}): {enough}.")
            case (
                reasons.LimitNotShown()
                | reasons.NotDecided()
                | reasons.BeyondLimit()
                | reasons.PairsLost()
                | reasons.MachineChanged()
            ):
                return self._more_evidence()
            case _:
                assert_never(reason)

    def _measure_again(self) -> Advice:
        failed = [each.metric for each in self.benchmark.metrics if each.verdict == "FAIL"]
        limits = " and ".join(_LIMITS[metric] for metric in failed)
        return Advice(
            f"If intended, raise {limits}. To measure the benchmark again:",
            duel_command(self.record, self.benchmark),
        )

    def _more_evidence(self) -> Advice:
        ways = [f"with more time ({self.options.budget})"]
        on_cpu = any(each.device == "cpu" for each in self.benchmark.configurations)
        if self.benchmark.threads > 1 and on_cpu:  # threads wait for the one whose CPU other work uses
            ways.append("on one thread (threads = 1)")
        text = f"Run the gate again {', '.join(ways)} or on a quieter machine. To check the machine:"
        return Advice(text, "harness doctor --noise")

    def _of_first_steps(self, reason: FirstStepsReason) -> Advice:  # noqa: PLR0911  a case for each reason
        match reason:
            case reasons.OtherData():
                return Advice("If this is intended, use a base that reads the same data.")
            case reasons.TaskChanged():
                return Advice(
                    "If this is intended, set max_accuracy_loss or use a base with the same change."
                )
            case reasons.LossesNotFinite():
                return Advice("Change the benchmark so that its losses are finite: no training can decide.")
            case reasons.ValuesDiffer():
                return Advice(
                    'If this is intended, set values = "differ" or a tolerance for this benchmark. To see '
                    "the values of head:",
                    run_command(self.record, self.benchmark, self.record.head),
                )
            case reasons.SharedCode():
                return Advice("Name what is installed of each checkout: source in the suite.")
            case reasons.WorkNotCompared():
                return Advice("Return a value from the step, such as its loss, so that it is compared.")
            case reasons.MemoryRanOut():
                return Advice("Give the benchmark a smaller batch_size.")
            case (
                reasons.OtherPrecisions()
                | reasons.OtherLossCount()
                | reasons.LossDiffers()
                | reasons.ScoreDiffers()
            ):
                return self._check("set max_accuracy_loss")
            case _:
                assert_never(reason)

    def _check(self, remedy: str = "") -> Advice:
        """``remedy`` accepts a difference that is intended."""
        intended = f"If the difference is intended, {remedy}. " if remedy else ""
        if not self.benchmark.has_reference:  # with which `harness check` would compare head
            text = f"{intended}To train head alone:"
            return Advice(text, run_command(self.record, self.benchmark, self.record.head))
        text = f"{intended}To find the step or layer that deviates:"
        return Advice(text, check_command(self.record, self.benchmark))

    def _of_trainings(self, reason: TrainingReason) -> Advice:
        more_seeds = Advice(
            f"Run the gate again with more seeds for this benchmark and more time ({self.options.budget})."
        )
        match reason:
            case reasons.TooFewEpochs() | reasons.TargetAtFirstScore():
                step = Advice('Set more epochs for this benchmark, or max_extra_steps = "off".')
            case reasons.TooFewSeeds():
                step = Advice(f"Give the gate more time ({self.options.budget}).")
            case reasons.Diverged(label="base"):
                step = Advice("Change the benchmark so that base trains without diverging.")
            case reasons.Diverged():
                step = self._check()
            case reasons.ScoreLost() if self.benchmark.verdict == "FAIL":
                step = self._check("raise max_accuracy_loss")
            case reasons.ExtraSteps() if self.benchmark.verdict == "FAIL":
                step = self._check("raise max_extra_steps")
            case (
                reasons.ScoreLost()
                | reasons.ExtraSteps()
                | reasons.TargetMissed()
                | reasons.TargetRarelyReached()
            ):
                step = more_seeds
            case _:
                assert_never(reason)
        return step

    def _of_benchmark(self, reason: BenchmarkReason) -> Advice:
        match reason:
            case reasons.Removed() | reasons.Replaced():
                step = Advice(
                    "Restore it in head's suite. If the change is intended, use a base with the same change."
                )
            case reasons.Failed(label="base"):
                step = self._run_alone("base")
            case reasons.Failed() | reasons.NotComparable():
                step = self._run_alone("head")
            case reasons.FailedBesideBase():
                step = Advice(
                    "Run the gate again: the failure is occasional, or memory is too small for both. If "
                    "memory is the cause, give the benchmark a smaller batch_size."
                )
            case reasons.BudgetSpent():
                step = Advice(f"Give the gate more time ({self.options.budget}).")
            case reasons.ProcessTooLong():
                step = Advice(f"Set fewer turns ({self.options.turns}).")
            case reasons.NoWorkers():
                step = Advice("Run the gate on a machine that can start worker processes.")
            case reasons.NewBenchmark():
                step = Advice("It is compared from the next base on that has it.")
            case reasons.HarnessFault():
                step = Advice("Please report this error together with the gate's record.")
            case _:
                assert_never(reason)
        return step

    def _run_alone(self, label: str) -> Advice:
        environment = self.record.base if label == "base" else self.record.head
        return Advice(f"To run {label} alone:", run_command(self.record, self.benchmark, environment))

    def _of_verdict(self) -> Advice:
        """For records without structured reasons."""
        failed = [each for each in self.benchmark.results if each.verdict == "FAIL"]
        if any(not isinstance(each, MetricResult) for each in failed):
            return self._check("set max_accuracy_loss")
        if failed:
            return self._measure_again()
        if self.benchmark.vanished:
            return self._of_benchmark(reasons.Removed())
        return self._run_alone("head") if self.benchmark.verdict == "FAIL" else self._more_evidence()
