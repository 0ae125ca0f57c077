"""Progress of runs on a cluster: on a terminal a line for each node, otherwise one for each event."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.progress import TaskID

from harness.certify.certificate import Certificate
from harness.cli.progress import (
    CACHED_SECONDS,
    QUIET_SECONDS,
    SPINNER_WIDTH,
    LiveDisplay,
    RunLine,
    fitted,
    left_text,
)
from harness.cluster.agent import NodeState
from harness.plugins.configuration import Configuration
from harness.report.check import certificate_label
from harness.runs.record import Record
from harness.runs.request import RunRequest
from harness.runs.sequence import RunObserver

# The time that is left of runs on several nodes, from those that ended.


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


class ClusterDisplay(LiveDisplay):
    """A :class:`harness.cluster.dispatch.ClusterObserver`; ``quiet`` prints nothing."""

    def __init__(self, requests: Sequence[RunRequest], *, quiet: bool) -> None:
        self._runs = len(requests)
        self._begun = self._ended = 0
        self._nodes: dict[str, NodeLine] = {}
        self.remaining = ClusterRemaining(map(_kind, requests), time.monotonic)
        super().__init__(quiet=quiet, printed=time.monotonic())
        self._whole = self._progress.add_task("waiting for nodes", total=None)

    def joined(self, node: NodeState) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        self._nodes.setdefault(node.name, NodeLine(self, node.name))
        self.remaining.nodes = len(self._nodes)
        for reason in node.lacking.values():
            self.say(f"node {node.name}: {reason}; such runs go to other nodes")

    def lost(self, node: str, reason: str, *, again: RunRequest | None) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        line = self._nodes.pop(node, None)
        if line is not None:
            line.remove()
        self.remaining.nodes = len(self._nodes)
        if again is not None:
            self.remaining.again(node, _kind(again))
            self._begun -= 1
        self.say(f"node {node} is lost: {reason}" + (f"; {_name(again)} begins again" if again else ""))

    def begin(self, node: str, request: RunRequest) -> RunObserver:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        self._begun += 1
        number = f"[{self._begun}/{self._runs}] " if self._runs > 1 else ""
        name = f"{number}{_name(request)}"
        self._nodes[node].begin(name, _kind(request))
        line = RunLine(self._nodes[node], name, request.plan.task)
        return self._tracking.follow(line) if self._tracking else line

    def certifying_on(self, node: str) -> "NodeLine":
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        return self._nodes[node]

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        self._begun += 1
        self._ended += 1
        self.remaining.drop(_kind(request))
        self.say(f"{_name(request)}: {record.status}, by another process")

    def waiting(self, runs: int) -> None:
        """See :class:`harness.cluster.dispatch.ClusterObserver`."""
        self._progress.update(self._whole, description=f"waiting for {runs} run{'s' * (runs > 1)}")

    def ended(self, text: str) -> None:
        """A run has ended."""
        self._ended += 1
        self.say(text)
        self.show_whole()

    def row(self) -> TaskID:
        """A new line for a node."""
        return self._progress.add_task("", total=None)

    def drop_row(self, row: TaskID) -> None:
        """Remove a line."""
        self._progress.remove_task(row)

    def show_row(self, row: TaskID, name: str, details: Sequence[str]) -> None:
        """Show a node's work and the state of the whole."""
        width = self._console.width - SPINNER_WIDTH
        self._progress.update(row, description=fitted(name, details, width))
        self.show_whole()

    def show_whole(self) -> None:
        """Show how many runs have ended and how much time is left: a line every ten seconds elsewhere."""
        seconds = self.remaining.seconds()
        left = f", {left_text(seconds)}" if seconds and seconds >= 1 else ""
        nodes = len(self._nodes)
        text = f"{self._ended} of {self._runs} runs ended, {nodes} node{'s' * (nodes != 1)}{left}"
        if self.live:
            self._progress.update(self._whole, description=text)
        elif time.monotonic() - self._printed >= QUIET_SECONDS and self._ended < self._runs:
            self.say(text)


class NodeLine:
    """A node on the display: the observer of its certificates, and where its run is shown."""

    def __init__(self, display: ClusterDisplay, node: str) -> None:
        self._display = display
        self._node = node
        self._row = display.row()

    def begin(self, name: str, kind: str) -> None:
        """A run begins."""
        self._display.remaining.begin(self._node, kind)
        if not self._display.live:
            self._display.say(f"{name}: begins on {self._node}")
        self.update(name, "beginning")

    def update(self, name: str, *details: str) -> None:
        """Show work under way."""
        shown = [detail for detail in details if detail]
        self._display.show_row(self._row, f"{self._node}: {name}", shown)

    def advance(self, share: float) -> None:
        """This share of the run's training is done."""
        self._display.remaining.advance(self._node, share)

    def end(self, outcome: str) -> None:
        """The run has ended."""
        self._display.remaining.end(self._node)
        self.update("idle")
        self._display.ended(f"{outcome}, on {self._node}")

    def remove(self) -> None:
        """The node is lost."""
        self._display.drop_row(self._row)

    def certifying(self, configuration: Configuration, task: str) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        self.update(f"certifying {configuration.label} on {task}", "comparing with the reference in float64")

    def examined(self, configuration: Configuration, task: str, cases: int, of: int) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        self.update(f"certifying {configuration.label} on {task}", f"case {cases} of {of}")

    def certified(
        self, configuration: Configuration, task: str, certificate: Certificate, seconds: float
    ) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        if seconds > CACHED_SECONDS:
            outcome = certificate_label(certificate)
            self._display.say(
                f"{configuration.label} on {task}: {outcome} in {seconds:.0f} s, on {self._node}"
            )


def _name(request: RunRequest) -> str:
    plan = request.plan
    variant = f" ({request.variant})" if request.variant else ""
    return f"{plan.task.name} {request.backend}:{plan.mode} seed {plan.seed}{variant}"


def _kind(request: RunRequest) -> str:
    """Runs of the same kind take about as long."""
    return f"{request.backend}:{request.plan.mode} {request.plan.task.name}"
