"""The outlook of a confirmation: its duration, and the chance that more pairs help."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.timing.gate.judgement import pairs_wanted, worse_p_value
from harness.timing.gate.metrics import PairedSeries

#: With fewer pairs a forecast is too uncertain to give a benchmark up: in simulated gates on a very busy
#: machine a loss of 10 % failed in 79 of 100 if 10 pairs sufficed, and in 89 with 20.
_FEWEST_FOR_FORECAST = 20
#: Half as many suffice if a loss is proven and is at least this share of the limit: little speaks for PASS.
_NEAR_LIMIT = 0.8
#: More pairs are hopeless if about so many times as many are needed as there is time for.
_HOPELESS = 2.0


class Outlook(NamedTuple):
    """About ``pairs_wanted`` more pairs decide (None: no number does); there is time for ``pairs_left``."""

    pairs_wanted: int | None
    pairs_left: int
    pair_seconds: float
    is_hopeless: bool

    @property
    def seconds(self) -> float:
        """The estimated rest of the confirmation."""
        wanted = self.pairs_left if self.pairs_wanted is None else self.pairs_wanted
        return min(wanted, self.pairs_left) * self.pair_seconds


def outlook(
    undecided: Sequence[PairedSeries],
    level: float,
    pair_seconds: float,
    seconds_left: float,
    most_pairs: int,
    *,
    may_end: bool,
) -> Outlook:
    """Return the outlook for the ``undecided`` metrics, of which head fails at ``level``.

    At most ``most_pairs`` more are made. It is hopeless only if it ``may_end`` before the time is over.
    """
    is_limited = pair_seconds > 0 and seconds_left < math.inf
    fits = math.floor(seconds_left / pair_seconds) if is_limited else most_pairs
    left = max(0, min(most_pairs, fits)) if seconds_left > 0 else 0
    wanted = [pairs_wanted(series, level) for series in undecided]
    beyond = [
        _is_certain_enough(series, level) and (pairs is None or pairs > _HOPELESS * left)
        for series, pairs in zip(undecided, wanted, strict=True)
    ]
    is_hopeless = may_end and bool(beyond) and all(beyond)
    known = [pairs for pairs in wanted if pairs is not None]
    return Outlook(
        max(known) if known and len(known) == len(wanted) else None, left, pair_seconds, is_hopeless
    )


def _is_certain_enough(series: PairedSeries, level: float) -> bool:
    """Check that there are enough pairs for a forecast that gives a metric up."""
    limit, ratios = math.log1p(series.limit), series.ratios
    if len(ratios.logs) < _FEWEST_FOR_FORECAST / 2:
        return False
    is_likely = ratios.mean >= _NEAR_LIMIT * limit and worse_p_value(series, limit) <= level
    return is_likely or len(ratios.logs) >= _FEWEST_FOR_FORECAST
