"""The verdict of a duel from its pairs: faster, slower, same or undecided."""

import math

import msgspec
import numpy as np

from harness.core.stats.intervals import student_quantile
from harness.timing.duel.record import DuelResult, Reason, Verdict
from harness.timing.engine.evidence import FEWEST_PAIRS, more_pairs
from harness.timing.engine.ratios import WITHIN_SHARE, Ratios, control_log_ratio, step_ratios
from harness.timing.engine.record import PairRecord

#: The probability, over all pairs of a duel together, of calling equal configurations different.
DIFFERENCE_LEVEL = 0.02
#: The probability of calling configurations the same whose true ratio is beyond the margin.
SAME_LEVEL = 0.05
#: The control has moved if its time differs between the configurations significantly, at this level, and by
#: this share of the margin.
_CONTROL_LEVEL = 0.01
_CONTROL_SHARE = 0.5
#: The share of the pairs that may be lost to disturbances.
_MOST_LOST_SHARE = 0.34
#: Half the interval of a large difference may be this share of the difference wide.
_KNOWN_TO_SHARE = 0.25
#: Stands for more pairs than any duel makes.
_NEVER = 1000


def compare(
    pairs: list[PairRecord],
    index: int,
    labels: list[str],
    batch_sizes: list[int],
    *,
    margin: float,
    comparisons: int = 1,
) -> DuelResult:
    """Compare a configuration with the reference (index 0) by the pairs so far.

    A difference and equality are tested after every pair (:mod:`harness.timing.engine.evidence`). With
    several configurations the ``comparisons`` share the error (Bonferroni).
    """
    ratios = step_ratios(pairs, index, batch_sizes)
    made = len(ratios.logs)
    lost = len(pairs) - made
    control = np.array([log for pair in pairs if (log := control_log_ratio(pair, index)) is not None])
    reason: Reason | None = "control moved" if control_moved(control, margin) else None
    if too_many_lost(lost, len(pairs)):
        reason = "pairs lost"
    verdict: Verdict = "undecided" if reason else _verdict(ratios, margin, comparisons)
    if verdict in ("faster", "slower") and ratios.contradicted:
        verdict, reason = "undecided", "contradicted"
    more_may_decide = verdict == "undecided" and reason is None
    return DuelResult(
        configuration=labels[index],
        reference=labels[0],
        verdict=verdict,
        reason=reason,
        pairs=made,
        lost=lost,
        weight=ratios.weight,
        ratio=ratios.ratio,
        p_value=ratios.difference_p_value(math.log1p(margin)) if made else None,
        level=DIFFERENCE_LEVEL / comparisons,
        spread=ratios.spread if made > 1 else None,
        reached_after=None if verdict == "undecided" else made,
        pairs_wanted=_pairs_wanted(ratios, margin, comparisons) if more_may_decide else None,
        uneven=ratios.uneven,
        contradicted=ratios.contradicted,
        control_ratio=math.exp(control.mean()) if len(control) else None,
    )


def kept(reached: DuelResult | None, now: DuelResult) -> DuelResult:
    """Return the result with the verdict ``reached`` at an earlier look over the same blocks.

    The verdict stays as long as the pairs can be trusted; a difference does not stay while the total over all
    blocks contradicts it.
    """
    if reached is None or now.reason:
        return now
    if now.contradicted and reached.verdict in ("faster", "slower"):
        return msgspec.structs.replace(now, reason="contradicted", pairs_wanted=None)
    return msgspec.structs.replace(
        now, verdict=reached.verdict, reached_after=reached.reached_after, pairs_wanted=None
    )


def latest(reached: DuelResult | None, now: DuelResult) -> DuelResult | None:
    """Return the verdict to keep: the first one, except that ``same`` may become a difference."""
    if now.verdict == "undecided" or (now.verdict == "same" and reached is not None):
        return reached
    return now if reached is None or reached.verdict == "same" else reached


def known_well_enough(result: DuelResult, margin: float) -> bool:
    """Check for a verdict, and a ratio known to within the margin or a quarter of the difference.

    Stopping at significance biases the estimate: a duel would end when chance had made the difference large.
    """
    ratio = result.ratio
    if result.verdict == "undecided" or ratio is None or ratio.low is None or ratio.high is None:
        return False
    return math.log(ratio.high / ratio.low) / 2 <= wanted_precision(ratio.value, margin)


def wanted_precision(ratio: float, margin: float) -> float:
    """Return half the width, in logarithms, of the interval with which a duel may end."""
    return max(math.log1p(margin), _KNOWN_TO_SHARE * abs(math.log(ratio)))


def _verdict(ratios: Ratios, margin: float, comparisons: int) -> Verdict:
    within = math.log1p(margin)
    if ratios.same_p_value(within) <= SAME_LEVEL / comparisons:
        return "same"
    if ratios.difference_p_value(within) <= DIFFERENCE_LEVEL / comparisons:
        return "slower" if ratios.mean > 0 else "faster"
    return "undecided"


def too_many_lost(lost: int, pairs: int) -> bool:
    """Check that disturbances took too many pairs for the remaining ones to be a fair sample."""
    return lost > _MOST_LOST_SHARE * pairs


def control_moved(control: np.ndarray, margin: float) -> bool:
    """Check by the control's log ratios ``(pairs,)`` that the machine differed between configurations.

    Student's test is used: an exact test cannot reach the level with the few pairs of a look, and the time of
    a fixed work in one process has no variance between processes.
    """
    if len(control) < 2:  # noqa: PLR2004  one value has no spread
        return False
    error = float(control.std(ddof=1)) / math.sqrt(len(control))
    significant = abs(control.mean()) >= student_quantile(1 - _CONTROL_LEVEL / 2, len(control) - 1) * error
    return bool(significant and abs(control.mean()) > _CONTROL_SHARE * math.log1p(margin))


def _pairs_wanted(ratios: Ratios, margin: float, comparisons: int) -> int:
    """Estimate how many more pairs a verdict takes, a difference or *same*, whichever comes first."""
    within, made = math.log1p(margin), len(ratios.logs)
    if made < 3:  # noqa: PLR2004  the spread of two pairs is too uncertain
        return FEWEST_PAIRS - made
    sign = 1 if ratios.mean > 0 else -1
    different = more_pairs(sign * ratios.logs, within, DIFFERENCE_LEVEL / comparisons / 2)
    # A difference that is proven and not reported is contradicted over all blocks, which pairs may change.
    return max(1, min(different or _NEVER, _pairs_for_same(ratios, within, SAME_LEVEL / comparisons)))


def _pairs_for_same(ratios: Ratios, within: float, level: float) -> int:
    """Estimate how many more pairs show that the configurations are the same."""
    if ratios.whole is not None and max(map(abs, ratios.cautious_means)) >= within > abs(ratios.mean):
        ratios = Ratios(ratios.whole)  # these are what prevents the verdict "same"
    if abs(ratios.mean) >= within:
        return _NEVER
    ends = (within - ratios.logs, within + ratios.logs)
    wanted = [more_pairs(values, within * WITHIN_SHARE, level) for values in ends]
    return max(_NEVER if pairs is None else pairs for pairs in wanted)
