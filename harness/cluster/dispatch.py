"""The runs of a matrix on several nodes: each place of a node executes one at a time; this process records.

Nothing here knows Ray: tests play lost nodes through the protocol :class:`Nodes`.
"""

import contextlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from harness.cluster.agent import NodeState
from harness.cluster.messages import Ended, Message, Save, SaveBeside
from harness.core.documents.kinds import Status
from harness.core.machine.description import git_state
from harness.core.runs.events import (
    Certified,
    Examined,
    Finished,
    Phase,
    RunObserver,
    Scored,
    Started,
    Trained,
)
from harness.core.runs.record import Failure, LostAttempt, Record
from harness.core.runs.request import RunRequest, new_record
from harness.core.runs.sharing import PlannedRun, SharedRuns
from harness.core.runs.store import Store
from harness.core.shell.executors import NodesObserver, PlacedWork
from harness.errors import HarnessError, interruption

#: A run that loses this many nodes is taken to be the cause.
MOST_ATTEMPTS = 3
_POLL_SECONDS = 0.5


class Lost(NamedTuple):
    """A node is gone, or its agent; the reason is a few words."""

    reason: str


#: News of a place of a node, after its id: it is ready for its first run, sends a message of its run, or is
#: lost.
Arrival = tuple[str, NodeState | Message | Lost]


class Nodes(Protocol):
    """The nodes of a cluster, by the ids of their places: where runs share a node, it has several."""

    def poll(self, seconds: float) -> list[Arrival]:
        """Wait up to ``seconds`` for something to arrive."""

    def work(self, node: str, asked: RunRequest | PlacedWork, datasets: Iterable[str]) -> None:
        """Have the agent of an idle node do work and stream its messages; send the data sets that it lacks.

        See :class:`harness.cluster.agent.Agent`.
        """

    def awaited(self) -> bool:
        """Check whether there are nodes that are not ready yet."""


class _Running:
    """A run on a node: ``record`` is the newest that the node has sent."""

    def __init__(self, planned: PlannedRun, notify: RunObserver, attempts: list[LostAttempt]) -> None:
        self.planned = planned
        self.notify = notify
        self.attempts = attempts
        self.record: Record | None = None


class Dispatcher:
    """Gives the runs that are left to nodes that are idle, until none is left."""

    def __init__(self, shared: SharedRuns, nodes: Nodes, store: Store, observer: NodesObserver) -> None:
        self._shared = shared
        self._nodes = nodes
        self._store = store
        self._observer = observer
        self._states: dict[str, NodeState] = {}
        self._running: dict[str, _Running] = {}
        self._again: list[tuple[PlannedRun, list[LostAttempt]]] = []
        self._git = git_state()  # a node's folder is no checkout; that of the command may be

    def execute_all(self) -> list[Record]:
        """Execute the runs that are left; return the records of the matrix, in its order.

        A Ctrl-C ends the execution; runs under way are recorded as interrupted.
        """
        try:
            while self._shared.left or self._running:
                self._look_around()
                for node, arrival in self._nodes.poll(_POLL_SECONDS):
                    self._take(node, arrival)
                self._give_work()
        except KeyboardInterrupt as interrupt:
            self._end_all(interruption(interrupt))
            if not self._shared.records:
                raise
        except HarnessError as error:
            self._end_all(str(error))
            raise
        return self._shared.records

    def _look_around(self) -> None:
        own = {running.planned.key for running in self._running.values()}
        for planned, record in self._shared.refresh():
            if planned.key not in own:  # whose record is complete before its node says that it has ended
                self._observer.recorded_elsewhere(planned.request, record)

    def _give_work(self) -> None:
        for node in [node for node in self._states if node not in self._running]:
            if (work := self._next(node)) is not None:
                planned, attempts = work
                notify = self._observer.begin(self._states[node].name, planned.request)
                self._running[node] = _Running(planned, notify, attempts)
                self._nodes.work(node, planned.request, [planned.request.dataset.name])
        if self._states and not self._running and self._shared.left:
            self._observer.waiting(len(self._shared.left))

    def _next(self, node: str) -> tuple[PlannedRun, list[LostAttempt]] | None:
        """Claim the next run that the node can execute, or that no other node can execute either."""
        for place, (lost, attempts) in enumerate(self._again):
            if self._suits(node, lost.request):
                del self._again[place]
                return lost, attempts
        passed_over = []
        try:
            while (planned := self._shared.claim()) is not None:
                if self._suits(node, planned.request):
                    return planned, []
                passed_over.append(planned)
        finally:
            for other in passed_over:
                self._shared.give_back(other)
        return None

    def _suits(self, node: str, request: RunRequest) -> bool:
        """Check whether a node has the backend of a run, or every other node lacks it, too."""
        if request.configuration.backend not in self._states[node].lacking:
            return True
        others_lack = all(request.configuration.backend in state.lacking for state in self._states.values())
        return others_lack and not self._nodes.awaited()

    def _take(self, node: str, arrival: NodeState | Message | Lost) -> None:
        match arrival:
            case NodeState():
                self._states[node] = arrival
                # Once a node, it is said what the node lacks.
                lacking = {} if arrival.place else arrival.lacking
                self._observer.joined(msgspec.structs.replace(arrival, lacking=lacking))
            case Lost():
                self._lose(node, arrival.reason)
            case Save(record):
                self._save(node, record)
            case SaveBeside():
                self._store.save_beside(*arrival)
            case Examined() | Certified():
                self._observer.certificate(self._states[node].name, arrival)
            case Phase() | Started() | Trained() | Scored():
                self._running[node].notify(arrival)
            case Ended():
                self._end(node, arrival)

    def _save(self, node: str, record: Record) -> None:
        running = self._running[node]
        record.machine = msgspec.structs.replace(record.machine, git=self._git)
        record.lost_attempts = running.attempts
        running.record = record
        self._store.save(record)

    def _newest(self, node: str) -> Record:
        """Return the newest record of a node's run, or its first."""
        running = self._running[node]
        if running.record is not None:
            return running.record
        record = new_record(running.planned.request)
        record.machine = self._states[node].machine
        return record

    def _end(self, node: str, ended: Ended) -> None:
        if ended.error is not None:
            self._fail(node, f"node {self._states[node].name}: {ended.error}")
        self._finish(node)

    def _fail(self, node: str, reason: str, status: Status = "failed") -> None:
        record = self._newest(node)
        record.status, record.failure = status, Failure(reason)
        self._save(node, record)

    def _finish(self, node: str) -> None:
        record = self._newest(node)
        running = self._running.pop(node)
        self._shared.add(running.planned, record)
        running.notify(Finished(record))

    def _lose(self, node: str, reason: str) -> None:
        """Note that a node is lost; repeat its run, unless the run has lost too many nodes."""
        state = self._states.get(node)
        name = state.name if state else node[:8]
        running = self._running.get(node)
        if running is None:
            self._observer.lost(name, reason, again=None)
        else:
            epochs = len(running.record.epochs) if running.record else 0
            running.attempts.append(LostAttempt(name, reason, epochs))
            again = len(running.attempts) < MOST_ATTEMPTS
            self._observer.lost(name, reason, again=running.planned.request if again else None)
            if again:
                if running.record is not None:
                    self._store.discard(running.record)  # the record of the next attempt mentions this one
                self._again.append((running.planned, running.attempts))
                del self._running[node]
            else:
                nodes = ", ".join(attempt.node for attempt in running.attempts)
                self._fail(node, f"{len(running.attempts)} nodes were lost during this run: {nodes}")
                self._finish(node)
        self._states.pop(node, None)

    def _end_all(self, reason: str) -> None:
        """Record the runs that are under way as interrupted; a later call repeats them."""
        for node in list(self._running):
            with contextlib.suppress(HarnessError):  # no record may be writable
                self._fail(node, reason, "interrupted")
                self._finish(node)
