"""The display of a duel."""

from harness.core.documents.numbers import about, time_left, time_ratio
from harness.core.machine.arguments import duration_text
from harness.core.runs.events import Phase
from harness.core.shell.console import LiveLine
from harness.timing.duel.record import DuelRecord
from harness.timing.duel.runner import DuelEvent, Measuring, Paired
from harness.timing.engine.evidence import FEWEST_PAIRS
from harness.timing.engine.outlook import advised_budget


class DuelDisplay(LiveLine):
    """Shows the events of a duel."""

    def __call__(self, event: DuelEvent) -> None:
        """Show an event."""
        match event:
            case Phase(name):
                self.doing(name)
            case Measuring():
                self._measuring(event)
            case Paired(record, seconds_left):
                self._paired(record, seconds_left)

    def _measuring(self, event: Measuring) -> None:
        """Show the blocks of a pair, and the pairs and the time that a verdict takes."""
        prepared, seconds = event.prepared, event.prepared.pair_seconds
        steps = " and ".join(map(str, prepared.steps))
        self.doing(
            f"{prepared.turns} blocks of {steps} steps; a verdict takes at least {FEWEST_PAIRS} pairs of "
            f"about {seconds:.0f} s, {about(FEWEST_PAIRS * seconds)}"
        )
        if event.pairs_left >= FEWEST_PAIRS:
            return
        if event.seconds_needed <= event.longest_seconds:
            self.say(f"The duel takes about {about(event.seconds_needed)}, longer than its budget, for these")
            return
        self.say(
            f"The time suffices for about {max(1, event.pairs_left)} of these, so the result will say what "
            f"is likely; give --budget {duration_text(advised_budget(event.seconds_needed))} for a verdict"
        )

    def _paired(self, record: DuelRecord, seconds_left: float) -> None:
        """Show the ratios after a pair."""
        ratios = "; ".join(
            f"{result.configuration} {time_ratio(result.ratio)}"
            + (f", {result.verdict}" if result.verdict != "undecided" else "")
            for result in record.results
        )
        left = "" if record.stopped_because else f"; {time_left(seconds_left)}"
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {ratios}{left}")
        self.show(f"pair {len(record.pairs) + 1}{left}")
