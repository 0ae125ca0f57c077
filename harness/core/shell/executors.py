"""Executors: where a command's work is done, on this machine or on the nodes of a feature's executor.

A feature names its executors by the value of ``--executor``. The object is called with the value of
``--address`` and returns a context manager, which yields an :class:`Executor` while it is connected.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.core.machine.description import Machine
from harness.core.runs.events import CertificationEvent
from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sequence import Certification, SequenceObserver, execute_all
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell import features
from harness.core.shell.options import ExecutorOptions, is_local


class ReadyNode(Protocol):
    """A node that can execute runs."""

    @property
    def name(self) -> str:
        """The host, ``alpha (3f2a1c09d4e7)``."""

    @property
    def lacking(self) -> Mapping[str, str]:
        """The backends that the node cannot run, and why."""


class NodesObserver(SequenceObserver, Protocol):
    """Watches the runs of a matrix on several nodes; "" is the name of this machine."""

    def joined(self, node: ReadyNode) -> None:
        """Show that a node is ready."""

    def lost(self, node: str, reason: str, *, again: RunRequest | None) -> None:
        """Show that a node is lost; ``again`` is its run, if the run will be executed once more."""

    def certificate(self, node: str, event: CertificationEvent) -> None:
        """Show the progress of a certificate that is made on a node."""


class PlacedWork(Protocol):
    """Work that one machine does as a whole, such as a duel. It travels there, so it can be pickled."""

    @property
    def tasks(self) -> set[str]:
        """The names of the tasks that are trained."""

    @property
    def backends(self) -> list[str]:
        """The names of the backends that are needed."""

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets that are needed."""

    def do(self, folder: Path, notify: Callable[[Any], None]) -> Any:
        """Do the work, write records into ``folder``, pass events to ``notify``, and return the result."""


class Executor(Protocol):
    """Executes runs, and other work as a whole."""

    @property
    def machine(self) -> Machine | None:
        """The machine that stands for all nodes in the identity of runs; None for this machine."""

    @property
    def threads(self) -> int | None:
        """The default number of threads, if it is not that of this machine."""

    @property
    def on_nodes(self) -> bool:
        """True if runs are executed on nodes, which have names, join and are lost."""

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool, deadline: float
    ) -> list[Record]:
        """Execute the remaining runs of a matrix; return the records of the matrix, in its order.

        On this machine no run begins after ``deadline``, in seconds of the monotonic clock.

        Raises:
            HarnessError: a record cannot be written, or no node is left.
        """

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """Have one machine do ``work``; return its result. Its records go to ``folder`` here.

        Raises:
            UsageError: no machine has the backends.
            HarnessError: the work failed, its machine was lost, or a record cannot be written.
        """


class BestMode(Protocol):
    """Chooses the fastest mode of a backend: what ``best`` stands for."""

    def __call__(
        self,
        choices: Sequence[Sequence[RunRequest]],
        executor: Executor,
        results: Path,
        *,
        quiet: bool,
        certify: bool,
    ) -> list[RunRequest]:
        """Return the fastest run of each choice where ``executor`` works; ``results`` is for records.

        Raises:
            HarnessError: no mode of a backend can be timed; the message gives the reason.
        """


class ThisMachine:
    """This machine as an :class:`Executor`."""

    machine: Machine | None = None
    threads: int | None = None
    on_nodes = False

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool, deadline: float
    ) -> list[Record]:
        """See :class:`Executor`."""
        requests = [run.request for run in shared.left]
        notify = functools.partial(observer.certificate, "")
        certification = Certification(requests, notify) if certify else None
        with certification or contextlib.nullcontext():
            return execute_all(shared, store, observer, deadline, certification)

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """See :class:`Executor`."""
        return work.do(folder, notify)


@contextlib.contextmanager
def executor_of(given: ExecutorOptions) -> Iterator[Executor]:
    """Yield the executor that ``--executor`` and ``--address`` ask for, connected.

    Raises:
        UsageError: no cluster is reachable, or its nodes are unsuitable.
        PluginError: the executor belongs to another package, and connecting raises.
    """
    if is_local(given):
        yield ThisMachine()
        return
    name = given.executor
    connect = features.one("executors", name)
    with contextlib.ExitStack() as connected:
        with features.faults_named(name, features.named("executors")[name]):
            executor: Executor = connected.enter_context(connect(given.address))
        yield executor
