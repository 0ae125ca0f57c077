"""How a gate goes, on standard error."""

from harness.cli.standard_error import LiveLine
from harness.gate.record import BenchmarkRecord


class GateDisplay(LiveLine):
    """Lines on standard error: what is going on, and each benchmark's verdict as it comes."""

    def phase(self, benchmark: str, what: str) -> None:
        """See :class:`harness.gate.recorder.GateObserver`."""
        self.doing(f"{benchmark}: {what}")

    def judged(self, benchmark: BenchmarkRecord, stage: str) -> None:
        """See :class:`harness.gate.recorder.GateObserver`."""
        left = any(one.verdict == "INCONCLUSIVE" for one in benchmark.metrics)
        verdict = "suspicious" if stage == "look" and left else benchmark.verdict
        told = ", ".join(
            f"{one.metric} {one.ratio - 1:+.1%}" for one in benchmark.metrics if one.ratio is not None
        )
        took = f"after the {stage}, {benchmark.seconds:.0f} s"
        self.say(f"{benchmark.name}: {verdict} {took} ({told or benchmark.reason})")
