"""Progress of a duel on standard error, and of the short duel by which the fastest mode is found."""

from harness.cli.standard_error import LiveLine
from harness.duel.conduct import Outlook
from harness.duel.fastest_mode import BUDGET_SECONDS
from harness.duel.mode_times import ModeTimes
from harness.duel.preparation import Prepared
from harness.duel.record import DuelRecord
from harness.report.durations import about, time_left
from harness.report.mode_words import chosen_sentence
from harness.report.numbers import time_ratio


class DuelDisplay(LiveLine):
    """Progress on standard error; see :class:`harness.duel.conduct.DuelObserver`."""

    def preparing(self, *, certify: bool) -> None:
        """What happens before the first pair."""
        self.doing(f"{'certifying and ' if certify else ''}trying each configuration once")

    def certifying(self, label: str) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        self.doing(f"certifying {label}")

    def trying(self, label: str) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        self.doing(f"trying {label}")

    def measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """What a pair consists of, and what a verdict takes."""
        steps = " and ".join(map(str, prepared.steps))
        fewest, seconds = outlook.fewest_pairs, outlook.pair_seconds
        self.doing(
            f"{prepared.turns} blocks of {steps} steps; a verdict takes at least {fewest} pairs of about "
            f"{seconds:.0f} s, {about(fewest * seconds)}"
        )
        if outlook.pairs_left < fewest:
            self.say(
                f"The time suffices for about {max(1, outlook.pairs_left)} of these, so the result will "
                f"say what is likely; give at least {about(outlook.seconds_needed)} for a verdict"
            )

    def paired(self, record: DuelRecord, seconds_left: float) -> None:
        """The ratios after each pair."""
        ratios = "; ".join(
            f"{result.configuration} {time_ratio(result.ratio)}"
            + (f", {result.verdict}" if result.verdict != "undecided" else "")
            for result in record.results
        )
        left = "" if record.stopped_because else f"; {time_left(seconds_left)}"
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {ratios}{left}")
        self.show(f"pair {len(record.pairs) + 1}{left}")


class ModeDisplay(DuelDisplay):
    """See :class:`harness.duel.fastest_mode.ModeObserver`."""

    def timing_modes(self, label: str, task: str, modes: list[str]) -> None:
        """What is measured, and how long it takes at most."""
        self.say(f"{label} on {task}: timing {', '.join(modes)} for at most {about(BUDGET_SECONDS)}")

    def chosen(self, times: ModeTimes) -> None:
        """The mode that is used, and how much longer the others take."""
        self.say(chosen_sentence(times))

    def measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """No verdict is needed, so nothing is said about its time."""
