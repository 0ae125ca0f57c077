"""From the pairs of a duel to a verdict: faster, slower, same, or cannot tell yet."""

import math

import msgspec
import numpy as np

from harness.duel.pairs import control_log_ratio
from harness.duel.ratios import Ratios, step_ratios
from harness.duel.record import DuelResult, PairRecord, Word
from harness.stats.intervals import student_quantile
from harness.stats.looks import Looks, fewest_pairs, next_look

#: The chance, over all looks of a duel together, to call sides different that are not.
DIFFERENCE_LEVEL = 0.02
#: The chance to call sides the same whose ratio is in truth beyond the margin.
SAME_LEVEL = 0.05
#: The control has moved when it differs between the sides' turns for certain, at this level, and by this
#: share of the margin.
_CONTROL_LEVEL = 0.01
_CONTROL_SHARE = 0.5
_TURNED_ROUND = "over all blocks, pauses included, the difference is the other way round"
#: Of the pairs, this many may be lost to disturbances.
_MOST_LOST_SHARE = 0.34
#: Of a large difference, the share of it that its interval may be wide to either side.
_KNOWN_TO_SHARE = 0.25


def compare(
    pairs: list[PairRecord],
    side: int,
    labels: list[str],
    batch_sizes: list[int],
    *,
    margin: float,
    looks: Looks | None = None,
    comparisons: int = 1,
) -> DuelResult:
    """What the pairs so far say of a side against side 0, tested where they came to one of the ``looks``.

    Without looks this is the only test, of a number of pairs that was fixed beforehand.

    With several sides against the first, ``comparisons`` of them share the error allowed (Bonferroni).
    """
    ratios = step_ratios(pairs, side, batch_sizes)
    made = len(ratios.logs)
    control = np.array([r for pair in pairs if (r := control_log_ratio(pair, side)) is not None])
    looks = looks or Looks.single(made)
    ratio = ratios.ratio
    reason = _doubt(len(pairs) - made, len(pairs), control, margin)
    verdict: Word = "cannot tell yet" if reason else _verdict(ratios, margin, looks, comparisons)
    if verdict in ("faster", "slower") and ratios.turned_round:
        verdict, reason = "cannot tell yet", _TURNED_ROUND
    more_would_tell = verdict == "cannot tell yet" and not reason
    return DuelResult(
        side=labels[side],
        against=labels[0],
        verdict=verdict,
        reason=reason,
        pairs=made,
        weight=ratios.weight,
        ratio=ratio and ratio.value,
        low=ratio and ratio.low,
        high=ratio and ratio.high,
        p_value=ratios.p_value() if made else None,
        spread=ratios.spread if made > 1 else None,
        reached_after=None if verdict == "cannot tell yet" else made,
        pairs_wanted=_pairs_wanted(ratios, margin, comparisons) if more_would_tell else None,
        uneven=ratios.uneven,
        turned_round=ratios.turned_round,
        control_ratio=math.exp(control.mean()) if len(control) else None,
    )


def kept(reached: DuelResult | None, now: DuelResult) -> DuelResult:
    """The verdict ``reached`` at a look over the same blocks stays, while the pairs can be believed.

    A difference does not stay while all blocks together tell the opposite.
    """
    if reached is None or now.reason:
        return now
    if now.turned_round and reached.verdict in ("faster", "slower"):
        return msgspec.structs.replace(now, reason=_TURNED_ROUND, pairs_wanted=None)
    return msgspec.structs.replace(
        now, verdict=reached.verdict, reached_after=reached.reached_after, pairs_wanted=None
    )


def latest(reached: DuelResult | None, now: DuelResult) -> DuelResult | None:
    """The verdict to be kept from now on: the first, but that what was the same may turn out different."""
    if now.verdict == "cannot tell yet" or (now.verdict == "same" and reached is not None):
        return reached
    return now if reached is None or reached.verdict == "same" else reached


def known_well_enough(found: DuelResult, margin: float) -> bool:
    """Whether there is a verdict, and its ratio is known to within the margin or a quarter of the difference.

    A duel that ended with its verdict would tend to end when chance had made the difference large, and so
    tell too large a ratio.
    """
    if found.verdict == "cannot tell yet" or found.low is None or found.high is None or found.ratio is None:
        return False
    wanted = max(math.log1p(margin), _KNOWN_TO_SHARE * abs(math.log(found.ratio)))
    return math.log(found.high / found.low) / 2 <= wanted


def _doubt(lost: int, pairs: int, control: np.ndarray, margin: float) -> str:
    """Why no verdict can rest on these pairs; empty where one can."""
    if too_many_lost(lost, pairs):
        return f"{lost} of {pairs} pairs were lost to disturbances"
    if control_moved(control, margin):
        return "the control differs between the sides' turns: the machine was not the same"
    return ""


def _verdict(ratios: Ratios, margin: float, looks: Looks, comparisons: int) -> Word:
    level = looks.levels(DIFFERENCE_LEVEL / comparisons).get(len(ratios.logs), 0.0)
    same_level = looks.levels(SAME_LEVEL / comparisons, "less").get(len(ratios.logs), 0.0)
    if not level and not same_level:
        return "cannot tell yet"  # no look, so no test is made
    within = math.log1p(margin)
    ends = ratios.cautious_p_value("greater", -within), ratios.cautious_p_value("less", within)
    if max(ends) <= same_level:
        return "same"
    if ratios.p_value() <= level:
        return "slower" if ratios.mean > 0 else "faster"
    return "cannot tell yet"


def too_many_lost(lost: int, pairs: int) -> bool:
    """Whether disturbances took so many of the pairs that those left may be no fair sample."""
    return lost > _MOST_LOST_SHARE * pairs


def control_moved(control: np.ndarray, margin: float) -> bool:
    """Whether the control's log ratios ``(pairs,)`` tell of another machine for one of the sides.

    By Student's test: with the few pairs of a look no exact test can reach the level, and what a fixed
    work takes in one process has no luck of processes in it.
    """
    if len(control) < 2:  # noqa: PLR2004  one value has no spread
        return False
    error = float(control.std(ddof=1)) / math.sqrt(len(control))
    sure = abs(control.mean()) >= student_quantile(1 - _CONTROL_LEVEL / 2, len(control) - 1) * error
    return bool(sure and abs(control.mean()) > _CONTROL_SHARE * math.log1p(margin))


def fewest_pairs_for_difference(comparisons: int) -> int:
    """Pairs without which no duel of so many comparisons can call sides different."""
    return fewest_pairs(DIFFERENCE_LEVEL / comparisons)


def deviates(pairs: int) -> float:
    """How many standard errors of so many pairs a difference must be for a duel to find it nine times in ten.

    More than of a normal test, for of few pairs nearly all must agree. Fitted to 600 simulated duels at
    each number of pairs: 5.7 at 7, 5.0 at 8, 4.6 at 12, 4.2 at 14, 4.1 at 20, 3.9 at 28 and 3.8 at 40.
    """
    return 3.4 + 15 / pairs


def _pairs_wanted(ratios: Ratios, margin: float, comparisons: int) -> int:
    """About how many more pairs a verdict would take, by the normal approximation at the spread seen."""
    made = len(ratios.logs)
    fewest = max(made + 1, fewest_pairs_for_difference(comparisons))
    if made < 3:  # noqa: PLR2004  two pairs have no spread to speak of
        return next_look(fewest) - made
    within = math.log1p(margin)
    if ratios.whole is not None and max(map(abs, ratios.cautious_means)) >= within > abs(ratios.mean):
        ratios = Ratios(ratios.whole)  # which is what keeps them from being the same
    off = abs(ratios.mean)
    distance = max(off, abs(math.log1p(margin) - off), 1e-4)
    wanted = fewest
    while deviates(wanted) * ratios.spread > distance * math.sqrt(wanted):
        wanted += max(1, wanted // 20)
    return next_look(wanted) - made
