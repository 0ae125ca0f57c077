"""Work that one node does as a whole: which node, its events and records, and what is said if it fails."""

import msgspec
import pytest
from support.records import MACHINE

from harness.cluster.agent import Agent, NodeState, Orders
from harness.cluster.dispatch import Lost
from harness.cluster.messages import Ended, WorkEvent
from harness.cluster.one_node import on_one_node
from harness.core.runs.events import Phase
from harness.errors import HarnessError, UsageError

READY = NodeState(MACHINE, {}, frozenset())
LACKING = NodeState(MACHINE, {"torch": "no torch here"}, frozenset())


class Work:
    """Tells a phase, writes a record, and returns the number of its files."""

    tasks, backends, datasets = {"mlp"}, ["torch"], ["digits"]

    def do(self, folder, notify):
        folder.mkdir()
        notify(Phase("working"))
        (folder / "a.json").write_text("{}")
        return len(list(folder.iterdir()))


class PlayedNodes:
    """Nodes that bring these arrivals, one at a time, after the work was given to one of them."""

    def __init__(self, states, *arrivals):
        self.arrivals = [*states.items(), *arrivals]
        self.worked = []

    def poll(self, _seconds):
        return [self.arrivals.pop(0)]

    def awaited(self):
        return any(isinstance(arrival, NodeState) for _, arrival in self.arrivals)

    def work(self, node, work, datasets):
        self.worked.append((node, work.tasks, datasets))


def test_an_agent_tells_the_events_and_returns_the_records_with_the_result():
    agent = Agent(Orders(cpus=1))
    told, ended = agent.work(0, Work())
    agent._folder.close()
    assert told == WorkEvent(Phase("working"))
    assert ended == Ended((1, {"a.json": b"{}"}))


def test_the_first_node_that_lacks_nothing_does_the_work(tmp_path):
    events = []
    arrivals = [("b", WorkEvent(Phase("working"))), ("b", Ended((3, {"../a.json": b"{}"})))]
    nodes = PlayedNodes({"a": LACKING, "b": READY, "c": READY}, *arrivals)
    assert on_one_node(nodes, Work(), tmp_path / "duels", events.append) == 3
    assert nodes.worked == [("b", {"mlp"}, ["digits"])]
    assert events == [Phase("working")]
    assert [path.name for path in tmp_path.rglob("*.json")] == ["a.json"]
    assert (tmp_path / "duels" / "a.json").read_text() == "{}"


def test_only_the_node_of_a_host_does_the_work_if_one_is_named(tmp_path):
    there = msgspec.structs.replace(READY, machine=msgspec.structs.replace(MACHINE, host="there"))
    nodes = PlayedNodes({"a": READY, "b": there}, ("b", Ended((3, {}))))
    assert on_one_node(nodes, Work(), tmp_path, print, there.machine.host) == 3
    assert [node for node, *_ in nodes.worked] == ["b"]
    with pytest.raises(UsageError, match="node elsewhere has left the cluster"):
        on_one_node(PlayedNodes({"a": READY}), Work(), tmp_path, print, "elsewhere")


@pytest.mark.parametrize(
    ("states", "arrivals", "error", "words"),
    [
        ({"a": LACKING}, [], UsageError, "no torch here"),
        ({"a": READY}, [("a", Lost("its memory ran out"))], HarnessError, r"lost \(its memory ran out\)"),
        ({"a": READY}, [("a", Ended(None, "no such mode", 2))], UsageError, "^no such mode$"),
        ({"a": READY}, [("a", Ended(None, "the disk is full"))], HarnessError, "^the disk is full$"),
    ],
)
def test_what_prevents_the_work_is_said_in_a_line(tmp_path, states, arrivals, error, words):
    with pytest.raises(HarnessError, match=words) as told:
        on_one_node(PlayedNodes(states, *arrivals), Work(), tmp_path, print)
    assert type(told.value) is error
