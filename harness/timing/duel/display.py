"""The display of a duel."""

from harness.core.documents.numbers import time_ratio
from harness.core.runs.events import Phase
from harness.core.shell.console import LiveLine
from harness.timing.duel.record import DuelRecord
from harness.timing.duel.runner import DuelEvent, Paired


class DuelDisplay(LiveLine):
    """Shows the events of a duel."""

    def __call__(self, event: DuelEvent) -> None:
        """Show an event."""
        match event:
            case Phase(name):
                self.doing(name)
            case Paired(record):
                self._paired(record)

    def _paired(self, record: DuelRecord) -> None:
        """Show the ratios after a pair."""
        ratios = "; ".join(
            f"{result.configuration} {time_ratio(result.ratio)}"
            + (f", {result.verdict}" if result.verdict != "undecided" else "")
            for result in record.results
        )
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {ratios}")
        self.show(f"pair {len(record.pairs) + 1}")
