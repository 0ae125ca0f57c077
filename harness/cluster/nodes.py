"""The nodes of a Ray cluster, each occupied as a whole by an agent with one or several places for runs."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import msgspec

from harness.cluster.agent import Agent, NodeState, Orders
from harness.cluster.connection import Node, nodes_with_cpus
from harness.cluster.dispatch import Arrival, Lost
from harness.cluster.messages import Ended
from harness.cluster.plugin_files import plugin_files
from harness.core.runs.identity import data_fingerprint
from harness.core.runs.request import RunRequest, loaded
from harness.core.runs.sequence import certified_work
from harness.core.shell.executors import AskedJobs, PlacedWork
from harness.errors import HarnessError

#: How often the list of nodes is read, and how long a node that was lost rests.
_LOOK_SECONDS = 2.0
_RETRY_SECONDS = 20.0
#: A node whose agent ends so often is not used any more.
_MOST_LOSSES = 3


class _Occupied:
    """A node with its agent. ``awaited`` arrives next: its state at place 0, or messages of work by place.

    ``carried`` are data sets that were sent with the work of a place, which has not answered yet.
    """

    def __init__(self, actor: Any, state: Any) -> None:
        self.actor = actor
        self.awaited: dict[int, Any] = {0: state}
        self.state: NodeState | None = None
        self.missing: set[str] = set()
        self.carried: dict[int, set[str]] = {}


def _name(node: str, place: int) -> str:
    """Return the id of a place of a node."""
    return f"{node}/{place}"


class RayNodes:
    """See :class:`harness.cluster.dispatch.Nodes`. Use it within a connection and as a context manager."""

    def __init__(
        self,
        tasks: Iterable[str],
        backends: Iterable[str],
        datasets: Iterable[str],
        certified: Sequence[RunRequest] = (),
        jobs: AskedJobs | None = None,
    ) -> None:
        """Occupy nodes for work on these tasks, backends and data sets, with ``jobs`` at once on each.

        The nodes certify the work of the runs in ``certified``, each work once.
        """
        plugins = plugin_files(set(tasks))
        once = {certified_work(request): request for request in certified}
        self._orders = Orders(cpus=1, jobs=jobs, plugins=plugins, certified=[*once.values()])
        self._backends = list(dict.fromkeys(backends))
        self._fingerprints = {
            name: data_fingerprint(name) or loaded(name).fingerprint for name in dict.fromkeys(datasets)
        }
        self._sent: dict[str, Any] = {}
        self._occupied: dict[str, _Occupied] = {}
        self._losses: Counter[str] = Counter()
        self._lost_at: dict[str, float] = {}
        self._looked_at = 0.0

    def poll(self, seconds: float) -> list[Arrival]:
        """See :class:`harness.cluster.dispatch.Nodes`."""
        import ray

        self._look_for_nodes()
        waiting = {
            awaited: (node, place)
            for node, held in self._occupied.items()
            for place, awaited in held.awaited.items()
        }
        if not waiting:
            time.sleep(seconds)
            return []
        first, others = ray.wait(list(waiting), timeout=seconds)
        if first and others:
            more, _ = ray.wait(others, num_returns=len(others), timeout=0)
            first += more
        return [arrival for ready in first for arrival in self._arrived(*waiting[ready])]

    def awaited(self) -> bool:
        """See :class:`harness.cluster.dispatch.Nodes`."""
        return any(held.state is None for held in self._occupied.values())

    def work(self, node: str, asked: RunRequest | PlacedWork, datasets: Iterable[str]) -> None:
        """See :class:`harness.cluster.dispatch.Nodes`."""
        node, _, number = node.rpartition("/")
        held, place = self._occupied[node], int(number)
        lacking = [name for name in dict.fromkeys(datasets) if name in held.missing]
        held.carried[place] = {*lacking}
        call = held.actor.work.options(num_returns="streaming")
        held.awaited[place] = call.remote(place, asked, *map(self._put, lacking))

    def _put(self, dataset: str) -> Any:
        """Put a data set into Ray's object store, from where each node gets it once."""
        import ray

        if dataset not in self._sent:
            self._sent[dataset] = ray.put(loaded(dataset))
        return self._sent[dataset]

    def _look_for_nodes(self) -> None:
        """Occupy nodes that have joined."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        usable = [node for node in nodes_with_cpus() if self._losses[node.id] < _MOST_LOSSES]
        if not usable and not self._occupied:
            raise HarnessError("no node of the Ray cluster is left; the same command completes the runs.")
        for node in usable:
            rested = now - self._lost_at.get(node.id, -_RETRY_SECONDS) >= _RETRY_SECONDS
            if node.id not in self._occupied and rested:
                self._occupied[node.id] = self._occupy(node)

    def _occupy(self, node: Node) -> _Occupied:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = (
            ray.remote(Agent)
            .options(
                num_cpus=node.cpus,
                num_gpus=node.gpus,
                max_restarts=0,
                max_concurrency=self._places(node),
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(msgspec.structs.replace(self._orders, cpus=int(node.cpus), gpus=int(node.gpus)))
        )
        return _Occupied(actor, actor.state.remote(self._backends, self._fingerprints))

    def _places(self, node: Node) -> int:
        """Return how many places an agent can have on a node: it may find less CPUs there than Ray has."""
        jobs = self._orders.jobs
        return 1 if jobs is None else jobs.number or max(1, int(node.cpus) // jobs.threads)

    def _arrived(self, node: str, place: int) -> Iterator[Arrival]:
        import ray

        held = self._occupied.get(node)
        if held is None:  # it was lost, as another place has said
            return
        awaited = held.awaited.pop(place)
        try:
            if held.state is None:
                held.state = state = ray.get(awaited)
                held.missing = set(state.missing_data)
                for number in range(state.places):
                    yield _name(node, number), msgspec.structs.replace(state, place=number)
                return
            message = ray.get(next(awaited))
        except StopIteration:
            yield _name(node, place), Ended(None, "the agent ended its work without a result")
        except ray.exceptions.RayTaskError as error:
            yield _name(node, place), Ended(None, _last_line(error))
        except ray.exceptions.RayError as error:
            self._release(node)
            self._losses[node] += 1
            self._lost_at[node] = time.monotonic()
            for number in range(held.state.places if held.state else 1):
                yield _name(node, number), Lost(_reason(error))
        else:
            held.missing -= held.carried.pop(place, set())
            if not isinstance(message, Ended):
                held.awaited[place] = awaited
            yield _name(node, place), message

    def _release(self, node: str) -> None:
        import ray

        ray.kill(self._occupied.pop(node).actor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End the agents, and with them all processes that they have started."""
        for node in list(self._occupied):
            self._release(node)


def _last_line(error: Exception) -> str:
    """Return the exception at the end of a remote traceback."""
    return str(error).strip().splitlines()[-1]


def _reason(error: Exception) -> str:
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "its memory ran out"
    return "it no longer answers"
