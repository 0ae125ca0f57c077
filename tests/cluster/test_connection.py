"""What is refused before anything runs on a cluster, in one line each; Ray is not needed."""

import msgspec
import pytest

from harness.cluster import connection
from harness.cluster.agent import describe_node
from harness.cluster.connection import Cluster, Node, connected
from harness.errors import UsageError

NODE = Node("0123456789abcdef", 2.0, 0.0)


def described(**changes):
    node = describe_node()
    return msgspec.structs.replace(node, machine=msgspec.structs.replace(node.machine, **changes))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("", "has no dl-harness in the Python that started Ray there"),
        ("dl-harness 0.0.9 (source 01234567)", r"has dl-harness 0\.0\.9 \(source 01234567\)"),
    ],
)
def test_a_node_with_another_harness_is_named(monkeypatch, found, words):
    monkeypatch.setattr(connection, "nodes_with_cpus", lambda: [NODE])
    monkeypatch.setattr(connection, "_on_each", lambda _nodes, _function: [("gpu-7", found)])
    with pytest.raises(
        UsageError, match=rf"^node gpu-7 \(01234567\) {words}, this process has dl-harness"
    ) as told:
        connection._described()
    assert "\n" not in str(told.value)


def test_a_cluster_without_cpus_is_refused(monkeypatch):
    monkeypatch.setattr(connection, "nodes_with_cpus", list)
    with pytest.raises(UsageError, match="no node of the Ray cluster has CPUs"):
        connection._described()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "Ray Client, which cannot stream records"),
        ("head", "write HOST:PORT"),
        ("127.0.0.1:9", "no Ray cluster is reachable at 127.0.0.1:9"),
    ],
)
def test_an_address_that_leads_to_no_cluster_is_refused(address, words):
    with pytest.raises(UsageError, match=words):
        connection._refuse_unreachable(address)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r'pip install "dl-harness\[ray\]"'), connected(None):
        pass


def test_equal_nodes_stand_for_one_machine_whatever_their_names():
    one = described(host="1", allowed_cpus=8)
    other = described(host="2", allowed_cpus=4)
    assert Cluster([one, other]).machine == msgspec.structs.replace(other.machine, host=None)
    assert Cluster([one, other]).machine == Cluster([other, one]).machine
    assert Cluster([one]).threads == one.threads
