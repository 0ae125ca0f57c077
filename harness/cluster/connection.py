"""The connection to a Ray cluster, and the check that its nodes have the same harness as this process."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.cluster.agent import NodeDescription, describe_node
from harness.core.machine.description import Machine
from harness.errors import HarnessError, UsageError

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0
#: Without this, Ray kills the guards of workers before these can end what the workers have started.
_VARIABLES = {"RAY_kill_child_processes_on_worker_exit": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Node(NamedTuple):
    """A node of the cluster, by Ray's id for it, with what a run occupies: all CPUs and GPUs."""

    id: str
    cpus: float
    gpus: float


class Cluster(NamedTuple):
    """The nodes with CPUs as they were described when the connection was made."""

    described: list[NodeDescription]

    @property
    def machine(self) -> Machine:
        """A machine that stands for all nodes, without a name: the least capable of them."""
        machines = [node.machine for node in self.described]
        least = min(machines, key=lambda machine: (machine.allowed_cpus, machine.model_text))
        return msgspec.structs.replace(least, host=None)

    @property
    def threads(self) -> int:
        """The default number of threads: the fewest physical cores of a node."""
        return min(node.threads for node in self.described)


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to a cluster: that of ``address``, of ``RAY_ADDRESS``, or one that runs on this machine."""
    try:
        import ray
    except ImportError:
        raise UsageError(
            '--executor ray needs Ray on this machine and on every node: pip install "dl-harness[ray]"'
        ) from None
    wanted = address or os.environ.get("RAY_ADDRESS") or "auto"
    _refuse_unreachable(wanted)
    with _silence():
        try:
            ray.init(
                wanted,
                log_to_driver=False,
                logging_level="critical",
                runtime_env={"env_vars": _VARIABLES},
            )
        except (Exception, SystemExit) as error:  # Ray exits where a cluster does not answer
            raise UsageError(_not_connected(wanted, error)) from error
        try:
            yield Cluster(_described())
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep standard output for results: Ray's threads print to it, whatever its log settings are."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _refuse_unreachable(address: str) -> None:
    """Refuse an address where nothing answers: Ray itself would try for 80 s and then exit."""
    if address.startswith("ray://"):
        raise UsageError(
            f"{address} is an address for Ray Client, which cannot stream records. Run the command on a node "
            "of the cluster, with --address auto or HOST:PORT."
        )
    host, _, port = address.rpartition(":")
    if not host and address in {"auto", "local"}:
        return
    if not host or not port.isdecimal():
        raise UsageError(f"--address {address}: write HOST:PORT, as printed by `ray start --head`, or auto.")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster is reachable at {address}: {error}. {_START}") from error


_START = "Start one with `ray start --head` and give its address: --address HOST:PORT."


def _not_connected(address: str, error: BaseException) -> str:
    if isinstance(error, ConnectionError) and address == "auto":
        return f"no Ray cluster runs on this machine. {_START}"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot connect to the Ray cluster at {address}: {reason}"


def nodes_with_cpus() -> list[Node]:
    """Return the nodes that can execute runs: not those without CPUs (``ray start --num-cpus 0``)."""
    import ray

    return [
        Node(node["NodeID"], node["Resources"]["CPU"], node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    ]


def _described() -> list[NodeDescription]:
    nodes = nodes_with_cpus()
    if not nodes:
        raise UsageError("no node of the Ray cluster has CPUs. Add one: ray start --address HOST:PORT.")
    own = _harness_probe()()
    for node, (host, found) in zip(nodes, _on_each(nodes, _harness_probe()), strict=True):
        if (host, found) != own and found != own[1]:
            has = found or "no dl-harness in the Python that started Ray there"
            raise UsageError(
                f"node {host} ({node.id[:8]}) has {has}, this process has {own[1]}: install the same "
                "dl-harness on every node."
            )
    return _on_each(nodes, describe_node)


def _on_each(nodes: list[Node], function: Callable[[], Any]) -> list[Any]:
    """Call a function on each node, where the call occupies nothing; return the results."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=0)(function)
    try:
        asked = [
            remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote()
            for node in nodes
        ]
        return list(ray.get(asked, timeout=_ANSWER_SECONDS))
    except ray.exceptions.RayError as error:
        raise HarnessError(f"a node of the cluster does not answer: {str(error).splitlines()[0]}") from error


def _harness_probe() -> Callable[[], tuple[str, str]]:
    """Make a function that returns the host's name, and the version and a checksum of harness, or "".

    The function is nested so that it travels by value: a node without harness cannot import it.
    """

    def probe() -> tuple[str, str]:
        import hashlib
        import importlib.util
        import pathlib
        import platform
        from importlib import metadata

        host = platform.node() or "unnamed"
        spec = importlib.util.find_spec("harness")
        if spec is None or not spec.submodule_search_locations:
            return host, ""
        digest = hashlib.sha256()
        folder = pathlib.Path(spec.submodule_search_locations[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
        return host, f"dl-harness {metadata.version('dl-harness')} (source {digest.hexdigest()[:8]})"

    return probe
