"""The time that is left of a sequence of activities, such as certificates and runs, from those that ended."""

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

_MINUTE, _HOUR = 60, 3600
#: From this share of the current activity on, its own speed counts instead of earlier activities.
_OWN_SPEED = 0.1


class Activity(NamedTuple):
    """``group`` is ``certificate`` or ``run``; those of the same ``kind`` take about as long."""

    group: str
    kind: str


class Remaining:
    """Estimates the time left of planned activities, one of which runs at a time, in any order."""

    def __init__(self, planned: Sequence[Activity], clock: Callable[[], float]) -> None:
        self._to_come = list(planned)
        self._clock = clock
        self._seconds: dict[Activity, list[float]] = {}
        self._current: Activity | None = None
        self._began = 0.0
        self._share_began: tuple[float, float] | None = None
        self._share = 0.0

    def begin(self, activity: Activity) -> None:
        """An activity begins; what was planned of its kind is one less."""
        self._current, self._began = activity, self._clock()
        self._share_began, self._share = None, 0.0
        if activity in self._to_come:
            self._to_come.remove(activity)

    def drop(self, activity: Activity) -> None:
        """A planned activity will not begin."""
        if activity in self._to_come:
            self._to_come.remove(activity)

    def advance(self, share: float) -> None:
        """This share of the current activity, from 0 to 1, is done."""
        if self._share_began is None:
            self._share_began = share, self._clock()
        self._share = share

    def end(self) -> None:
        """The current activity has ended."""
        if self._current is not None:
            self._seconds.setdefault(self._current, []).append(self._clock() - self._began)
        self._current = None

    def seconds(self) -> float | None:
        """The seconds left in all; None while nothing is known of one of the groups."""
        current = self._of_current()
        to_come = [self._expected(activity) for activity in self._to_come]
        known = [seconds for seconds in (current, *to_come) if seconds is not None]
        return sum(known) if len(known) == len(to_come) + 1 else None

    def _of_current(self) -> float | None:
        """What is left of the current activity; 0 between two of them."""
        if self._current is None:
            return 0.0
        whole = self._whole_of_current()
        return None if whole is None else max(0.0, whole - (self._clock() - self._began))

    def _whole_of_current(self) -> float | None:
        """How long the current activity takes in all: at its own speed, or as long as earlier ones."""
        expected = None if self._current is None else self._ended_like(self._current)
        if self._share_began is None:
            return expected
        first, since = self._share_began
        by_own_speed = self._share >= _OWN_SPEED or expected is None
        if self._share <= first or self._share >= 1 or not by_own_speed:
            return expected  # after training a run is scored and verified
        left = (self._clock() - since) / (self._share - first) * (1 - self._share)
        return self._clock() - self._began + left

    def _expected(self, activity: Activity) -> float | None:
        """How long a planned activity takes: the mean of its kind, or else of its group."""
        ended = self._ended_like(activity)
        if ended is None and self._current is not None and self._current.group == activity.group:
            return self._whole_of_current()
        return ended

    def _ended_like(self, activity: Activity) -> float | None:
        if activity in self._seconds:
            return statistics.fmean(self._seconds[activity])
        of_group = [
            seconds
            for each, ended in self._seconds.items()
            if each.group == activity.group
            for seconds in ended
        ]
        return statistics.fmean(of_group) if of_group else None


def left_text(seconds: float) -> str:
    """``40 s left``, ``12 min left``, ``1 h 20 min left``: two digits are more than is known."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s left"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min left"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {minutes} min left"
