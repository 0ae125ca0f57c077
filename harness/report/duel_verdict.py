"""The verdict of a duel in one line, what it rests on, and the load of the machine meanwhile."""

import math
from collections.abc import Iterator, Sequence

from harness.duel.record import BlockRecord, DuelResult, Reason
from harness.report.numbers import percent, time_ratio
from harness.stats.estimate import Estimate

#: Down-weighted outliers are mentioned if they cost more than this share of the pairs.
_LOST_WEIGHT_SHOWN = 0.1
_SMALLEST_P = 0.001
#: A number of missing pairs from here on is a guess.
_MANY = 200
#: Load of other programs, and throttling, are mentioned from this share of a core on.
_WORTH_MENTIONING = 0.1
#: A difference, in logarithms, that two pairs of equal programs seldom show.
_LARGE = 0.1
#: What a result means whose ``uneven`` is set.
UNEVEN = "a few blocks of most pairs are far from the others, so the ratio is over all blocks"


def verdict_line(result: DuelResult, margin: float) -> str:
    """``keras:fit is faster than torch:eager: −29.6 % [−31.5, −27.6] (10 pairs, p = 0.002)``."""
    ratio = f"{time_ratio(result.ratio)} ({evidence_text(result)})"
    configuration, reference = result.configuration, result.reference
    match result.verdict:
        case "faster" | "slower":
            return f"{configuration} is {result.verdict} than {reference}: {ratio}"
        case "same":
            return f"{configuration} is as fast as {reference} within {100 * margin:g} %: {ratio}"
        case "undecided":
            return _undecided(result)


def evidence_text(result: DuelResult) -> str:
    """``10 pairs, p = 0.002``: the pairs behind a ratio, and the test that it is 1."""
    pairs = _pairs(result)
    if result.p_value is None:
        return pairs
    small = result.p_value < _SMALLEST_P
    return f"{pairs}, p < {_SMALLEST_P:g}" if small else f"{pairs}, p = {result.p_value:.2g}"


def _pairs(result: DuelResult) -> str:
    pairs = f"{result.pairs} pair" if result.pairs == 1 else f"{result.pairs} pairs"
    down_weighted = result.weight is not None and result.weight < (1 - _LOST_WEIGHT_SHOWN) * result.pairs
    return f"{pairs}, outliers down-weighted" if down_weighted else pairs


def _undecided(result: DuelResult) -> str:
    """What is likely, and how many pairs are missing or why more do not help."""
    ratio, configuration, reference = result.ratio, result.configuration, result.reference
    if result.reason is None and ratio is not None and _is_likely(ratio):
        word = "faster" if ratio.value < 1.0 else "slower"
        claim = f"{configuration} is probably {word} than {reference}"
    else:
        claim = f"Undecided whether {configuration} or {reference} is faster"
    return f"{claim}: {time_ratio(ratio)} ({_outlook(result)})"


def _is_likely(ratio: Estimate) -> bool:
    """Whether the pairs suggest a difference; two of them, which have no interval, if it is large."""
    return ratio.excludes(1.0) if ratio.low is not None else abs(math.log(ratio.value)) > _LARGE


def _outlook(result: DuelResult) -> str:
    """``3 of at least 4 pairs``, or the evidence and why it cannot decide."""
    from harness.stats.evidence import MOST_PAIRS  # imports NumPy, which reports of gates do without

    if result.reason is not None:
        return f"{evidence_text(result)}; {reason_text(result.reason, result)}"
    needed = result.pairs + (result.pairs_wanted or 0)
    if needed <= result.pairs:
        return evidence_text(result)
    if needed > MOST_PAIRS:
        about = f"about {needed}" if needed < _MANY else "far more"
        return (
            f"{evidence_text(result)}; a verdict needs {about} pairs, and a duel makes at most {MOST_PAIRS}"
        )
    return f"{result.pairs} of at least {needed} pairs"


def reason_text(reason: Reason, result: DuelResult) -> str:
    """Why the pairs can carry no verdict."""
    match reason:
        case "pairs lost":
            made = result.pairs + result.lost
            return f"{result.lost} of {made} pairs were lost to disturbances by other programs"
        case "control moved":
            return "the control computation shows that the machine was not equally fast for both"
        case "contradicted":
            return "over all blocks, pauses included, the difference has the opposite sign"


def load_remarks(blocks: Sequence[BlockRecord]) -> Iterator[str]:
    """What other programs and limits took from the blocks throughout."""
    if not blocks:
        return
    seconds = sum(block.seconds for block in blocks)
    disturbances = [block.disturbance for block in blocks]
    others = sum(each.others_seconds + each.stolen_seconds for each in disturbances) / seconds
    if others > _WORTH_MENTIONING:
        yield f"Other programs used {percent(others)} of a CPU: measuring takes longer and varies more."
    throttled = sum(each.throttled_seconds for each in disturbances) / seconds
    if throttled > _WORTH_MENTIONING:
        yield (
            f"The CPU quota of the control group held threads back {percent(throttled)} of the time. Use "
            "fewer threads (--threads) or a larger quota."
        )
    if slowed := sum(each.throttle_events for each in disturbances):
        yield f"Cores were throttled for heat {slowed} times."
