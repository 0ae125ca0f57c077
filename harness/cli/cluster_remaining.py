"""The time that is left of runs on several nodes, from those that ended."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable


class ClusterRemaining:
    """Estimates when runs end of which ``nodes`` execute one each at a time.

    Runs of one kind are taken to last as long as their mean so far; unknown kinds as long as the mean of all.
    """

    def __init__(self, kinds: Iterable[str], clock: Callable[[], float]) -> None:
        self._to_come = Counter(kinds)
        self._clock = clock
        self._current: dict[str, tuple[str, float, float]] = {}
        self._seconds: dict[str, list[float]] = {}
        self.nodes = 0

    def begin(self, node: str, kind: str) -> None:
        """A run of this kind begins on a node."""
        self.drop(kind)
        self._current[node] = kind, self._clock(), 0.0

    def drop(self, kind: str) -> None:
        """A planned run of this kind will not begin."""
        self._to_come[kind] = max(0, self._to_come[kind] - 1)

    def advance(self, node: str, share: float) -> None:
        """This share of a node's run is done."""
        kind, began, _ = self._current[node]
        self._current[node] = kind, began, share

    def end(self, node: str) -> None:
        """A node's run has ended."""
        kind, began, _ = self._current.pop(node)
        self._seconds.setdefault(kind, []).append(self._clock() - began)

    def again(self, node: str, kind: str) -> None:
        """A node's run has to begin again."""
        self._current.pop(node, None)
        self._to_come[kind] += 1

    def seconds(self) -> float | None:
        """The seconds left until all have ended; None before anything is known."""
        expected = {kind: self._expected(kind) for kind in (*self._to_come, *self._kinds_under_way())}
        if not self.nodes or None in expected.values():
            return None
        now = self._clock()
        under_way = [
            max(0.0, (expected[kind] or 0.0) - (now - began)) for kind, began, _ in self._current.values()
        ]
        to_come = sum(count * (expected[kind] or 0.0) for kind, count in self._to_come.items())
        return max([(sum(under_way) + to_come) / self.nodes, *under_way])

    def _kinds_under_way(self) -> list[str]:
        return [kind for kind, _, _ in self._current.values()]

    def _expected(self, kind: str) -> float | None:
        """How long a run of a kind takes: as long as those that ended, or by the speed of those under way."""
        if ended := self._seconds.get(kind) or [each for kinds in self._seconds.values() for each in kinds]:
            return statistics.fmean(ended)
        now = self._clock()
        speeds = [(now - began) / share for _, began, share in self._current.values() if share > 0]
        return statistics.fmean(speeds) if speeds else None
