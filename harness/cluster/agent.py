"""The agent of a node: executes runs and duels there, one at a time, and streams what they report.

It is an ordinary class, which :mod:`harness.cluster.nodes` makes a Ray actor. Its process is the parent of
the workers, so they end with it; nothing stays on the node but caches.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import platformdirs

from harness.cluster.messages import Forward, ForwardedStore, Message, Send, streamed
from harness.core.machine.description import (
    Machine,
    default_threads,
    describe_machine,
)
from harness.core.machine.files import GuardedFolder
from harness.core.plugins.files import name_plugin_files
from harness.core.plugins.installation import installation
from harness.core.runs.execute import execute
from harness.core.runs.record import Failure, Record
from harness.core.runs.request import (
    RunRequest,
    new_record,
    summary_of,
)
from harness.core.runs.sequence import Certification
from harness.errors import DataError, HarnessError
from harness.hookspecs import hookimpl
from harness.spec.data import Dataset, DataSource, Samples, Series
from harness.timing.duel.fastest_mode import FastestModes, fastest_runs
from harness.timing.duel.record import DuelRecord
from harness.timing.duel.runner import Duel, DuelRequest
from harness.timing.engine.workloads import Workload, labelled

# Data sets that the driver has sent to a node, kept there by fingerprint.
#
# This file is also a plugin file: on a node it provides the data sets that the variable names, so that
# workers read them like any other data set.

#: The fingerprints of the data sets that were sent, as a JSON object by name.
SENT_VARIABLE = "HARNESS_SENT_DATA"
_SPLITS = ("train", "validation", "test")


class _Description(msgspec.Struct, frozen=True):
    """A data set without its arrays; ``sha256`` is that of each file."""

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    input_divisor: float
    series: Series | None
    sha256: dict[str, str]


def keep(dataset: Dataset) -> None:
    """Write a data set to this node's cache, completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    folder = _folder(dataset.fingerprint)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    partial.mkdir(parents=True)
    try:
        sha256 = {}
        for file, array in _arrays(dataset).items():
            np.save(partial / file, array, allow_pickle=False)
            sha256[file] = _sha256(partial / file)
        own = {name: getattr(dataset, name) for name in _Description.__struct_fields__ if name != "sha256"}
        description = _Description(**own, sha256=sha256)
        (partial / "dataset.json").write_bytes(msgspec.json.encode(description))
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or its agent would not have asked for it
        with contextlib.suppress(FileExistsError):  # another agent of this machine was faster
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read(fingerprint: str) -> Dataset:
    """The data set of this fingerprint, memory-mapped, after its files were verified.

    Raises:
        DataError: it is not in this node's cache, or is damaged.
    """
    folder = _folder(fingerprint)
    try:
        description = msgspec.json.decode((folder / "dataset.json").read_bytes(), type=_Description)
        changed = [file for file, sha256 in description.sha256.items() if _sha256(folder / file) != sha256]
        arrays = {file: np.load(folder / file, mmap_mode="r") for file in description.sha256}
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise DataError(f"the data that the driver sent cannot be read from {folder}: {error}") from error
    if changed:
        raise DataError(f"the data in {folder} is damaged; delete the folder and it is sent again")
    splits = {
        split: Samples(arrays[f"{split}-inputs.npy"], arrays[f"{split}-targets.npy"])
        for split in _SPLITS
        if f"{split}-inputs.npy" in arrays
    }
    own: dict[str, Any] = msgspec.structs.asdict(description)
    del own["sha256"]
    return Dataset(**own | splits)


def is_kept(fingerprint: str) -> bool:
    """Whether this node's cache has the data, undamaged."""
    try:
        read(fingerprint)
    except DataError:
        return False
    return True


def announce(name: str, fingerprint: str) -> None:
    """Have the workers that this process starts read the data set of this name from the cache."""
    os.environ[SENT_VARIABLE] = msgspec.json.encode(_sent() | {name: fingerprint}).decode()


class SentData(DataSource):
    """A data set in this node's cache."""

    summary = "sent by the driver"

    def __init__(self, name: str, fingerprint: str) -> None:
        self.name = name
        self._fingerprint = fingerprint

    def is_ready(self) -> bool:
        return _folder(self._fingerprint).is_dir()

    def load(self) -> Dataset:
        return read(self._fingerprint)


@hookimpl
def harness_dataset(name: str) -> DataSource | None:
    """The data set of this name, if the driver has sent it."""
    fingerprint = _sent().get(name)
    return None if fingerprint is None else SentData(name, fingerprint)


def _sent() -> dict[str, str]:
    return msgspec.json.decode(os.environ.get(SENT_VARIABLE, "{}"), type=dict[str, str])


def _folder(fingerprint: str) -> Path:
    cache = os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness")
    name = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]  # a plugin's fingerprint may be any text
    return Path(cache) / "sent-data" / name


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    return {
        f"{split}-{part}.npy": np.asarray(getattr(samples, part))
        for split in _SPLITS
        if (samples := getattr(dataset, split)) is not None
        for part in ("inputs", "targets")
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class PluginFile(msgspec.Struct, frozen=True):
    """A file of ``--plugin``; ``beside`` are files that it needs, by their path relative to its folder."""

    name: str
    content: bytes
    beside: dict[str, bytes] = {}


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is started with. ``certified`` has a run of each certified work; empty: none is."""

    cpus: int
    plugins: list[PluginFile] = []
    certified: list[RunRequest] = []


class FindModes(NamedTuple):
    """Find the fastest run of each choice.

    The result is these runs, and the files of the duels by name.
    """

    choices: list[list[RunRequest]]
    certify: bool


class PlacedDuel(NamedTuple):
    """Carry out a duel of the fastest workload of each choice.

    ``python`` is the driver's interpreter, for which the node's stands in. The result is its record, and the
    files of the duels that found fastest modes by name.
    """

    request: DuelRequest
    choices: list[list[Workload]]
    python: str


class NodeState(msgspec.Struct, frozen=True):
    """A node that is ready.

    ``lacking`` are backends that it cannot run, and why; ``missing_data`` are names of data sets that must be
    sent to it.
    """

    machine: Machine
    lacking: dict[str, str]
    missing_data: frozenset[str]

    @property
    def name(self) -> str:
        """The host, ``alpha (3f2a1c09d4e7)``."""
        return self.machine.host_text


class Agent:
    """Executes what the driver asks for; see the module."""

    def __init__(self, orders: Orders) -> None:
        if os.environ.get("OMP_NUM_THREADS") == str(orders.cpus):
            del os.environ["OMP_NUM_THREADS"]  # Ray's, which would enter records and the keys of certificates
        self._folder = GuardedFolder("harness-agent-")
        self._orders = orders
        self._plugins = [self._written(place, plugin) for place, plugin in enumerate(orders.plugins)]
        name_plugin_files(self._plugins)
        self._thread = ThreadPoolExecutor(1)
        self._notify = Forward(send=lambda _message: None)  # nothing is under way
        self._certification = Certification(orders.certified, self._notify)

    def _written(self, place: int, plugin: PluginFile) -> Path:
        folder = self._folder.path / f"plugin-{place}"
        for name, content in {plugin.name: plugin.content, **plugin.beside}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / plugin.name

    def state(self, backends: list[str], fingerprints: dict[str, str]) -> NodeState:
        """What this node has of these backends, and of data sets whose fingerprints are given by name."""
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
        if kept := is_kept(fingerprint):
            self._announce(name, fingerprint)
        return kept

    def _receive(self, dataset: Dataset) -> None:
        try:
            keep(dataset)
        except OSError as error:
            raise HarnessError(f"data set {dataset.name} cannot be kept: {error}") from error
        self._announce(dataset.name, dataset.fingerprint)

    def _announce(self, name: str, fingerprint: str) -> None:
        announce(name, fingerprint)
        name_plugin_files([Path(__file__), *self._plugins])

    def work(self, asked: RunRequest | FindModes | PlacedDuel, *datasets: Dataset) -> Iterator[Message]:
        """Do what is asked. ``datasets`` are those of it that this node lacks.

        The result of a run is its record; see :class:`FindModes` and :class:`PlacedDuel` for theirs.
        """

        def work(send: Send) -> object:
            self._notify.send = send
            for dataset in datasets:
                self._receive(dataset)
            match asked:
                case RunRequest():
                    return self._run(asked, send)
                case FindModes(choices, certify):
                    return fastest_runs(choices, self._modes(certify=certify)), self._duel_files()
                case PlacedDuel():
                    return self._duel(asked)

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

    def _duel(self, placed: PlacedDuel) -> tuple[DuelRecord, dict[str, bytes]]:
        request = placed.request
        modes = self._modes(certify=request.certify)
        choices = [
            [_with_python(workload, placed.python) for workload in choice] for choice in placed.choices
        ]
        workloads = labelled([modes.choose(choice, request.dataset) for choice in choices])
        files = self._duel_files()
        asked = msgspec.structs.replace(request, workloads=workloads)
        duel = Duel(asked, self._folder.path / "duels", self._notify)
        return duel.carry_out(), files

    def _modes(self, *, certify: bool) -> FastestModes:
        return FastestModes(self._folder.path / "duels", self._notify, certify=certify)

    def _duel_files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self._folder.path / "duels").glob("*.json")}


def _state_of(backend: str) -> str:
    """Why this node cannot run a backend; empty if it can."""
    try:
        found = installation(backend)
    except HarnessError as error:
        return str(error)
    return "" if found.state == "installed" else f"backend {backend} is {found.state}: {found.detail}"


def _with_python(workload: Workload, python: str) -> Workload:
    configuration = workload.configuration
    if configuration.python != python:
        return workload
    own = msgspec.structs.replace(configuration, python=sys.executable)
    return msgspec.structs.replace(workload, configuration=own)


class NodeDescription(msgspec.Struct, frozen=True):
    """A node's machine, and its default number of threads."""

    machine: Machine
    threads: int


def describe_node() -> NodeDescription:
    """Describe the node on which this is called."""
    return NodeDescription(describe_machine(), default_threads())
