"""The end of a duel: all is decided, time or pairs run out, or more pairs are hopeless."""

import math

from harness.timing.duel.record import DuelRecord, DuelResult, StopReason
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.verdict import known_well_enough, wanted_precision
from harness.timing.engine.record import MOST_PAIRS

#: The most time of a duel without a budget: 40 pairs, the most there are, of 20 s. That is what pairs take on
#: a busy machine, most of it to start the processes.
MOST_SECONDS = 900.0
#: A duel without a budget whose verdicts are in narrows its intervals until this time.
_NARROWING_SECONDS = 300.0
#: With fewer pairs a forecast is too uncertain to give a duel up.
_FEWEST_FOR_FORECAST = 10
#: More pairs are hopeless if about so many times as many are needed as there is time for.
_HOPELESS = 2.0


def time_limit(request: DuelRequest) -> float:
    """Return the seconds after which no pair may end."""
    return MOST_SECONDS if request.budget_seconds is None else request.budget_seconds


def out_of_time(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> StopReason | None:
    """Say why there is no time for another pair, of about ``pair_seconds``; None if there is."""
    if len(record.pairs) >= MOST_PAIRS:
        return "most pairs"
    if record.seconds + pair_seconds <= time_limit(request):
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
    undecided = [result for result in record.results if result.verdict == "undecided"]
    if not undecided:
        return "verdicts in" if record.seconds > _NARROWING_SECONDS else None
    if len(record.pairs) < _FEWEST_FOR_FORECAST:
        return None
    most = _HOPELESS * _pairs_left(request, record, pair_seconds)
    return "hopeless" if all((result.pairs_wanted or 0) > most for result in undecided) else None


def seconds_left(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> float:
    """Estimate the rest of the duel."""
    wanted = max((_pairs_to_come(result, record.margin) for result in record.results), default=0)
    return min(wanted, _pairs_left(request, record, pair_seconds)) * pair_seconds


def _pairs_left(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> int:
    fits = math.floor((time_limit(request) - record.seconds) / pair_seconds)
    return max(0, min(MOST_PAIRS - len(record.pairs), fits))


def _pairs_to_come(result: DuelResult, margin: float) -> int:
    """Estimate the pairs that decide, or narrow the interval as far as is wanted."""
    ratio = result.ratio
    if result.verdict == "undecided" or ratio is None or ratio.low is None or ratio.high is None:
        return result.pairs_wanted or 1
    wider = math.log(ratio.high / ratio.low) / 2 / wanted_precision(ratio.value, margin)
    return max(0, math.ceil(result.pairs * (wider**2 - 1)))
