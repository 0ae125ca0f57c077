"""The runs of a matrix on nodes that are played: which node gets what, and what a lost node leaves."""

import msgspec
import pytest
from support.records import save_runs

from harness.cluster.agent import NodeState
from harness.cluster.dispatch import MOST_ATTEMPTS, Dispatcher, Lost
from harness.cluster.messages import Ended, Save
from harness.core.machine.description import describe_machine
from harness.core.runs.matrix import MatrixOptions, RunMatrix
from harness.core.runs.request import new_record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.errors import HarnessError

pytest.importorskip("torch")


def state(name, lacking=()):
    machine = msgspec.structs.replace(describe_machine(), host=name)
    return NodeState(machine, {backend: f"no {backend} here" for backend in lacking}, frozenset())


class PlayedNodes:
    """Nodes that execute a run at once: ``ends`` says how, by node, else every run is ok."""

    def __init__(self, states, ends=None, *, returning=False):
        self.states = states
        self.returning = returning
        self.ends = ends or {}
        self.arrivals = [(node, state) for node, state in states.items()]
        self.started = []

    def poll(self, _seconds):
        if not self.arrivals:
            raise HarnessError("no node is left")
        arrivals, self.arrivals = self.arrivals, []
        return arrivals

    def awaited(self):
        return False

    def work(self, node, request, _datasets):
        self.started.append((node, request.configuration.backend, request.seed))
        record = new_record(request)
        record.machine = self.states[node].machine
        self.arrivals.append((node, Save(msgspec.structs.replace(record))))
        end = self.ends.get(node)
        if end is KeyboardInterrupt:
            raise KeyboardInterrupt
        if end == "lost":
            self.arrivals.append((node, Lost("it no longer answers")))
            if self.returning:
                self.arrivals.append((node, self.states[node]))
            return
        if end is not None:
            self.arrivals.append((node, Ended(None, end)))
            return
        lacking = self.states[node].lacking.get(request.configuration.backend)
        record.status = "unsupported" if lacking else "ok"
        self.arrivals += [(node, Save(record)), (node, Ended(record))]


class Silent:
    def __init__(self):
        self.losses, self.joins = [], []

    def joined(self, node):
        self.joins.append((node.name, node.lacking))

    def begin(self, _node, _request):
        return self

    def lost(self, node, _reason, *, again):
        self.losses.append((node, again is not None))

    def __call__(self, _event):
        """Observe a run."""

    def recorded_elsewhere(self, *_):
        """Observe a run of another process."""


def executed(tmp_path, nodes, backends=("torch",), seeds=(0, 1)):
    """The records that the dispatcher returns, and those in the folder."""
    options = MatrixOptions(backends=list(backends), tasks=["mlp"], seeds=list(seeds), threads=[1])
    requests = RunMatrix(options).requests(lambda *_: None)
    store = save_runs(tmp_path)
    observer = Silent()
    with SharedRuns(requests, store, certify=False) as shared:
        records = Dispatcher(shared, nodes, store, observer).execute_all()
    assert sorted(path.stem for path in store.paths()) == sorted(record.id for record in records)
    return records, observer


def test_each_run_is_executed_once_and_its_record_names_the_node(tmp_path):
    nodes = PlayedNodes({"a": state("alpha"), "b": state("beta")})
    records, _ = executed(tmp_path, nodes, seeds=range(4))
    assert [record.status for record in records] == ["ok"] * 4
    hosts = {node: nodes.states[node].machine.host for node in nodes.states}
    ran_on = {seed: hosts[node] for node, _, seed in nodes.started}
    assert {record.seed: record.machine.host for record in records} == ran_on
    assert set(ran_on.values()) == {"alpha", "beta"}


def test_the_run_of_a_lost_node_goes_to_another_and_its_record_says_so(tmp_path):
    nodes = PlayedNodes({"a": state("alpha"), "b": state("beta")}, {"a": "lost"})
    records, observer = executed(tmp_path, nodes)
    assert [record.status for record in records] == ["ok", "ok"]
    assert {record.machine.host for record in records} == {"beta"}
    attempts = [[attempt.node for attempt in record.lost_attempts] for record in records]
    assert sorted(attempts) == [[], ["alpha"]]
    assert observer.losses == [("alpha", True)]


def test_a_run_that_loses_node_after_node_is_given_up(tmp_path):
    nodes = PlayedNodes({"a": state("alpha")}, {"a": "lost"}, returning=True)
    records, observer = executed(tmp_path, nodes, seeds=[0])
    assert [record.status for record in records] == ["failed"]
    assert [attempt.node for attempt in records[0].lost_attempts] == ["alpha"] * MOST_ATTEMPTS
    assert "3 nodes were lost" in records[0].failure.message
    assert observer.losses == [("alpha", True), ("alpha", True), ("alpha", False)]


def test_without_nodes_the_rest_is_left_for_another_call(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(HarnessError, match="no node is left"):
        executed(tmp_path, PlayedNodes({"a": state("alpha")}, {"a": "lost"}))
    assert store.paths() == []
    records, _ = executed(tmp_path, PlayedNodes({"b": state("beta")}))
    assert [record.status for record in records] == ["ok", "ok"]


def test_a_node_without_the_framework_is_passed_over(tmp_path):
    nodes = PlayedNodes({"a": state("alpha", ["torch"]), "b": state("beta")})
    records, _ = executed(tmp_path, nodes)
    assert [record.status for record in records] == ["ok", "ok"]
    assert {node for node, _, _ in nodes.started} == {"b"}


def test_places_of_a_node_join_by_their_names_and_what_it_lacks_is_said_once(tmp_path):
    node = msgspec.structs.replace(state("alpha", ["jax"]), places=2)
    both = {f"a/{place}": msgspec.structs.replace(node, place=place) for place in range(2)}
    records, observer = executed(tmp_path, PlayedNodes(both))
    assert [record.status for record in records] == ["ok", "ok"]
    assert observer.joins == [("alpha #1", node.lacking), ("alpha #2", {})]


def test_what_every_node_lacks_is_recorded_once_as_unsupported(tmp_path):
    nodes = PlayedNodes({"a": state("alpha", ["torch"])})
    records, _ = executed(tmp_path, nodes)
    assert [(record.seed, record.status) for record in records] == [(0, "unsupported")]


def test_a_failure_of_the_agent_fails_its_run_alone(tmp_path):
    nodes = PlayedNodes({"a": state("alpha")}, {"a": "the disk is full"})
    records, _ = executed(tmp_path, nodes)
    assert [record.status for record in records] == ["failed", "failed"]
    assert records[0].failure.message.startswith("node alpha: ")


def test_an_interrupt_records_what_is_under_way(tmp_path):
    nodes = PlayedNodes({"a": state("alpha")}, {"a": KeyboardInterrupt})
    records, _ = executed(tmp_path, nodes)
    assert [(record.status, record.machine.host) for record in records] == [("interrupted", "alpha")]
