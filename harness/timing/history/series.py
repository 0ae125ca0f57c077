"""The gates of a branch in order: where each benchmark changed its level, and by how much in total.

A series is one benchmark and metric. Its gates with one base commit and the same work are a stretch: their
ratios are levels relative to that base, and changes are found within a stretch. Where the base or the work
changes, another stretch follows, which is marked. If the new base was a head of the stretch before it, its
level is known, and the levels of both are connected; otherwise nothing measured connects them. Stretches
that overlap in time, as of two bases in turn, are series of their own.

Of 30 gates with a noise of 1 % each and three changes of 3 %, all at least 5 gates apart, 96 % of the changes
were found within 2 gates (93 % within 1). Of series without a change, 98 % showed none (1000 simulated series
each).
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from harness.core.documents.kinds import Status
from harness.core.stats.estimate import Estimate
from harness.timing.gate.metric_table import MetricName, metrics
from harness.timing.gate.metrics import ratios_behind
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import BenchmarkRecord, GateRecord, Verdict
from harness.timing.history.change_points import Ratio, Step, Trend, chained, level_trend

#: Less than this is noise whatever the pairs show: memory hardly varies within a gate.
SMALLEST_NOISE = 0.002
_FEWEST_FOR_SPREAD = 2
#: Outcomes that leave it open whether head computes what base computes.
_NOT_COMPARED = {"not asked", "not returned", "not deterministic", "not finite"}
#: Digits of a commit that are shown.
_DIGITS = 10

#: What must stay the same for ratios to be comparable, beside benchmark, metric and base.
_Work = tuple[tuple[str, str], ...]
_Key = tuple[str, MetricName]


class NotEnded(NamedTuple):
    """The gate did not run to its end."""

    gate: str
    status: Status


class DamagedPairs(NamedTuple):
    """The ratios of the gate's pairs cannot be computed; ``message`` is the message of the error."""

    gate: str
    message: str


class NoCommits(NamedTuple):
    """``gates`` of the ``ended`` gates do not record their commits, so that their base is unknown."""

    gates: int
    ended: int


class AloneWithBase(NamedTuple):
    """``gates`` of the ``ended`` gates continue no series, and no gate continues theirs."""

    gates: int
    ended: int


Exclusion = NotEnded | DamagedPairs | NoCommits | AloneWithBase


class Point(NamedTuple):
    """One gate in a series. ``base`` and ``head`` are commits; ``date`` is ISO 8601, of the day.

    ``values`` are the medians of base and head in the unit of the metric's tables, ``verdict`` is that of the
    metric, and ``work`` what was measured.
    """

    gate: str
    date: str
    base: str | None
    head: str | None
    ratio: Ratio
    values: tuple[float, float]
    verdict: Verdict
    work: _Work

    @property
    def name(self) -> str:
        """The commit of head in short, or the gate where that is unknown."""
        return self.head[:_DIGITS] if self.head else self.gate

    @property
    def commits(self) -> tuple[str, ...]:
        """Base and head; the gate itself where they are unknown."""
        return (self.base, self.head) if self.base and self.head else (self.gate,)


class Stretch(NamedTuple):
    """Gates with the same base and the same work, oldest first.

    ``trend`` is None where too little is known of the noise. ``mark`` says what changed before the first of
    them; empty for the first stretch. ``origin`` is the log level of the base, with its standard error,
    relative to the base of the first stretch that it is connected to; None: it is connected to none.
    """

    points: list[Point]
    trend: Trend | None
    mark: str = ""
    origin: tuple[float, float] | None = None

    @property
    def base(self) -> str:
        """The commit that its levels are relative to."""
        base = self.points[0].base
        return base[:_DIGITS] if base else f"the base of {self.points[0].gate}"


class MetricHistory(NamedTuple):
    """The gates of one benchmark and metric, oldest first, in stretches.

    ``latest`` is True if the series reaches the newest head of its benchmark.
    """

    benchmark: str
    metric: MetricName
    stretches: list[Stretch]
    latest: bool

    @property
    def points(self) -> list[Point]:
        """The gates of all stretches."""
        return [point for stretch in self.stretches for point in stretch.points]

    @property
    def steps(self) -> list[Step]:
        """The changes of level, at their places among all points.

        Where stretches are connected, a first level apart from that of its base is one too.
        """
        found, before = [], 0
        for stretch, after in zip(self.stretches, [*self.stretches[1:], None], strict=True):
            if stretch.trend is not None:
                is_connected = stretch.origin is not None or (after is not None and after.origin is not None)
                first = stretch.trend.first if is_connected else None
                steps = [*([first] if first else []), *stretch.trend.steps]
                found += [step._replace(at=before + step.at) for step in steps]
            before += len(stretch.points)
        return found

    @property
    def start(self) -> str:
        """The commit that the last level is relative to."""
        return self.connected[0].base

    @property
    def connected(self) -> list[Stretch]:
        """The last stretches, from the last one on whose base has a level relative to no earlier base."""
        first = max(number for number, each in enumerate(self.stretches) if each.origin is None)
        return self.stretches[first:]

    @property
    def total(self) -> Estimate | None:
        """The ratio of the last level to :attr:`start`; None where too little is known of the noise."""
        last, count = self.stretches[-1], sum(len(each.points) for each in self.connected)
        if last.trend is None or last.origin is None:
            return None if last.trend is None else last.trend.total
        own = float(last.trend.levels[-1]), float(last.trend.errors[-1])
        logs, errors = zip(last.origin, own, strict=True)
        return chained(logs, errors, count)


class History(NamedTuple):
    """All series, by benchmark and metric, and the reasons why gates were left out."""

    series: list[MetricHistory]
    left_out: list[Exclusion]


def read_history(gates: Iterable[GateRecord], *, same_base: bool = False) -> History:
    """Return the series of the gates that ran to their end with base beside head.

    Gates that do not record their commits are left out, unless the caller knows that they have the
    ``same_base``. Of series of a single gate, only those that reach the newest head are kept.
    """
    ordered = sorted(gates, key=lambda gate: gate.started_at)
    ended = [gate for gate in ordered if gate.status == "ok"]
    usable = [gate for gate in ended if same_base or (gate.base.commit and gate.head.commit)]
    points, damaged = _points_of(usable)
    measured: dict[str, list[Point]] = {}
    for (name, _), of_key in points.items():
        measured.setdefault(name, []).extend(of_key)
    series = [
        MetricHistory(name, metric, stretches, latest)
        for (name, metric), of_key in points.items()
        for stretches in _series_of(of_key)
        if (latest := _is_latest(stretches[-1].points, measured[name]))
        or sum(len(each.points) for each in stretches) > 1
    ]
    not_ended = [NotEnded(gate.id, gate.status) for gate in ordered if gate.status != "ok"]
    return History(series, [*damaged, *not_ended, *_without_series(ended, usable, points, series)])


def _points_of(gates: Iterable[GateRecord]) -> tuple[dict[_Key, list[Point]], list[DamagedPairs]]:
    points: dict[_Key, list[Point]] = {}
    damaged = []
    for gate in gates:
        try:
            of_gate = list(_points(gate))
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            damaged.append(DamagedPairs(gate.id, str(error)))
            continue
        for key, point in of_gate:
            points.setdefault(key, []).append(point)
    return points, damaged


def _points(gate: GateRecord) -> Iterator[tuple[_Key, Point]]:
    day, base, head = gate.started_at[:10], gate.base.commit, gate.head.commit
    for benchmark in gate.benchmarks:
        for result in benchmark.metrics:
            if result.ratio is not None and result.is_usable:
                ratios = ratios_behind(benchmark, result)
                pairs = len(ratios.logs)
                spread = ratios.spread if pairs >= _FEWEST_FOR_SPREAD else None
                known = Ratio(ratios.mean if pairs else math.log(result.ratio.value), pairs or 1, spread)
                scale = metrics()[result.metric].scale
                values = scale * result.base, scale * result.shown_head
                work = _work(benchmark)
                yield (
                    (benchmark.name, result.metric),
                    Point(gate.id, day, base, head, known, values, result.verdict, work),
                )


def _work(benchmark: BenchmarkRecord) -> _Work:
    """Return what the work of a benchmark is, by names that a reader of a change understands."""
    ran = benchmark.configurations
    quality, mathematics = benchmark.quality, "as in base"
    if quality is not None and quality.seeds:
        mathematics = "other than in base"
    elif quality is not None and quality.values is not None and quality.values.outcome in _NOT_COMPARED:
        mathematics = "not compared"
    facts: dict[str, object] = {
        "backend": f"{benchmark.backend}:{benchmark.mode}".strip(":"),
        "task": benchmark.task,
        **dict(sorted(benchmark.asked.options.items())),
        **dict(sorted(benchmark.asked.arguments.items())),
        "data": benchmark.dataset.fingerprint or "",
        "threads": benchmark.threads,
        "device": ", ".join(dict.fromkeys(each.device for each in ran)),
        "precision": ", ".join(dict.fromkeys(each.configuration.precision for each in ran)),
        "batch size": ", ".join(dict.fromkeys(str(each.batch_size) for each in ran)),
        "mathematics": mathematics,
    }
    return tuple((name, str(value)) for name, value in facts.items())


def _series_of(points: list[Point]) -> list[list[Stretch]]:
    """Return the stretches of each series; of gates of the same two commits the last counts.

    A stretch follows one that ended before it began: the one that measured its base, or else the latest.
    """
    place = {point.commits: number for number, point in reversed([*enumerate(points)])}
    kept = {(point.commits, point.work): point for point in points}
    groups: dict[tuple[str | None, _Work], list[Point]] = {}
    for point in sorted(kept.values(), key=lambda point: place[point.commits]):
        groups.setdefault((point.base, point.work), []).append(point)
    series: list[list[Stretch]] = []
    for group in groups.values():  # in the order of their first points
        before = [each for each in series if place[each[-1].points[-1].commits] < place[group[0].commits]]
        follows = max(
            before,
            key=lambda each: (_level(each[-1], group[0]) is not None, place[each[-1].points[-1].commits]),
            default=None,
        )
        trend = level_trend([each.ratio for each in group], SMALLEST_NOISE)
        if follows is None:
            series.append([Stretch(group, trend)])
        else:
            mark = _mark(follows[-1].points[-1], group[0])
            follows.append(Stretch(group, trend, mark, _level(follows[-1], group[0])))
    return series


def _level(before: Stretch, point: Point) -> tuple[float, float] | None:
    """Return the log level of the base of a point, and its error, where an earlier stretch measured it.

    It did if the base was one of its heads, in the same work.
    """
    place = next((n for n, each in enumerate(before.points) if each.head and each.head == point.base), None)
    if place is None or before.trend is None or before.points[0].work != point.work:
        return None
    log, error = before.origin or (0.0, 0.0)
    return log + float(before.trend.levels[place]), math.hypot(error, float(before.trend.errors[place]))


def _mark(last: Point, first: Point) -> str:
    """Say what changed between two stretches: the base, or the work."""
    marks = []
    if last.base != first.base:
        marks.append(f"base {first.base[:_DIGITS]}" if first.base else "another base")
    before, after = dict(last.work), dict(first.work)
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, "default"), after.get(name, "default")
        if old != new:
            marks.append("other data" if name == "data" else f"{name} {old} \N{RIGHTWARDS ARROW} {new}")
    return ", ".join(marks)


def _is_latest(points: list[Point], measured: list[Point]) -> bool:
    """Check that only the same head with other bases, or earlier commits, were measured later."""
    last = points[-1]
    before = {point.commits for point in measured if point.gate < last.gate} - {last.commits}
    newer = (point for point in measured if point.gate > last.gate and point.commits not in before)
    return all(point.head == last.head is not None and point.base != last.base for point in newer)


def _without_series(
    ended: Sequence[GateRecord],
    usable: Sequence[GateRecord],
    points: dict[_Key, list[Point]],
    series: Sequence[MetricHistory],
) -> Iterator[Exclusion]:
    """Say why gates that ended are in no series."""
    if nameless := len(ended) - len(usable):
        yield NoCommits(nameless, len(ended))
    measured = {point.gate for of_key in points.values() for point in of_key}
    shown = {point.gate for shown_series in series for point in shown_series.points}
    if alone := len(measured - shown):
        yield AloneWithBase(alone, len(ended))


class Gap(NamedTuple):
    """Successive gates of one suite, ``first`` to ``last``, that did not measure a benchmark.

    ``metric`` was not measured; None: no metric was. ``reasons`` are those of the last of the gates; empty if
    the suite no longer had the benchmark, or no limit for the metric. ``open``: the gates are the newest of
    the suite.
    """

    benchmark: str
    metric: MetricName | None
    first: GateRecord
    last: GateRecord
    gates: int
    open: bool
    reasons: list[Reason]


class _Attempt(NamedTuple):
    """A gate that measured a benchmark or a metric of it, or the reasons why it did not."""

    gate: GateRecord
    measured: bool = False
    reasons: list[Reason] = []  # noqa: RUF012  never changed


def gaps(gates: Iterable[GateRecord]) -> list[Gap]:
    """Return every gap after a first measurement, in gates that ran to their end.

    Suites are distinguished by their file, so that two suites can share a folder.
    """
    suites: dict[str, list[GateRecord]] = {}
    for gate in sorted(gates, key=lambda gate: gate.started_at):
        if gate.status == "ok":
            suites.setdefault(gate.suite, []).append(gate)
    return [
        gap
        for ordered in suites.values()
        for name in dict.fromkeys(benchmark.name for gate in ordered for benchmark in gate.benchmarks)
        for gap in _gaps_of(name, ordered)
    ]


def _gaps_of(name: str, gates: Sequence[GateRecord]) -> Iterable[Gap]:
    recorded = [
        (gate, next((benchmark for benchmark in gate.benchmarks if benchmark.name == name), None))
        for gate in gates
    ]
    attempts = [
        _Attempt(gate, bool(each.metrics), [*each.reasons, *(each.quality.reasons if each.quality else [])])
        if each
        else _Attempt(gate)
        for gate, each in recorded
    ]
    yield from _runs(name, None, attempts)
    measured = [
        (gate, {result.metric: result for result in benchmark.metrics})
        for gate, benchmark in recorded
        if benchmark is not None and benchmark.metrics
    ]
    for metric in dict.fromkeys(metric for _, results in measured for metric in results):
        attempts = [
            _Attempt(gate, result.is_usable, result.reasons) if result else _Attempt(gate)
            for gate, results in measured
            for result in [results.get(metric)]
        ]
        yield from _runs(name, metric, attempts)


def _runs(name: str, metric: MetricName | None, attempts: Sequence[_Attempt]) -> Iterable[Gap]:
    since_first = itertools.dropwhile(lambda attempt: not attempt.measured, attempts)
    for measured, run in itertools.groupby(since_first, key=lambda attempt: attempt.measured):
        if not measured:
            missed = list(run)
            first, last = missed[0], missed[-1]
            is_open = last.gate is attempts[-1].gate
            yield Gap(name, metric, first.gate, last.gate, len(missed), is_open, last.reasons)


def selected(
    gates: Iterable[GateRecord], benchmark: str | None, metric: MetricName | None
) -> list[GateRecord]:
    """Return the gates with one benchmark and one metric only; None keeps all."""
    return [
        msgspec.structs.replace(
            gate,
            benchmarks=[
                msgspec.structs.replace(
                    recorded, metrics=[each for each in recorded.metrics if metric in (None, each.metric)]
                )
                for recorded in gate.benchmarks
                if benchmark in (None, recorded.name)
            ],
        )
        for gate in gates
    ]
