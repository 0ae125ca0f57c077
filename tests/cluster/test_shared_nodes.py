"""Runs that share a node: the agent's places, and how they look to the driver. Ray is played."""

import contextlib
import sys
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from support.records import MACHINE, make_record, make_request

from harness.cluster import agent, executor, nodes
from harness.cluster.agent import Agent, NodeState, Orders
from harness.cluster.connection import Node
from harness.cluster.dispatch import Lost
from harness.cluster.executor import RayExecutor, Repetition
from harness.cluster.messages import Ended
from harness.cluster.nodes import RayNodes, _Occupied
from harness.core.runs.events import Phase
from harness.core.runs.record import Making
from harness.core.runs.store import RUNS, Store
from harness.core.shell.executors import AskedJobs
from harness.errors import HarnessError, UsageError

TWO = AskedJobs(2, 1, "cpu")


def test_an_agent_executes_a_run_at_each_of_its_places_at_once(monkeypatch):
    """Each run waits for the other, and each stream has the events of its own run."""
    both, places = threading.Barrier(2, timeout=60), {}

    def execute(request, _certificate, _store, notify, place):
        both.wait()
        places[request.seed] = place
        notify(Phase(f"seed {request.seed}"))
        return request.seed

    monkeypatch.setattr(agent, "execute", execute)
    monkeypatch.setattr(agent, "_state_of", lambda _backend: "")
    working = Agent(Orders(cpus=2, jobs=TWO))
    state = working.state([], {})
    assert (state.places, state.name) == (2, f"{state.machine.host} #1")
    messages = {}

    def work(number):
        messages[number] = list(working.work(number, make_request(seed=number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    working._folder.close()
    assert messages == {number: [Phase(f"seed {number}"), Ended(number)] for number in range(2)}
    assert [places[number] for number in range(2)] == working._places


def test_a_run_waits_for_memory(monkeypatch):
    working = Agent(Orders(cpus=2, jobs=TWO))
    asked = []
    has_room = iter([False, True])
    monkeypatch.setattr(agent, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(working._crew, "room_beside", lambda running: asked.append(running) or next(has_room))
    with working._memory():
        assert (asked, working._running) == ([0, 0], 1)
    assert working._running == 0
    working._folder.close()


def test_an_agent_without_jobs_leaves_the_node_to_each_run(monkeypatch):
    execute = Mock(return_value=None)
    monkeypatch.setattr(agent, "execute", execute)
    monkeypatch.setattr(agent, "_state_of", lambda _backend: "")
    working = Agent(Orders(cpus=2))
    assert list(working.work(0, make_request())) == [Ended(None)]
    assert execute.call_args.args[-1] is None
    state = working.state([], {})
    assert (state.places, state.name) == (1, state.machine.host)
    working._folder.close()


class NodeGone(Exception):
    """The error of a played Ray for an actor that has died."""


class Played:
    """A Ray whose references are functions that return values, or streams; everything is ready at once."""

    exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=NodeGone, OutOfMemoryError=MemoryError)
    killed = 0

    def wait(self, references, timeout=None, num_returns=1):
        return references[:num_returns], references[num_returns:]

    def get(self, reference):
        found = reference() if callable(reference) else reference
        if isinstance(found, Exception):
            raise found
        return found

    def put(self, value):
        return value

    def kill(self, _actor):
        self.killed += 1


class Stream:
    """The answers of a call."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def __next__(self):
        return next(self._answers)


@pytest.fixture
def played(monkeypatch):
    """Nodes of a played Ray: one node with two places; ``answers`` are those of each call, in turn."""
    ray, calls, answers = Played(), [], []

    def remote(*arguments):
        calls.append(arguments)
        return answers.pop(0)

    actor = SimpleNamespace(work=SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote)))
    state = NodeState(MACHINE, {}, frozenset({"digits"}), places=2)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(nodes, "nodes_with_cpus", lambda: [Node("a" * 40, 4.0, 0.0)])
    monkeypatch.setattr(nodes, "loaded", lambda name: f"the data of {name}")
    monkeypatch.setattr(RayNodes, "_occupy", lambda _self, _node: _Occupied(actor, lambda: state))
    return SimpleNamespace(ray=ray, calls=calls, answers=answers, nodes=RayNodes([], [], [], (), TWO))


def arrivals(nodes):
    return [(name.partition("/")[2], arrival) for name, arrival in nodes.poll(0)]


def test_each_place_of_a_node_is_one_to_the_driver(played):
    assert played.nodes._places(Node("a", 4.0, 0.0)) == 2
    first, second = played.nodes.poll(0)
    assert [arrival.name for _, arrival in (first, second)] == [f"{MACHINE.host} #{n}" for n in (1, 2)]
    played.answers += [Stream(Phase("one"), Ended(1)), Stream(Phase("two"), Ended(2))]
    for name, _ in (first, second):
        played.nodes.work(name, f"work at {name[-1]}", ["digits"])
    # No place has confirmed that the node has the data, so both get them.
    assert played.calls == [(place, f"work at {place}", "the data of digits") for place in (0, 1)]
    assert arrivals(played.nodes) == [("0", Phase("one")), ("1", Phase("two"))]
    assert arrivals(played.nodes) == [("0", Ended(1)), ("1", Ended(2))]
    played.answers += [Stream(Ended(3))]
    played.nodes.work(first[0], "more", ["digits"])
    assert played.calls[-1] == (0, "more")
    assert arrivals(played.nodes) == [("0", Ended(3))]


def test_a_lost_node_is_lost_at_all_its_places_once(played):
    names = [name for name, _ in played.nodes.poll(0)]
    played.answers += [Stream(NodeGone()), Stream(NodeGone())]
    for name in names:
        played.nodes.work(name, "work", [])
    assert arrivals(played.nodes) == [(place, Lost("it no longer answers")) for place in ("0", "1")]
    assert played.ray.killed == 1
    assert not played.nodes.awaited()


@pytest.mark.parametrize(
    ("again", "repeated", "said"),
    [
        ([1.0], "equal", ""),
        ([2.0, 3.0], "not repeatable", ""),
        ([UsageError("node x has left the cluster")], None, "repeated: node x has left"),
        ([HarnessError("node x was lost")], None, "repeated: node x was lost"),
    ],
)
def test_a_drawn_run_is_repeated_on_its_node(tmp_path, monkeypatch, again, repeated, said):
    record = make_record(first_losses=[[1.0]], making=Making("forked", 2))
    asked, answers, lines = [], iter(again), []

    def on_one_node(_nodes, work, _folder, _notify, host):
        asked.append((type(work), host))
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return make_record(first_losses=[[answer]])

    monkeypatch.setattr(executor, "RayNodes", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(executor, "on_one_node", on_one_node)
    on_cluster = RayExecutor(None, TWO)
    on_cluster._forked[record.id] = make_request()
    on_cluster.conclude(Store(tmp_path), [record], lines.append)
    assert asked == [(Repetition, record.machine.host)] * len(again)
    assert record.making.repeated == repeated
    assert said in lines[-1]
    stored = [RUNS.read(path).making.repeated for path in Store(tmp_path).paths()]
    assert stored == [repeated] * (not said)


def test_the_jobs_of_a_cluster_are_those_of_its_largest_node(monkeypatch):
    sizes = [Node("a", 4.0, 0.0), Node("b", 16.0, 2.0)]
    monkeypatch.setattr(executor, "nodes_with_cpus", lambda: sizes)
    found = [RayExecutor(None, jobs).jobs for jobs in (None, TWO, AskedJobs(0, 2, "cpu"))]
    assert found == [None, 2, 8]
    assert RayExecutor(None, AskedJobs(0, 1, "cuda")).jobs == 4  # the node without a GPU uses its CPUs
    assert RayExecutor(None, TWO).threads == 1
