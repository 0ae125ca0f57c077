"""Executors: where a command's work is done, on this machine or on the nodes of a feature's executor.

A feature names its executors by the value of ``--executor``. The object is called with the value of
``--address`` and with :class:`AskedJobs`, None where a run has a machine for itself. It returns a context
manager, which yields an :class:`Executor` while it is connected.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from harness.core.machine.cpus import usable_cpus
from harness.core.machine.description import Machine, nvidia_gpus
from harness.core.runs.events import CertificationEvent
from harness.core.runs.jobs import Crew, execute_beside
from harness.core.runs.places import most_jobs
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
        """The host, ``3f2a1c09d4e7``."""

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

    @property
    def jobs(self) -> int | None:
        """How many runs may share a machine, because nobody judges their times; None where times are."""

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool
    ) -> list[Record]:
        """Execute the remaining runs of a matrix; return the records of the matrix, in its order."""

    def conclude(self, store: Store, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """End a command: where ``records`` were forked, repeat one, drawn at random, in a fresh process.

        If the two computed different things, the run has failed. ``say`` prints a line.
        """

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """Have one machine do ``work``; return its result. Its records go to ``folder`` here."""


class ThisMachine:
    """This machine as an :class:`Executor`; with a ``crew`` it executes several runs at once."""

    machine: Machine | None = None
    on_nodes = False

    def __init__(self, crew: Crew | None = None) -> None:
        self._crew = crew

    @property
    def threads(self) -> int | None:
        """One for each of several runs at once."""
        return None if self._crew is None else 1

    @property
    def jobs(self) -> int | None:
        """See :class:`Executor`."""
        return None if self._crew is None else len(self._crew.places)

    def execute(
        self, shared: SharedRuns, store: Store, observer: NodesObserver, *, certify: bool
    ) -> list[Record]:
        """See :class:`Executor`."""
        if self._crew is not None:
            return execute_beside(shared, store, observer, certify, self._crew)
        requests = [run.request for run in shared.left]
        notify = functools.partial(observer.certificate, "")
        certification = Certification(requests, notify) if certify else None
        with certification or contextlib.nullcontext():
            return execute_all(shared, store, observer, certification)

    def conclude(self, store: Store, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """See :class:`Executor`."""
        if self._crew is not None:
            self._crew.conclude(store, records, say)

    def carry_out(self, work: PlacedWork, folder: Path, notify: Callable[[Any], None]) -> Any:
        """See :class:`Executor`."""
        return work.do(folder, notify)


class AskedJobs(NamedTuple):
    """Runs at once on a machine, each with so many threads on this ``device``.

    The number 0 stands for as many as cores and memory allow.
    """

    number: int
    threads: int
    device: str

    @classmethod
    def of(cls, number: int | None, threads: Sequence[int], device: str) -> "AskedJobs | None":
        """Return what ``--jobs`` asks for, with the largest number of threads; None without it."""
        return None if number is None else cls(number, max(threads, default=1), device)

    def crew(self, cpus: int | None = None, gpus: int | None = None) -> Crew:
        """Prepare the places for the runs on this machine, or on a part of it with so many CPUs and GPUs."""
        cpus = min(usable_cpus(), cpus or usable_cpus())
        gpus = nvidia_gpus() if gpus is None else gpus
        number = self.number or most_jobs(self.threads, self.device, cpus, gpus)
        return Crew(number, self.threads, self.device, gpus=gpus, waits_for_memory=not self.number)


@contextlib.contextmanager
def this_machine(jobs: AskedJobs | None) -> Iterator["ThisMachine"]:
    """Yield this machine as an executor, which makes several runs at once with ``jobs``."""
    with contextlib.nullcontext() if jobs is None else jobs.crew() as crew:
        yield ThisMachine(crew)


@contextlib.contextmanager
def executor_of(given: ExecutorOptions, jobs: AskedJobs | None = None) -> Iterator[Executor]:
    """Yield the executor that ``--executor`` and ``--address`` ask for, connected.

    With ``jobs`` it makes several runs at once on this machine, or on each node.
    """
    if is_local(given):
        with this_machine(jobs) as here:
            yield here
        return
    name = given.executor
    connect = features.one("executors", name)
    with contextlib.ExitStack() as connected:
        with features.faults_named(name, features.named("executors")[name]):
            executor: Executor = connected.enter_context(connect(given.address, jobs))
        yield executor


def unjudged(requests: Sequence[RunRequest], executor: Executor) -> list[RunRequest]:
    """Return the runs as ``executor`` makes them: their times are not judged where runs share a machine."""
    judges_times = executor.jobs is None
    return [msgspec.structs.replace(request, judges_times=judges_times) for request in requests]
