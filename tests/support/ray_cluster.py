"""A real Ray cluster on this machine, in a process of its own: it prints its address and obeys ``kill NAME``.

Each node has a raylet, a host id, caches and data of its own; the head executes nothing.
"""

import hashlib
import platform
import subprocess
import sys
import time
from pathlib import Path

#: Ray notices a lost node when it has not answered so often.
HEALTH = {"health_check_period_ms": 500, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 3}


class LocalCluster:
    """Use it as a context manager. ``variables`` are for the processes of all nodes."""

    def __init__(self, folder, names, variables=None):
        self._folder = Path(folder)
        command = [sys.executable, __file__, str(folder), *names]
        given = [f"{name}={value}" for name, value in (variables or {}).items()]
        self._process = subprocess.Popen(
            [*command, "--", *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = self._process.stdout.readline().strip()

    def host_id(self, name):
        stored = (self._folder / name / "state" / "dl-harness" / "host-id").read_text().strip()
        return hashlib.sha256(f"{stored} {platform.node()}".encode()).hexdigest()[:12]

    def cache(self, name):
        return self._folder / name / "cache"

    def kill(self, name):
        """Kill a node at once: its raylet and the processes that Ray started there."""
        self._process.stdin.write(f"kill {name}\n")
        self._process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._process.communicate("\n", timeout=60)


def _serve(folder, names, variables):
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
                **variables,
            }
            nodes[name] = cluster.add_node(num_cpus=1, wait=False, env_vars=own)
        cluster.wait_for_nodes()
        time.sleep(0.5)
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if not line.startswith("kill "):
                break
            cluster.remove_node(nodes.pop(line.split()[1]), allow_graceful=False)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    split = sys.argv.index("--")
    _serve(Path(sys.argv[1]), sys.argv[2:split], dict(each.split("=", 1) for each in sys.argv[split + 1 :]))
