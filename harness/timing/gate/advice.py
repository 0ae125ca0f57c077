"""What to do about a benchmark that did not pass a gate, and the command that shows more."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from harness.core.documents.circumstances import (
    command_line,
    given_again,
    option_words,
    shell_line,
)
from harness.core.plugins.options import value_text
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.gate import reasons
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import BenchmarkRecord, GateRecord

# The commands that look into one benchmark of a gate: the same work once more, as the gate ran it.

#: A gate compares head with base and asks for no certificate, so its commands work where there is none.
_NO_CERTIFICATE = "--no-certify"


def check_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness check`` of head, which names the step or layer that deviates."""
    words = [record.head.python, "-m", "harness", "check", _backend(benchmark)]
    return shell_line(
        [*words, *option_words({"task": benchmark.task, "plugin": given_again(record, "plugin")})]
    )


def duel_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness duel`` of head against base; for a step of the user's own the gate, which has checkouts."""
    if benchmark.is_step:
        return command_line(record)
    words = [record.head.python, "-m", "harness", "duel", *[_backend(benchmark)] * 2]
    sides = {
        "a-python": record.base.python,
        "a-env": _assignments(record.base),
        "b-python": record.head.python,
        "b-env": _assignments(record.head),
        "turns": given_again(record, "turns"),
        "plugin": given_again(record, "plugin"),
    }
    words += ["--task", benchmark.task, _NO_CERTIFICATE]
    return shell_line([*words, *option_words(_options(benchmark) | sides)])


def run_command(record: GateRecord, benchmark: BenchmarkRecord, environment: EnvironmentRecord) -> str:
    """``harness run`` in base or in head alone; of a step of the user's own ``harness time``."""
    words = ["env", *_assignments(environment)] if environment.variables else []
    if benchmark.is_step:
        asked = benchmark.asked
        options: dict[str, object] = {
            "with": [f"{name}={json.dumps(value)}" for name, value in asked.arguments.items()],
            "seed": asked.seed,
            "timeout": asked.timeout,
            "threads": benchmark.threads,
            "own-python": environment.python,
        }
        return shell_line([*words, "harness", "time", benchmark.task, *option_words(options)])
    words += [environment.python, "-m", "harness", "run", "--backend", _backend(benchmark)]
    options = _options(benchmark) | {"plugin": given_again(record, "plugin")}
    return shell_line([*words, "--task", benchmark.task, _NO_CERTIFICATE, *option_words(options)])


def _backend(benchmark: BenchmarkRecord) -> str:
    return f"{benchmark.backend}:{benchmark.mode}" if benchmark.mode else benchmark.backend


def _assignments(environment: EnvironmentRecord) -> list[str]:
    return [f"{name}={value}" for name, value in environment.variables.items()]


def _options(benchmark: BenchmarkRecord) -> dict[str, object]:
    """What the suite asks for, as ``run`` and ``duel`` take it."""
    asked = benchmark.asked
    return {
        "dataset": benchmark.dataset.name,
        "threads": benchmark.threads,
        "precision": asked.precision,
        "batch-size": asked.batch_size,
        "device": asked.device if asked.device != "auto" else None,
        "seed": asked.seed,
        "set": [f"{name}={value_text(option)}" for name, option in asked.options.items()],
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
            return self.more_evidence()
        step = _STEPS[type(deciding[0])]
        if not isinstance(step, str):
            return step(self, deciding[0])
        return Advice(step.format(budget=self.options.budget, turns=self.options.turns))

    def _deciding_reasons(self) -> list[Reason]:
        """The reasons that the benchmark's verdict comes from; quality before metrics."""
        results = reversed(self.benchmark.results)
        same = [each for each in results if each.verdict == self.benchmark.verdict]
        return [*self.benchmark.reasons, *(reason for each in same for reason in each.reasons)]

    def more_evidence(self, _reason: Reason | None = None) -> Advice:
        ways = [f"with more time ({self.options.budget})"]
        on_cpu = any(each.device == "cpu" for each in self.benchmark.configurations)
        if self.benchmark.threads > 1 and on_cpu:  # threads wait for the one whose CPU other work uses
            ways.append("on one thread (threads = 1)")
        text = f"Run the gate again {', '.join(ways)} or on a quieter machine. To check the machine:"
        return Advice(text, "harness doctor --noise")

    def measure_again(self, _reason: Reason) -> Advice:
        failed = [each.metric for each in self.benchmark.metrics if each.verdict == "FAIL"]
        limits = " and ".join(metrics()[metric].key for metric in failed)
        text = f"If intended, raise {limits}. To measure the benchmark again:"
        return Advice(text, duel_command(self.record, self.benchmark))

    def more_pairs(self, reason: reasons.TooFewPairs) -> Advice:
        enough = f"{reason.needed} pairs take about {reason.needed * reason.pair_seconds:.0f} s"
        return Advice(f"Give the gate more time ({self.options.budget}): {enough}.")

    def show_values(self, _reason: Reason) -> Advice:
        remedy = 'set values = "differ" or a tolerance for this benchmark'
        text = f"If this is intended, {remedy}. To see the values of head:"
        return Advice(text, run_command(self.record, self.benchmark, self.record.head))

    def compare_losses(self, _reason: Reason) -> Advice:
        return self._check("set max_accuracy_loss")

    def _check(self, remedy: str = "") -> Advice:
        """``remedy`` accepts a difference that is intended."""
        intended = f"If the difference is intended, {remedy}. " if remedy else ""
        if not self.benchmark.has_reference:  # with which `harness check` would compare head
            text = f"{intended}To train head alone:"
            return Advice(text, run_command(self.record, self.benchmark, self.record.head))
        text = f"{intended}To find the step or layer that deviates:"
        return Advice(text, check_command(self.record, self.benchmark))

    def lost(self, reason: reasons.ScoreLost | reasons.ExtraSteps) -> Advice:
        if self.benchmark.verdict != "FAIL":
            return Advice(_MORE_SEEDS.format(budget=self.options.budget))
        limit = "max_accuracy_loss" if isinstance(reason, reasons.ScoreLost) else "max_extra_steps"
        return self._check(f"raise {limit}")

    def diverged(self, reason: reasons.Diverged) -> Advice:
        if reason.label == "base":
            return Advice("Change the benchmark so that base trains without diverging.")
        return self._check()

    def run_alone(self, reason: reasons.Failed | reasons.NotComparable) -> Advice:
        is_base = isinstance(reason, reasons.Failed) and reason.label == "base"
        label, environment = ("base", self.record.base) if is_base else ("head", self.record.head)
        return Advice(f"To run {label} alone:", run_command(self.record, self.benchmark, environment))


_MORE_TIME = "Give the gate more time ({budget})."
_MORE_SEEDS = "Run the gate again with more seeds for this benchmark and more time ({budget})."
_RESTORE = "Restore it in head's suite. If the change is intended, use a base with the same change."
_MORE_EPOCHS = 'Set more epochs for this benchmark, or max_extra_steps = "off".'
#: What to do about each reason: a sentence with the names of options in braces, or what makes the advice.
_STEPS: Mapping[type[Reason], str | Callable[[_Adviser, Any], Advice]] = {
    reasons.ProvenWorse: _Adviser.measure_again,
    reasons.ImplausibleSpeedup: "Check that head does all the work. If it does, raise max_speedup.",
    reasons.TooFewPairs: _Adviser.more_pairs,
    reasons.LimitNotShown: _Adviser.more_evidence,
    reasons.NotDecided: _Adviser.more_evidence,
    reasons.BeyondLimit: _Adviser.more_evidence,
    reasons.PairsLost: _Adviser.more_evidence,
    reasons.MachineChanged: _Adviser.more_evidence,
    reasons.OtherData: "If this is intended, use a base that reads the same data.",
    reasons.TaskChanged: "If this is intended, set max_accuracy_loss or use a base with the same change.",
    reasons.LossesNotFinite: ("Change the benchmark so that its losses are finite: no training can decide."),
    reasons.ValuesDiffer: _Adviser.show_values,
    reasons.SharedCode: "Name what is installed of each checkout: source in the suite.",
    reasons.WorkNotCompared: "Return a value from the step, such as its loss, so that it is compared.",
    reasons.MemoryRanOut: "Give the benchmark a smaller batch_size.",
    reasons.OtherPrecisions: _Adviser.compare_losses,
    reasons.OtherLossCount: _Adviser.compare_losses,
    reasons.LossDiffers: _Adviser.compare_losses,
    reasons.ScoreDiffers: _Adviser.compare_losses,
    reasons.TooFewEpochs: _MORE_EPOCHS,
    reasons.TargetAtFirstScore: _MORE_EPOCHS,
    reasons.TooFewSeeds: _MORE_TIME,
    reasons.Diverged: _Adviser.diverged,
    reasons.ScoreLost: _Adviser.lost,
    reasons.ExtraSteps: _Adviser.lost,
    reasons.TargetMissed: _MORE_SEEDS,
    reasons.TargetRarelyReached: _MORE_SEEDS,
    reasons.Removed: _RESTORE,
    reasons.Replaced: _RESTORE,
    reasons.Failed: _Adviser.run_alone,
    reasons.NotComparable: _Adviser.run_alone,
    reasons.FailedBesideBase: (
        "Run the gate again: the failure is occasional, or memory is too small for both. If memory is the "
        "cause, give the benchmark a smaller batch_size."
    ),
    reasons.BudgetSpent: _MORE_TIME,
    reasons.ProcessTooLong: "Set fewer turns ({turns}).",
    reasons.NoWorkers: "Run the gate on a machine that can start worker processes.",
    reasons.NewBenchmark: "It is compared from the next base on that has it.",
    reasons.HarnessFault: "Please report this error together with the gate's record.",
}
