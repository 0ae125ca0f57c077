"""The end of a duel: all is decided, or time or pairs run out."""

from harness.timing.duel.record import DuelRecord, StopReason
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.verdict import known_well_enough
from harness.timing.engine.record import MOST_PAIRS

#: The most time of a duel without a budget: 40 pairs, the most there are, of 20 s. That is what pairs take on
#: a busy machine, most of it to start the processes.
MOST_SECONDS = 900.0
#: A duel without a budget whose verdicts are in narrows its intervals until this time.
_NARROWING_SECONDS = 300.0


def time_limit(request: DuelRequest) -> float:
    """Return the seconds after which no pair may end."""
    return MOST_SECONDS if request.budget_seconds is None else request.budget_seconds


def stop_reason(request: DuelRequest, record: DuelRecord, pair_seconds: float) -> StopReason | None:
    """Say why another pair, of about ``pair_seconds``, is not made; None if one is."""
    if record.results and all(known_well_enough(result, record.margin) for result in record.results):
        return "decided"
    if len(record.pairs) >= MOST_PAIRS:
        return "most pairs"
    if record.seconds + pair_seconds > time_limit(request):
        return "budget spent"
    has_verdicts = all(result.verdict != "undecided" for result in record.results)
    if request.budget_seconds is None and has_verdicts and record.seconds > _NARROWING_SECONDS:
        return "verdicts in"
    return None
