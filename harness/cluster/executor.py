"""The nodes of a Ray cluster as an executor: the value ``ray`` of ``--executor``."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from harness.cluster.connection import Cluster, connected, nodes_with_cpus
from harness.cluster.dispatch import Dispatcher
from harness.cluster.nodes import RayNodes
from harness.cluster.one_node import on_one_node
from harness.core.machine.description import Machine
from harness.core.runs.jobs import conclude, is_repeatable, repeated
from harness.core.runs.places import most_jobs
from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell.executors import AskedJobs, NodesObserver, PlacedWork
from harness.core.shell.signals import interrupt_on_termination
from harness.errors import HarnessError


class Repetition(NamedTuple):
    """The repetition of a run in a fresh process: a :class:`harness.core.shell.executors.PlacedWork`."""

    request: RunRequest
    record: Record
    jobs: AskedJobs

    @property
    def tasks(self) -> set[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return {self.request.task.name}

    @property
    def backends(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [self.request.configuration.backend]

    @property
    def datasets(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [self.request.dataset.name]

    def do(self, folder: Path, notify: Callable[[Any], None]) -> Record:
        """Return the record of the repetition, which is not written."""
        del folder, notify
        with self.jobs.crew() as crew:
            return repeated(self.request, self.record, crew.places[0])


class NotRepeated(HarnessError):
    """The drawn run could not be repeated on its node."""


class RayExecutor:
    """See :class:`harness.core.shell.executors.Executor`. A context manager, connected within the context.

    ``address`` is that of the cluster; None: ``RAY_ADDRESS``, or a cluster that runs on this machine. With
    ``jobs``, several runs share a node.
    """

    on_nodes = True

    def __init__(self, address: str | None, jobs: AskedJobs | None = None) -> None:
        self._address, self._jobs = address, jobs
        self._forked: dict[str, RunRequest] = {}
        self._connection = contextlib.ExitStack()
        self._cluster: Cluster

    def __enter__(self) -> Self:
        self._cluster = self._connection.enter_context(connected(self._address))
        interrupt_on_termination()  # Ray has replaced the handlers
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.__exit__(kind, error, trace)

    @property
    def machine(self) -> Machine:
        """The machine that stands for all nodes."""
        return self._cluster.machine

    @property
    def threads(self) -> int:
        """The default number of threads: that of a node, or one for each of the runs that share it."""
        return self._cluster.threads if self._jobs is None else 1

    @property
    def jobs(self) -> int | None:
        """See :class:`harness.core.shell.executors.Executor`: the most runs that share a node."""
        asked = self._jobs
        if asked is None or asked.number:
            return None if asked is None else asked.number
        sizes = [(int(node.cpus), int(node.gpus)) for node in nodes_with_cpus()]
        return max((most_jobs(asked.threads, asked.device, *size) for size in sizes), default=1)

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool
    ) -> list[Record]:
        """See :class:`harness.core.shell.executors.Executor`."""
        requests = [run.request for run in shared.left]
        tasks = {request.task.name for request in requests}
        backends = [request.configuration.backend for request in requests]
        datasets = [request.dataset.name for request in requests]
        planned = {run.key: run.request for run in shared.left}
        with RayNodes(tasks, backends, datasets, requests if certify else (), self._jobs) as nodes:
            records = Dispatcher(shared, nodes, store, observer).execute_all()
        for record in records:
            if record.identity_key in planned and is_repeatable(record):
                self._forked[record.id] = planned[record.identity_key]
        return records

    def conclude(self, store: Store, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """See :class:`harness.core.shell.executors.Executor`: the node of the drawn run repeats it."""
        if (jobs := self._jobs) is None:
            return

        def again(request: RunRequest, record: Record) -> Record:
            work, host = Repetition(request, record, jobs), record.machine.host
            try:
                with RayNodes(work.tasks, work.backends, work.datasets) as nodes:
                    repetition: Record = on_one_node(nodes, work, store.folder, lambda _event: None, host)
            except HarnessError as error:
                raise NotRepeated(str(error)) from error
            return repetition

        try:
            conclude(self._forked, records, again, store, say)
        except NotRepeated as error:
            say(f"It could not be repeated: {error}")

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """See :class:`harness.core.shell.executors.Executor`."""
        with RayNodes(work.tasks, work.backends, work.datasets) as nodes:
            return on_one_node(nodes, work, folder, notify)
