"""The time left of planned activities, estimated from those that have ended."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

#: From this share of an activity on, its own speed counts instead of that of earlier activities.
_OWN_SPEED = 0.1


class Activity(NamedTuple):
    """``group`` is ``certificate`` or ``run``; activities of the same ``kind`` take about as long."""

    group: str
    kind: str


@dataclass(slots=True)
class _UnderWay:
    """An activity that has begun; ``first`` is the first share of it that was reported, and when."""

    activity: Activity
    began: float
    first: tuple[float, float] | None = None
    share: float = 0.0

    def total_seconds(self, now: float, expected: float | None) -> float | None:
        """Estimate the whole duration in seconds: by the activity's own speed, or else as ``expected``."""
        if self.first is None:
            return expected
        share, since = self.first
        by_own_speed = self.share >= _OWN_SPEED or expected is None
        if self.share <= share or self.share >= 1 or not by_own_speed:
            return expected  # after training a run is scored and verified
        return now - self.began + (now - since) / (self.share - share) * (1 - self.share)


class Remaining:
    """Estimates the time left of planned activities, in any order, one at a time on each of ``nodes``.

    Every call names a node; this machine alone is a node without a name.
    """

    def __init__(self, planned: Iterable[Activity], clock: Callable[[], float], nodes: int = 1) -> None:
        self._to_come = Counter(planned)
        self._clock = clock
        self._seconds: dict[Activity, list[float]] = defaultdict(list)
        self._current: dict[str, _UnderWay] = {}
        self.nodes = nodes

    def begin(self, activity: Activity, node: str = "") -> None:
        """Note that a node begins an activity; one fewer of its kind is left."""
        self._current[node] = _UnderWay(activity, self._clock())
        self.drop(activity)

    def drop(self, activity: Activity) -> None:
        """Note that a planned activity will not begin."""
        self._to_come[activity] = max(0, self._to_come[activity] - 1)

    def advance(self, share: float, node: str = "") -> None:
        """Note that this share of the node's activity, from 0 to 1, is done."""
        current = self._current[node]
        current.first = current.first or (share, self._clock())
        current.share = share

    def end(self, node: str = "") -> None:
        """Note that the node's activity has ended."""
        if current := self._current.pop(node, None):
            self._seconds[current.activity].append(self._clock() - current.began)

    def lose(self, node: str, *, again: bool) -> None:
        """Note that the node's activity was lost; with ``again`` it will be repeated."""
        if (current := self._current.pop(node, None)) and again:
            self._to_come[current.activity] += 1

    def seconds(self) -> float | None:
        """Estimate the seconds left in all; None while nothing is known of a group."""
        now = self._clock()
        counts = {activity: count for activity, count in self._to_come.items() if count}
        expected = {activity: self._expected(activity, now) for activity in counts}
        under_way = [self._left(current, now) for current in self._current.values()]
        left = [seconds for seconds in under_way if seconds is not None]
        to_come = [counts[activity] * each for activity, each in expected.items() if each is not None]
        if not self.nodes or len(left) < len(under_way) or len(to_come) < len(expected):
            return None
        return max([(sum(left) + sum(to_come)) / self.nodes, *left])

    def _left(self, current: _UnderWay, now: float) -> float | None:
        total = current.total_seconds(now, self._ended_like(current.activity))
        if total is None:  # it may take as long as activities under way on other nodes
            total = self._expected(current.activity, now)
        return None if total is None else max(0.0, total - (now - current.began))

    def _expected(self, activity: Activity, now: float) -> float | None:
        """Estimate the seconds of a planned activity from ended or running ones of its kind or group."""
        if (ended := self._ended_like(activity)) is not None:
            return ended
        alike = [each for each in self._current.values() if each.activity.group == activity.group]
        totals = [total for each in alike if (total := each.total_seconds(now, None)) is not None]
        return statistics.fmean(totals) if totals else None

    def _ended_like(self, activity: Activity) -> float | None:
        """Return the mean duration of ended activities of the same kind, or else group, in seconds."""
        of_group = [
            seconds
            for each, ended in self._seconds.items()
            if each.group == activity.group
            for seconds in ended
        ]
        ended = self._seconds.get(activity) or of_group
        return statistics.fmean(ended) if ended else None
