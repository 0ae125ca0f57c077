"""The end of a duel: all is decided, time or pairs run out, or more pairs are hopeless."""

import math

from harness.timing.duel.record import DuelRecord, DuelResult, StopReason
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.verdict import known_well_enough, wanted_precision
from harness.timing.engine.outlook import Outlook, out_of_reach, pairs_in
from harness.timing.engine.record import MOST_PAIRS

#: The most time of a duel without a budget: 40 pairs, the most there are, of 20 s. That is what pairs take on
#: a busy machine, most of it to start the processes.
MOST_SECONDS = 900.0
#: A duel without a budget whose verdicts are in narrows its intervals until this time.
_NARROWING_SECONDS = 300.0
#: With fewer pairs a forecast is too uncertain to give a duel up.
_FEWEST_FOR_FORECAST = 10
#: A duel may exceed its time by this share for the fewest pairs of a verdict: one pair less, and all that was
#: measured says only what is likely.
_LONGER_SHARE = 0.5


def time_limit(request: DuelRequest) -> float:
    """Return the seconds after which no pair may end, but for the fewest pairs of a verdict."""
    return MOST_SECONDS if request.budget_seconds is None else request.budget_seconds


def longest_time(request: DuelRequest) -> float:
    """Return the seconds after which no pair may end, whatever is missing: a given budget may be exceeded."""
    return time_limit(request) * (1.0 if request.budget_seconds is None else 1 + _LONGER_SHARE)


def out_of_time(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> StopReason | None:
    """Say why there is no time for another pair, of about ``pair_seconds``; None if there is."""
    made = len(record.pairs)
    if made >= MOST_PAIRS:
        return "most pairs"
    needed = record.seconds + (request.fewest_pairs - made) * pair_seconds
    goes_on = made < request.fewest_pairs and needed <= longest_time(request)
    if goes_on or record.seconds + pair_seconds <= time_limit(request):
        return None
    return "time spent" if request.budget_seconds is None else "budget spent"


def no_longer_needed(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> StopReason | None:
    """Say why another pair is not needed, or is hopeless; None if neither.

    With a budget a duel goes on as long as anything is open: the user has set the time.
    """
    if all(known_well_enough(result, record.margin) for result in record.results):
        return "decided"
    if request.budget_seconds is not None:
        return None
    if all(result.verdict != "undecided" for result in record.results):
        return "verdicts in" if record.seconds > _NARROWING_SECONDS else None
    return "hopeless" if outlook(request, record, pair_seconds).is_hopeless else None


def outlook(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> Outlook:
    """Return the outlook for the rest of the duel, with pairs of about ``pair_seconds``."""
    left = pairs_in(time_limit(request) - record.seconds, pair_seconds, MOST_PAIRS - len(record.pairs))
    wanted = max((_pairs_to_come(result, record.margin) for result in record.results), default=0)
    beyond = [
        out_of_reach(result.pairs_wanted or 0, left)
        for result in record.results
        if result.verdict == "undecided"
    ]
    may_end = request.budget_seconds is None and len(record.pairs) >= _FEWEST_FOR_FORECAST
    return Outlook(wanted, left, pair_seconds, is_hopeless=may_end and bool(beyond) and all(beyond))


def _pairs_to_come(result: DuelResult, margin: float) -> int:
    """Estimate the pairs that decide, or narrow the interval as far as is wanted."""
    ratio = result.ratio
    if result.verdict == "undecided" or ratio is None or ratio.low is None or ratio.high is None:
        return result.pairs_wanted or 1
    wider = math.log(ratio.high / ratio.low) / 2 / wanted_precision(ratio.value, margin)
    return max(0, math.ceil(result.pairs * (wider**2 - 1)))
