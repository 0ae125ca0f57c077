"""Progress on standard error: a live line for each place of work on a terminal, otherwise plain lines.

Progress that cannot be written is dropped, so that the work continues without it.
"""

import contextlib
import math
import os
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from harness.cluster.agent import NodeState
from harness.core.certify.page import certificate_label
from harness.core.documents.numbers import (
    about,
    score_value,
    significant,
    time_left,
    time_ratio,
)
from harness.core.plugins.configuration import Configuration
from harness.core.runs.events import (
    CertificationEvent,
    Certified,
    Certifying,
    Examined,
    Finished,
    Phase,
    RunEvent,
    RunObserver,
    Scored,
    Trained,
)
from harness.core.runs.record import DatasetRecord, Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sequence import certified_work
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.words import failure_text, test_score
from harness.core.shell.printing import (
    discard,
    print_error,
    visible,
)
from harness.core.training.measures import measure_of_task
from harness.spec.data import DownloadProgress
from harness.spec.task import Adversarial, Task
from harness.timing.duel.fastest_mode import (
    BUDGET_SECONDS,
    FastestMode,
    ModeEvent,
    TimingModes,
)
from harness.timing.duel.page import chosen_sentence
from harness.timing.duel.record import DuelRecord
from harness.timing.duel.runner import (
    Measuring,
    Outlook,
    Paired,
)
from harness.timing.engine.preparation import Prepared
from harness.tracking.following import Tracking
from harness.tracking.tracker import Tracker

# The console.

#: Values of ``TERM``.
_WITHOUT_CURSOR = ("dumb", "unknown")


class _Forgiving:
    """A stream that drops what it cannot write: its reader has left, or the disk is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BlockingIOError:
            pass  # the pipe is full
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _VisibleConsole(Console):
    """A console whose text cannot change styles or move the cursor."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments with visible text; see :func:`harness.core.shell.printing.visible`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(*, quiet: bool) -> Console:
    """A console on standard error that never raises; ``quiet`` prints nothing.

    A live line needs a terminal that can move its cursor. ``NO_COLOR`` is honoured by rich; ``FORCE_COLOR``,
    which many CI systems set, does not make a log a terminal.
    """
    file = cast("TextIO", _Forgiving(sys.stderr)) if sys.stderr else None  # None: it was closed at the start
    live = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in _WITHOUT_CURSOR
    return _VisibleConsole(file=file, stderr=True, quiet=quiet, highlight=False, force_terminal=live)


def print_line(console: Console, text: str) -> None:
    """Print a permanent line: wrapped at words on a terminal, in one piece elsewhere.

    Rich would also cut the live line while it prints a line that it does not wrap.
    """
    console.print(text, markup=False, soft_wrap=not console.is_terminal)


class LiveLine:
    """The current activity: one changing line on a terminal, otherwise a line for each activity.

    Use it as a context manager.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = console(quiet=quiet)
        self._status = self._console.status("")
        if self._console.is_terminal and not quiet:
            self._status.start()

    def show(self, activity: str) -> None:
        """Replace the changing line."""
        self._status.update(Text(activity))  # Text: brackets in a name are not markup

    def doing(self, activity: str) -> None:
        """An activity begins."""
        self.show(activity)
        if not self._console.is_terminal:
            self.say(activity)

    def say(self, text: str) -> None:
        """Print a permanent line."""
        print_line(self._console, text)

    def stop(self) -> None:
        """Remove the changing line."""
        self._status.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class Phases:
    """The phases of one piece of work, with the time left as far as it is known.

    A phase that takes minutes is shown again, so that nobody takes it to hang.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._line, self._began = LiveLine(quiet=quiet), time.monotonic()
        self._ends = threading.Event()
        self._current: tuple[str, float, float | None] = ("", self._began, None)
        self._thread = threading.Thread(target=self._remind, daemon=True)

    def begin(self, phase: str, seconds: float | None = None) -> None:
        """A phase begins, which takes about so many seconds."""
        self._current = (phase, time.monotonic(), seconds)
        self._line.doing(phase if seconds is None else f"{phase}, {time_left(seconds)}")

    def advance(self, phase: str, done: float) -> None:
        """A phase begins once this share of all phases of its kind is done."""
        if not done:
            self._began = time.monotonic()
        self.begin(phase, (time.monotonic() - self._began) * (1 - done) / done if done else None)

    def _remind(self) -> None:
        while not self._ends.wait(_REMINDER_SECONDS):
            phase, began, expected = self._current
            if (passed := time.monotonic() - began) >= _REMINDER_SECONDS:
                left = "" if expected is None or expected < passed else f", {time_left(expected - passed)}"
                self._line.doing(f"{phase}, {about(passed)} so far{left}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join()
        self._line.stop()


#: How often a phase that goes on is shown again.
_REMINDER_SECONDS = 60.0

# Progress of downloads and imports: a bar on a terminal, otherwise a line for each tenth.


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[DownloadProgress]:
    """Show a download or an import on standard error; ``quiet`` shows nothing."""
    if quiet:
        yield lambda _what, _done, _total: None
        return
    shown = console(quiet=False)
    if not shown.is_terminal:
        yield _PlainProgress(lambda line: shown.print(line, markup=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=shown) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


class _PlainProgress:
    """One line when a step begins, and one for each tenth of it if its size is known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tenths: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._tenths.get(what, -1) < tenth:
            self._tenths[what] = tenth
            amount = f": {10 * tenth} % of {total / 1e6:.1f} MB" if total else ""
            self._say(f"{what}{amount}")


# The time left of planned activities, estimated from those that have ended.

_MINUTE, _HOUR = 60, 3600
#: From this share of an activity on, its own speed counts instead of that of earlier activities.
_OWN_SPEED = 0.1


class Activity(NamedTuple):
    """``group`` is ``certificate`` or ``run``; those of the same ``kind`` take about as long."""

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
        """Its whole duration: at its own speed, or else as ``expected`` from others."""
        if self.first is None:
            return expected
        share, since = self.first
        by_own_speed = self.share >= _OWN_SPEED or expected is None
        if self.share <= share or self.share >= 1 or not by_own_speed:
            return expected  # after training a run is scored and verified
        return now - self.began + (now - since) / (self.share - share) * (1 - self.share)


class Remaining:
    """Estimates the time left of planned activities, in any order, one at a time on each of ``nodes``.

    A node is named in every call; this machine alone is one node without a name.
    """

    def __init__(self, planned: Iterable[Activity], clock: Callable[[], float], nodes: int = 1) -> None:
        self._to_come = Counter(planned)
        self._clock = clock
        self._seconds: dict[Activity, list[float]] = defaultdict(list)
        self._current: dict[str, _UnderWay] = {}
        self.nodes = nodes

    def begin(self, activity: Activity, node: str = "") -> None:
        """A node begins an activity; one fewer of its kind is left."""
        self._current[node] = _UnderWay(activity, self._clock())
        self.drop(activity)

    def drop(self, activity: Activity) -> None:
        """A planned activity will not begin."""
        self._to_come[activity] = max(0, self._to_come[activity] - 1)

    def advance(self, share: float, node: str = "") -> None:
        """This share of the node's activity, from 0 to 1, is done."""
        current = self._current[node]
        current.first = current.first or (share, self._clock())
        current.share = share

    def end(self, node: str = "") -> None:
        """The node's activity has ended."""
        if current := self._current.pop(node, None):
            self._seconds[current.activity].append(self._clock() - current.began)

    def lose(self, node: str, *, again: bool) -> None:
        """The node's activity was lost; with ``again`` it will be repeated."""
        if (current := self._current.pop(node, None)) and again:
            self._to_come[current.activity] += 1

    def seconds(self) -> float | None:
        """The seconds left in all; None while nothing is known of one of the groups."""
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
        if total is None:  # it may take as long as those under way on other nodes
            total = self._expected(current.activity, now)
        return None if total is None else max(0.0, total - (now - current.began))

    def _expected(self, activity: Activity, now: float) -> float | None:
        """The duration of a planned activity: that of its kind, of its group, or of those under way."""
        if (ended := self._ended_like(activity)) is not None:
            return ended
        alike = [each for each in self._current.values() if each.activity.group == activity.group]
        totals = [total for each in alike if (total := each.total_seconds(now, None)) is not None]
        return statistics.fmean(totals) if totals else None

    def _ended_like(self, activity: Activity) -> float | None:
        """The mean duration of ended activities of its kind, or else of its group."""
        of_group = [
            seconds
            for each, ended in self._seconds.items()
            if each.group == activity.group
            for seconds in ended
        ]
        ended = self._seconds.get(activity) or of_group
        return statistics.fmean(ended) if ended else None


def left_text(seconds: float) -> str:
    """``40 s left``, ``12 min left``, ``1 h 20 min left``: two digits are more than is known."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s left"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min left"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {minutes} min left"


# Runs and the certificates before them: on this machine, or on the nodes of a cluster.

#: The spinner and the space after it.
_SPINNER_WIDTH = 2
#: Without a terminal, the least time between two lines about work under way.
_QUIET_SECONDS = 10.0
#: A certificate that takes longer was not in the cache: its time is worth a line.
_CACHED_SECONDS = 1.0


class RunsDisplay:
    """Shows runs: a live part on a terminal, permanent lines, and trackers to follow.

    It observes a sequence of runs (:class:`harness.core.runs.sequence.SequenceObserver`) or, ``on_nodes``,
    those
    of a cluster (:class:`harness.cluster.dispatch.ClusterObserver`). This machine is a node without a name.
    """

    def __init__(
        self, requests: Sequence[RunRequest], *, quiet: bool, certify: bool = False, on_nodes: bool = False
    ) -> None:
        # On a node a certificate is part of a run.
        works = {certified_work(request): None for request in requests if certify and not on_nodes}
        planned = [_certificate_activity(configuration, task) for configuration, task, _ in works]
        planned += map(_run_activity, requests)
        self._remaining = Remaining(planned, time.monotonic, nodes=0 if on_nodes else 1)
        self._console = console(quiet=quiet)
        self._printed = time.monotonic() if on_nodes else -math.inf
        self._tracking: Tracking | None = None
        self._runs = len(requests)
        self._begun = self._ended = 0
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        first = self._progress.add_task("waiting for nodes" if on_nodes else "", total=None)
        #: Lines of the live part: one for each node, and one for all nodes of a cluster.
        self._rows: dict[str, TaskID] = {} if on_nodes else {"": first}
        self._whole = first

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self._printed = time.monotonic()
        print_line(self._console, text)

    def _warn(self, text: str) -> None:
        """Print a permanent line, even where no progress is shown."""
        if self._console.quiet:
            print_error(text)
        else:
            self.say(text)

    def announce(
        self, plan: str | None, shared: SharedRuns, trackers: Sequence[Tracker], folder: Path
    ) -> None:
        """Print the plan and what is already recorded, and connect the trackers.

        Without a ``plan`` these runs are a part of more, and nothing is said of what is recorded of them.
        ``folder`` is that of the records.
        """
        if plan:
            self.say(plan)
        if shared.reused and plan is not None:
            self.say(f"{reuse_text(shared)} (harness run --fresh repeats them)")
        self._tracking = Tracking(trackers, folder, self._warn)
        for text in stand_in_texts(run.request.dataset for run in shared.left):
            self.say(text)

    def joined(self, node: NodeState) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        if node.name not in self._rows:
            self._rows[node.name] = self._progress.add_task("", total=None)
        self._remaining.nodes = len(self._rows)
        for reason in node.lacking.values():
            self.say(f"node {node.name}: {reason}; such runs go to other nodes")

    def lost(self, node: str, reason: str, *, again: RunRequest | None) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        if (row := self._rows.pop(node, None)) is not None:
            self._progress.remove_task(row)
        self._remaining.nodes = len(self._rows)
        self._remaining.lose(node, again=again is not None)
        self._begun -= again is not None
        self.say(f"node {node} is lost: {reason}" + (f"; {_name(again)} begins again" if again else ""))

    def begin(self, node: str, request: RunRequest) -> RunObserver:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        name = self._next_name(request)
        self._remaining.begin(_run_activity(request), node)
        if node and not self._live:
            self.say(f"{name}: begins on {node}")
        self.update(node, name, "beginning" if node else "starting a worker")
        line = RunLine(self, node, name, request.task)
        return self._tracking.follow(line) if self._tracking else line

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        self._ended += 1
        self._remaining.drop(_run_activity(request))
        self.say(f"{self._next_name(request)}: {record.status}, by another process")

    def waiting(self, runs: int) -> None:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        text = f"waiting for {runs} run{'s' * (runs > 1)}"
        if "" in self._rows:
            self.update("", f"{text} of other processes")
        else:
            self._progress.update(self._whole, description=text)

    def certificate(self, node: str, event: CertificationEvent) -> None:
        """Show that a certificate is made."""
        match event:
            case Certifying(configuration, task):
                if not node:
                    self._remaining.begin(_certificate_activity(configuration, task))
            case Examined(configuration, task, cases, of):
                if not node:
                    self._remaining.advance(cases / of)
                done = f"comparing with the reference in float64, {cases} of {of} cases"
                self.update(node, f"certifying {configuration.label} on {task}", done)
            case Certified(configuration, task, certificate, seconds):
                if not node:
                    self._remaining.end()
                if seconds > _CACHED_SECONDS and (node or self._live):
                    outcome = f"{certificate_label(certificate)} in {seconds:.0f} s"
                    self.say(f"{configuration.label} on {task}: {_on(outcome, node)}")

    def update(self, node: str, name: str, *details: str) -> None:
        """Show work under way. ``name`` stays whole; details that are empty or do not fit are left out."""
        shown = [detail for detail in details if detail]
        if node:
            self._show(node, f"{node}: {name}", shown)
            self._show_whole()
            return
        shown[1:1] = self._left()
        if self._live:
            self._show(node, name, shown)
        elif self._is_due():
            self.say(": ".join(filter(None, [name, ", ".join(shown)])))

    def advance(self, node: str, share: float) -> None:
        """This share of the training of the node's run is done."""
        self._remaining.advance(share, node)

    def end(self, node: str, outcome: str) -> None:
        """The run of a node has ended."""
        self._remaining.end(node)
        if node:
            self.update(node, "idle")
        self._ended += 1
        self.say(_on(outcome, node))
        if node:
            self._show_whole()

    def _next_name(self, request: RunRequest) -> str:
        """The run's name with its number among all of them."""
        self._begun += 1
        return (f"[{self._begun}/{self._runs}] " if self._runs > 1 else "") + _name(request)

    def _show(self, node: str, name: str, details: Sequence[str]) -> None:
        """Replace the line of a node, unless it is lost."""
        if (row := self._rows.get(node)) is not None:
            width = self._console.width - _SPINNER_WIDTH
            self._progress.update(row, description=fitted(name, details, width))

    def _show_whole(self) -> None:
        """Show how many runs have ended, and the time left; without a terminal every ten seconds."""
        nodes = len(self._rows)
        ended = f"{self._ended} of {self._runs} runs ended, {nodes} node{'s' * (nodes != 1)}"
        text = ", ".join([ended, *self._left()])
        if self._live:
            self._progress.update(self._whole, description=text)
        elif self._is_due() and self._ended < self._runs:
            self.say(text)

    def _left(self) -> list[str]:
        """The time left of all runs, if it is known."""
        seconds = self._remaining.seconds()
        return [left_text(seconds)] if seconds and seconds >= 1 else []

    def _is_due(self) -> bool:
        """Whether, without a terminal, a line about work under way may be printed."""
        return not self._live and time.monotonic() - self._printed >= _QUIET_SECONDS


def reuse_text(shared: SharedRuns) -> str:
    """``8 of 12 runs are already recorded``."""
    return f"{shared.reused} of {shared.total} runs are already recorded"


def stand_in_texts(datasets: Iterable[DatasetRecord]) -> list[str]:
    """A sentence for each data set that replaces another, and why."""
    return [
        f"Data set {dataset.stands_in_for} is not available, {dataset.name} is used instead: {dataset.reason}"
        for dataset in {each.name: each for each in datasets if each.stands_in_for}.values()
    ]


def fitted(name: str, details: Sequence[str], width: int) -> str:
    """``name: detail, detail`` with those details, in their order, that fit the width."""
    text = name
    for detail in details:
        longer = f"{text}{': ' if text == name else ', '}{detail}"
        if len(longer) <= width:
            text = longer
    return text


def _certificate_activity(configuration: Configuration, task: str) -> Activity:
    return Activity("certificate", f"{configuration.label} {task}")


def _run_activity(request: RunRequest) -> Activity:
    return Activity("run", f"{request.configuration.label} {request.task.name}")


def _name(request: RunRequest) -> str:
    variant = f" ({request.variant})" if request.variant else ""
    return f"{request.task.name} {request.configuration.label} seed {request.seed}{variant}"


def _on(outcome: str, node: str) -> str:
    return f"{outcome}, on {node}" if node else outcome


class RunLine:
    """One run on the display: a :class:`harness.core.runs.events.RunObserver`."""

    def __init__(self, display: RunsDisplay, node: str, name: str, task: Task) -> None:
        self._display = display
        self._node = node
        self._name = name
        self._epochs = task.epochs
        self._measure = measure_of_task(task)
        self._loss = "generator loss" if isinstance(task.objective, Adversarial) else "loss"
        self._score = ""
        self._epoch = ""

    def __call__(self, event: RunEvent) -> None:
        """Show an event; phases show already that a run has started."""
        match event:
            case Phase(name):
                self._display.update(self._node, self._name, ", ".join(filter(None, (self._epoch, name))))
            case Trained():
                self._trained(event)
            case Scored(epoch):
                score = score_value(self._measure, epoch.validation)
                self._score = f"validation {self._measure.name} {score}"
            case Finished(record):
                self._display.end(self._node, f"{self._name}: {_outcome(record)}")

    def _trained(self, event: Trained) -> None:
        self._display.advance(self._node, event.step / event.total_steps)
        self._epoch = f"epoch {event.epoch}/{self._epochs}"
        loss = f"{self._loss} {significant(event.loss)}"
        speed = f"{1 / event.step_seconds:.1f} steps/s" if event.step_seconds else ""
        self._display.update(self._node, self._name, self._epoch, loss, self._score, speed)


def _outcome(record: Record) -> str:
    if record.failure is None:
        return f"test {test_score(record)}"
    if record.status == "unsupported":
        return record.status  # the result states the reason
    return failure_text(record.status, record.failure)


# A duel, and the short duel that finds the fastest mode.


class DuelDisplay(LiveLine):
    """Shows the events of a duel, or of the short duel that finds the fastest mode."""

    def __call__(self, event: ModeEvent) -> None:
        """Show an event."""
        match event:
            case Phase(name):
                self.doing(name)
            case Measuring(prepared, outlook):
                self._measuring(prepared, outlook)
            case Paired(record, seconds_left):
                self._paired(record, seconds_left)
            case TimingModes(label, task, modes):
                most = about(BUDGET_SECONDS)
                self.say(f"{label} on {task}: timing {', '.join(modes)} for at most {most}")
            case FastestMode(times):
                self.say(chosen_sentence(times))

    def _measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """What a pair consists of, and what a verdict takes."""
        steps = " and ".join(map(str, prepared.steps))
        fewest, seconds = outlook.fewest_pairs, outlook.pair_seconds
        self.doing(
            f"{prepared.turns} blocks of {steps} steps; a verdict takes at least {fewest} pairs of about "
            f"{seconds:.0f} s, {about(fewest * seconds)}"
        )
        if outlook.pairs_left < fewest:
            self.say(
                f"The time suffices for about {max(1, outlook.pairs_left)} of these, so the result will "
                f"say what is likely; give at least {about(outlook.seconds_needed)} for a verdict"
            )

    def _paired(self, record: DuelRecord, seconds_left: float) -> None:
        """The ratios after each pair."""
        ratios = "; ".join(
            f"{result.configuration} {time_ratio(result.ratio)}"
            + (f", {result.verdict}" if result.verdict != "undecided" else "")
            for result in record.results
        )
        left = "" if record.stopped_because else f"; {time_left(seconds_left)}"
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {ratios}{left}")
        self.show(f"pair {len(record.pairs) + 1}{left}")


class ModeDisplay(DuelDisplay):
    """The short duel that finds the fastest mode; no verdict is needed, so nothing is said about its time."""

    def _measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        pass
