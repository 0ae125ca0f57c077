"""The agent of a node: does the work that the driver sends, one piece at a place, and streams its progress.

It is an ordinary class, which :mod:`harness.cluster.nodes` makes a Ray actor. Its process is the parent of
the workers, so they end with it; nothing stays on the node but caches.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from harness.cluster.messages import Forward, ForwardedStore, Message, Send, WorkEvent, streamed
from harness.cluster.plugin_files import PluginFile, written
from harness.core.machine.description import Machine, default_threads, describe_machine
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins import kept_data
from harness.core.plugins.files import name_plugin_files
from harness.core.plugins.installation import installation
from harness.core.runs.execute import execute
from harness.core.runs.places import Place
from harness.core.runs.record import Failure, Record
from harness.core.runs.request import RunRequest, new_record, summary_of
from harness.core.runs.sequence import Certification
from harness.core.shell.executors import AskedJobs, PlacedWork
from harness.errors import HarnessError
from harness.spec.data import Dataset

#: How long a run waits for memory before it looks again.
_POLL_SECONDS = 1.0


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """The orders an agent is started with. ``certified`` has a run of each work to certify."""

    cpus: int
    gpus: int = 0
    jobs: AskedJobs | None = None
    """The runs that share the node; None: a run has the node for itself."""
    plugins: list[PluginFile] = []
    certified: list[RunRequest] = []


class NodeState(msgspec.Struct, frozen=True):
    """A node that is ready.

    ``lacking`` are backends that the node cannot run, and why; ``missing_data`` are names of data sets that
    must be sent to it. ``place`` is one of the node's ``places`` for runs, from 0.
    """

    machine: Machine
    lacking: dict[str, str]
    missing_data: frozenset[str]
    places: int = 1
    place: int = 0

    @property
    def name(self) -> str:
        """The host, ``3f2a1c09d4e7``, with the number of the place if there are several."""
        number = f" #{self.place + 1}" if self.places > 1 else ""
        return f"{self.machine.host}{number}"


class Agent:
    """Does the work that the driver asks for; see the module."""

    def __init__(self, orders: Orders) -> None:
        if os.environ.get("OMP_NUM_THREADS") == str(orders.cpus):
            del os.environ["OMP_NUM_THREADS"]  # Ray's, which would enter records and the keys of certificates
        self._folder = GuardedFolder("agent")
        self._orders = orders
        name_plugin_files(
            written(plugin, self._folder.path / f"plugin-{place}")
            for place, plugin in enumerate(orders.plugins)
        )
        # Runs that share the node have places of their own; its workers are forked, and end with its threads.
        self._crew = orders.jobs.crew(orders.cpus, orders.gpus) if orders.jobs else None
        self._places: Sequence[Place | None] = self._crew.places if self._crew else [None]
        self._threads = [ThreadPoolExecutor(1) for _ in self._places]
        self._certification = Certification(orders.certified, lambda _event: None)
        self._room, self._running = threading.Condition(), 0

    def state(self, backends: list[str], fingerprints: dict[str, str]) -> NodeState:
        """Describe this node, with the backends and the data sets (fingerprints by name) that it lacks."""
        states = {name: _state_of(name) for name in backends}
        return NodeState(
            machine=describe_machine(),
            lacking={name: state for name, state in states.items() if state},
            missing_data=frozenset(
                name for name, fingerprint in fingerprints.items() if not self._has(name, fingerprint)
            ),
            places=len(self._places),
        )

    def _has(self, name: str, fingerprint: str) -> bool:
        try:
            summary = summary_of(name)
        except HarnessError:
            summary = None
        if summary is not None and summary.fingerprint == fingerprint:
            return True
        if kept := kept_data.is_kept(fingerprint):
            kept_data.announce(name, fingerprint)
        return kept

    def _receive(self, dataset: Dataset) -> None:
        try:
            kept_data.keep(dataset)
        except OSError as error:
            raise HarnessError(f"data set {dataset.name} cannot be kept: {error}") from error
        kept_data.announce(dataset.name, dataset.fingerprint)

    def work(self, place: int, asked: RunRequest | PlacedWork, *datasets: Dataset) -> Iterator[Message]:
        """Do the work ``asked`` for at a place, after keeping its ``datasets`` that this node lacks.

        The result of a run is its record; that of other work is its own result, and its records by file name.
        """

        def work(send: Send) -> object:
            with self._room:  # another place may receive the same
                for dataset in datasets:
                    self._receive(dataset)
            notify = Forward(send)
            if not isinstance(asked, RunRequest):
                return self._carry_out(asked, notify)
            with self._memory():
                return self._run(asked, self._places[place], send, notify)

        yield from streamed(work, self._threads[place])

    @contextlib.contextmanager
    def _memory(self) -> Iterator[None]:
        """Wait until the memory has room for another run."""
        with self._room:
            while self._crew is not None and not self._crew.room_beside(self._running):
                self._room.wait(_POLL_SECONDS)
            self._running += 1
        try:
            yield
        finally:
            with self._room:
                self._running -= 1
                self._room.notify_all()

    def _run(self, request: RunRequest, place: Place | None, send: Send, notify: Forward) -> Record:
        if lacking := _state_of(request.configuration.backend):
            record = new_record(request)
            record.status = "unsupported"
            record.failure = Failure(f"node {record.machine.host}: {lacking}")
            ForwardedStore(send).save(record)
            return record
        certificate = self._certification.certificate(request, notify) if self._orders.certified else None
        return execute(request, certificate, ForwardedStore(send), notify, place)

    def _carry_out(self, work: PlacedWork, notify: Forward) -> tuple[Any, dict[str, bytes]]:
        folder = self._folder.path / "records"
        result = work.do(folder, lambda event: notify(WorkEvent(event)))
        return result, {path.name: path.read_bytes() for path in folder.glob("*.json")}


def _state_of(backend: str) -> str:
    """Say why this node cannot run a backend; empty if it can."""
    try:
        found = installation(backend)
    except HarnessError as error:
        return str(error)
    return "" if found.state == "installed" else f"backend {backend} is {found.state}: {found.detail}"


class NodeDescription(msgspec.Struct, frozen=True):
    """A node's machine, and its default number of threads."""

    machine: Machine
    threads: int


def describe_node() -> NodeDescription:
    """Describe the node on which this is called."""
    return NodeDescription(describe_machine(), default_threads())
