"""The verdict of a duel in one line, and what it rests on."""

from harness.duel.record import DuelResult, Reason
from harness.report.numbers import time_ratio

#: Down-weighted outliers are mentioned if they cost more than this share of the pairs.
_LOST_WEIGHT_SHOWN = 0.1
_SMALLEST_P = 0.001
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
            return f"Undecided whether {configuration} or {reference} is faster: {ratio}{_outlook(result)}"


def evidence_text(result: DuelResult) -> str:
    """``10 pairs, p = 0.002``: the pairs behind a ratio, and the sign-flip test that it is 1."""
    pairs = f"{result.pairs} pair" if result.pairs == 1 else f"{result.pairs} pairs"
    if result.weight is not None and result.weight < (1 - _LOST_WEIGHT_SHOWN) * result.pairs:
        pairs += f", effective {result.weight:.0f} after down-weighting outliers"
    if result.p_value is None:
        return pairs
    small = result.p_value < _SMALLEST_P
    return f"{pairs}, p < {_SMALLEST_P:g}" if small else f"{pairs}, p = {result.p_value:.2g}"


def _outlook(result: DuelResult) -> str:
    """Why there is no verdict, or how many more pairs are needed for one."""
    if result.reason is not None:
        return f"; {reason_text(result.reason, result)}"
    wanted = result.pairs_wanted or 0
    if wanted <= 0:
        return ""
    from harness.stats.looks import MOST_PAIRS  # imports NumPy, which reports of gates do without

    beyond = f", and a duel makes at most {MOST_PAIRS}" if result.pairs + wanted > MOST_PAIRS else ""
    return f"; about {wanted} more {'pair is' if wanted == 1 else 'pairs are'} needed to decide{beyond}"


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
