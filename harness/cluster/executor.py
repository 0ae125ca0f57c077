"""The nodes of a Ray cluster as an executor: the value ``ray`` of ``--executor``."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.cluster.connection import Cluster, connected
from harness.cluster.dispatch import Dispatcher
from harness.cluster.nodes import RayNodes
from harness.cluster.one_node import on_one_node
from harness.core.machine.description import Machine
from harness.core.runs.record import Record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell.executors import NodesObserver, PlacedWork
from harness.core.shell.signals import interrupt_on_termination


class RayExecutor:
    """See :class:`harness.core.shell.executors.Executor`. A context manager, connected within the context.

    ``address`` is that of the cluster; None: ``RAY_ADDRESS``, or a cluster that runs on this machine.

    Raises:
        UsageError: Ray is not installed, no cluster is reachable, or its nodes have another harness.
    """

    on_nodes = True
    jobs: int | None = None

    def __init__(self, address: str | None) -> None:
        self._address = address
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
        """The default number of threads of a node."""
        return self._cluster.threads

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool, deadline: float
    ) -> list[Record]:
        """See :class:`harness.core.shell.executors.Executor`; there is no ``deadline``."""
        del deadline
        requests = [run.request for run in shared.left]
        tasks = {request.task.name for request in requests}
        backends = [request.configuration.backend for request in requests]
        datasets = [request.dataset.name for request in requests]
        with RayNodes(tasks, backends, datasets, requests if certify else ()) as nodes:
            return Dispatcher(shared, nodes, store, observer).execute_all()

    def conclude(self, store: Store, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Do nothing: all processes were fresh. See :class:`harness.core.shell.executors.Executor`."""

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """See :class:`harness.core.shell.executors.Executor`."""
        with RayNodes(work.tasks, work.backends, work.datasets) as nodes:
            return on_one_node(nodes, work, folder, notify)
