"""Time of equal runs on a local Ray cluster over the time of the same runs one after the other.

Nodes of one machine share its CPUs, so the steps sleep (``paced.py``): what is measured is what the cluster
adds, not how fast several machines are. Nothing is subtracted from the times.

    python tests/benchmarks/cluster.py --runs 8 --nodes 4 --steps 2000
"""

import datetime
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from common import PLUGINS, TESTS, harness, parser

sys.path.insert(0, str(TESTS))

from support.ray_cluster import LocalCluster


class Times(msgspec.Struct):
    """In seconds: of the whole command, and from the start of its first run to the end of its last."""

    command: float
    runs: float


class Started(msgspec.Struct):
    started_at: datetime.datetime


def times(results, arguments, extra, runs):
    """Run the command; a record's file is written last when its run ends."""
    begin = time.time()
    backend = ("--plugin", PLUGINS / "paced.py", "--backend", "paced:plain")
    done = harness("run", *backend, *arguments, *extra, "--results", results)
    done.check_returncode()
    whole = time.time() - begin
    paths = list(results.glob("runs/*.json"))
    assert len(paths) == runs
    first = min(msgspec.json.decode(path.read_bytes(), type=Started).started_at for path in paths)
    last = max(path.stat().st_mtime for path in paths)
    return Times(whole, last - first.timestamp())


def main():
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=8)
    options.add_argument("--nodes", type=int, default=4)
    options.add_argument("--steps", type=int, default=2000)
    asked = options.parse_args()
    arguments = ["--task", "mlp", "--threads", "1", "--no-certify", "--no-eval"]
    arguments += ["--seeds", str(asked.runs), "--max-steps", str(asked.steps)]
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        names = [f"node{number}" for number in range(asked.nodes)]
        with LocalCluster(top / "nodes", names) as cluster:
            address = ["--executor", "ray", "--address", cluster.address]
            spread = times(top / "spread", arguments, address, asked.runs)
        serial = times(top / "serial", arguments, [], asked.runs)
    for name in ("runs", "command"):
        one, other = getattr(serial, name), getattr(spread, name)
        ratio = other / (one / asked.nodes)
        print(
            f"{name}: serial {one:.1f} s, on {asked.nodes} nodes {other:.1f} s: {ratio:.2f} × 1/{asked.nodes}"
        )


if __name__ == "__main__":
    main()
