"""The gates of one benchmark and metric in order: their levels, and where those changed.

The gates with one base commit and the same work are a stretch: their ratios are levels relative to that base,
and changes are found within a stretch. Stretches follow each other by their last gates, and what differs is
marked. If the base of a stretch was a head of an earlier one, its level is known, and the levels of both are
connected; otherwise nothing measured connects them.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.core.stats.estimate import Estimate
from harness.timing.gate.metric_table import MetricName
from harness.timing.history.frame import DIGITS
from harness.timing.history.levels import find_levels, penalty, ratio

#: Less than this is noise whatever the pairs show: memory hardly varies within a gate.
SMALLEST_NOISE = 0.002


class MetricHistory(NamedTuple):
    """The gates of one benchmark and metric.

    ``rows`` are those of :func:`~harness.timing.history.frame.metric_rows` with the ``noise`` of ``log``, the
    log ``level`` relative to the base and its ``level_error``, and the level of the base, ``origin``, with
    its ``origin_error``, relative to the first base of the ``part`` of the series that it is connected to.
    ``mark`` says what changed before a gate. ``changes`` are ratios of a level to the one before, by the
    places of their first gates. ``latest``: the series reaches the newest gate of its benchmark.
    """

    benchmark: str
    metric: MetricName
    rows: pd.DataFrame
    changes: dict[int, Estimate]
    latest: bool

    @property
    def points(self) -> list[Any]:
        """The rows as named tuples."""
        return list(self.rows.itertuples(index=False))

    @property
    def start(self) -> str:
        """The commit that the last level is relative to."""
        first = self.rows[self.rows["part"] == self.rows["part"].iloc[-1]].iloc[0]
        return first["base"][:DIGITS] or f"the base of {first['gate']}"

    @property
    def total(self) -> Estimate:
        """The ratio of the last level to :attr:`start`."""
        last = self.points[-1]
        error = math.hypot(last.origin_error, last.level_error)
        return ratio(last.origin + last.level, error, len(self.rows))


def read_series(rows: pd.DataFrame) -> list[MetricHistory]:
    """Return the series of each benchmark and metric."""
    newest = dict(zip(rows["benchmark"], rows["gate"], strict=True))
    series = []
    for _, of_one in rows.groupby(["benchmark", "metric"], sort=False):
        last: Any = of_one.iloc[-1]
        levels, changes = _with_levels(_in_stretches(of_one))
        latest = last["gate"] == newest[last["benchmark"]]
        series.append(MetricHistory(last["benchmark"], last["metric"], levels, changes, latest))
    return series


def _in_stretches(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by stretch.

    Of gates of the same commits and work the last counts, at the place of the first.
    """
    same = ["base", "commit", "work"]
    rows = rows.assign(place=range(len(rows)))
    rows["place"] = rows.groupby(same)["place"].transform("min")
    rows = rows.drop_duplicates(same, keep="last")
    stretch = rows.groupby(["base", "work"])["place"].transform("max")
    return rows.assign(stretch=stretch).sort_values(["stretch", "place"], ignore_index=True)


def _with_levels(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, Estimate]]:
    """Return the rows with their levels, and the changes.

    The noise of a pair is pooled over the gates of the same work.
    """
    freedom = rows["pairs"] - 1
    squares = (freedom * rows["pairs"] * rows["error"] ** 2).groupby(rows["work"]).transform("sum")
    degrees = freedom.groupby(rows["work"]).transform("sum")
    noise = np.maximum(np.sqrt((squares / degrees / rows["pairs"]).to_numpy()), SMALLEST_NOISE)
    changes: dict[int, Estimate] = {}
    parts: list[pd.DataFrame] = []
    known: dict[object, tuple[float, float]] = {}
    for _, stretch in rows.groupby("stretch"):
        first, place = stretch.iloc[0], int(stretch.index[0])
        least = penalty(len(rows), float(degrees[place]))
        found = find_levels(stretch["log"].to_numpy(), noise[stretch.index], least)
        origin = known.get((first["base"], first["work"]))
        log, error = origin or (0.0, 0.0)
        mark, part = "", 0
        if parts:
            last = parts[-1].iloc[-1]
            mark = _mark(last, first) + (", not connected" if origin is None else "")
            part = int(last["part"]) + (origin is None)
        levels = stretch.assign(
            noise=found.noise,
            level=found.values,
            level_error=found.errors,
            origin=log,
            origin_error=error,
            part=part,
            mark=[mark] + [""] * (len(stretch) - 1),
        )
        parts.append(levels)
        changes |= {place + at: size for at, size in found.changes.items() if at or origin is not None}
        for head, level, own in zip(stretch["head"], found.values, found.errors, strict=True):
            if head:
                known[head, first["work"]] = log + float(level), math.hypot(error, float(own))
    return pd.concat(parts), dict(sorted(changes.items()))


def _mark(last: pd.Series, first: pd.Series) -> str:
    """Say what changed between two stretches: the base, or the work."""
    marks = []
    if last["base"] != first["base"]:
        marks.append(f"base {first['base'][:DIGITS]}" if first["base"] else "another base")
    before, after = dict(last["work"]), dict(first["work"])
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, "default"), after.get(name, "default")
        if old != new:
            marks.append("other data" if name == "data" else f"{name} {old} \N{RIGHTWARDS ARROW} {new}")
    return ", ".join(marks)
