"""A real Ray cluster on this machine: several nodes, each with processes, a host id and caches of its own."""

import contextlib
from pathlib import Path

#: Ray notices a lost node after this many seconds without an answer, times the number of them.
HEALTH = {"health_check_period_ms": 500, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 3}


class LocalCluster:
    """``nodes`` by name; the driver connects to ``address``, on a head that executes nothing."""

    def __init__(self, cluster, nodes):
        self._cluster = cluster
        self.nodes = nodes
        self.address = cluster.address

    def kill(self, name):
        """Kill a node at once: its raylet and the processes that Ray started there."""
        node = self.nodes.pop(name)
        self._cluster.remove_node(node, allow_graceful=False)


@contextlib.contextmanager
def local_cluster(folder: Path, names, variables=None):
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": HEALTH},
    )
    try:
        nodes = {}
        for name in names:
            own = {
                "XDG_STATE_HOME": str(folder / name / "state"),
                "HARNESS_CACHE_DIR": str(folder / name / "cache"),
                "HARNESS_DATA_DIR": str(folder / name / "data"),
                **(variables or {}).get(name, {}),
            }
            nodes[name] = cluster.add_node(num_cpus=1, wait=False, env_vars=own)
        cluster.wait_for_nodes()
        yield LocalCluster(cluster, nodes)
    finally:
        cluster.shutdown()
