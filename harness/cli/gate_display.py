"""How a gate goes, on standard error."""

from rich.console import Console

from harness.gate.record import BenchmarkRecord


class GateDisplay:
    """Lines on standard error: what is going on, and each benchmark's verdict as it comes."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        if self._console.is_terminal and not quiet:
            self._status.start()

    def phase(self, benchmark: str, what: str) -> None:
        """See :class:`harness.gate.keeping.GateObserver`."""
        text = f"{benchmark}: {what}"
        self._status.update(text)
        if not self._console.is_terminal:
            self._console.print(text, markup=False)

    def judged(self, benchmark: BenchmarkRecord, stage: str) -> None:
        """See :class:`harness.gate.keeping.GateObserver`."""
        verdict = (
            "suspicious" if stage == "look" and benchmark.verdict == "INCONCLUSIVE" else benchmark.verdict
        )
        told = ", ".join(
            f"{one.metric} {one.ratio - 1:+.1%}" for one in benchmark.metrics if one.ratio is not None
        )
        took = f"after the {stage}, {benchmark.seconds:.0f} s"
        self._console.print(f"{benchmark.name}: {verdict} {took} ({told or benchmark.reason})", markup=False)

    def stop(self) -> None:
        """Take the live line away."""
        self._status.stop()
