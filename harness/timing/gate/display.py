"""The progress of a gate on standard error."""

from harness.core.shell.console import LiveLine
from harness.timing.gate.record import BenchmarkRecord, Stage
from harness.timing.gate.words import change, why


class GateDisplay(LiveLine):
    """The display of a gate on standard error: its activity, and the verdict of each benchmark."""

    def phase(self, benchmark: str, activity: str) -> None:
        """Show an activity: see :class:`harness.timing.gate.runner.GateObserver`."""
        self.doing(f"{benchmark}: {activity}")

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """Show a verdict: see :class:`harness.timing.gate.runner.GateObserver`."""
        self.say(progress_line(benchmark, stage))

    def confirming(self, benchmark: BenchmarkRecord) -> None:
        """Show what is undecided: see :class:`harness.timing.gate.runner.GateObserver`."""
        undecided = ", ".join(
            f"{each.metric} {change(each.metric, each.ratio)}" for each in benchmark.undecided
        )
        self.doing(f"{benchmark.name}: needs more pairs ({undecided})")


def progress_line(benchmark: BenchmarkRecord, stage: Stage) -> str:
    """Return ``mlp: PASS after 4 pairs, 48 s (step +0.2 %, first step +9.6 %, memory 0.0 %)``."""
    pairs = len(benchmark.look) + len(benchmark.confirmation)
    verdict = "needs more pairs" if stage == "look" and benchmark.undecided else benchmark.verdict
    changes = ", ".join(
        f"{result.metric} {change(result.metric, result.ratio)}" for result in benchmark.metrics
    )
    details = changes or ("" if benchmark.verdict == "PASS" else why(benchmark))
    line = f"{benchmark.name}: {verdict} after {pairs} pairs, {benchmark.seconds:.0f} s"
    return f"{line} ({details})" if details else line
