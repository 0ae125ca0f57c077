"""The agent of a node: does the work that the driver sends, one piece at a time, and streams its progress.

It is an ordinary class, which :mod:`harness.cluster.nodes` makes a Ray actor. Its process is the parent of
the workers, so they end with it; nothing stays on the node but caches.
"""

import os
from collections.abc import Iterator
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
from harness.core.runs.record import Failure, Record
from harness.core.runs.request import RunRequest, new_record, summary_of
from harness.core.runs.sequence import Certification
from harness.core.shell.executors import PlacedWork
from harness.errors import HarnessError
from harness.spec.data import Dataset


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """The orders an agent is started with. ``certified`` has a run of each work to certify."""

    cpus: int
    plugins: list[PluginFile] = []
    certified: list[RunRequest] = []


class NodeState(msgspec.Struct, frozen=True):
    """A node that is ready.

    ``lacking`` are backends that the node cannot run, and why; ``missing_data`` are names of data sets that
    must be sent to it.
    """

    machine: Machine
    lacking: dict[str, str]
    missing_data: frozenset[str]

    @property
    def name(self) -> str:
        """The host, ``alpha (3f2a1c09d4e7)``."""
        return self.machine.host_text


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
        self._thread = ThreadPoolExecutor(1)
        self._notify = Forward(send=lambda _message: None)  # nothing is under way
        self._certification = Certification(orders.certified, self._notify)

    def state(self, backends: list[str], fingerprints: dict[str, str]) -> NodeState:
        """Describe this node, with the backends and the data sets (fingerprints by name) that it lacks."""
        states = {name: _state_of(name) for name in backends}
        return NodeState(
            machine=describe_machine(),
            lacking={name: state for name, state in states.items() if state},
            missing_data=frozenset(
                name for name, fingerprint in fingerprints.items() if not self._has(name, fingerprint)
            ),
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

    def work(self, asked: RunRequest | PlacedWork, *datasets: Dataset) -> Iterator[Message]:
        """Do the work ``asked`` for, after keeping its ``datasets`` that this node lacks.

        The result of a run is its record; that of other work is its own result, and its records by file name.
        """

        def work(send: Send) -> object:
            self._notify.send = send
            for dataset in datasets:
                self._receive(dataset)
            return self._run(asked, send) if isinstance(asked, RunRequest) else self._carry_out(asked)

        yield from streamed(work, self._thread)

    def _run(self, request: RunRequest, send: Send) -> Record:
        if lacking := _state_of(request.configuration.backend):
            record = new_record(request)
            record.status = "unsupported"
            record.failure = Failure(f"node {record.machine.host_text}: {lacking}")
            ForwardedStore(send).save(record)
            return record
        certificate = self._certification.certificate(request) if self._orders.certified else None
        return execute(request, certificate, ForwardedStore(send), self._notify)

    def _carry_out(self, work: PlacedWork) -> tuple[Any, dict[str, bytes]]:
        folder = self._folder.path / "records"
        result = work.do(folder, lambda event: self._notify(WorkEvent(event)))
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
