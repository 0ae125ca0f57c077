"""Time of equal runs on a local Ray cluster over the time of the same runs one after the other.

Nodes of one machine share its CPUs, so the steps sleep (``paced.py``): what is measured is what the cluster
adds, not how fast several machines are. Nothing is subtracted from the times.

    python tests/benchmarks/cluster.py --runs 8 --nodes 4 --steps 2000
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from support.ray_cluster import LocalCluster  # noqa: E402  the tests' helpers are no package

PLUGIN = TESTS / "support" / "plugins" / "paced.py"


class Times(msgspec.Struct):
    """In seconds: of the whole command, and from the start of its first run to the end of its last."""

    command: float
    runs: float


class Started(msgspec.Struct):
    started_at: datetime.datetime


def times(results, arguments, extra, runs):
    """Run the command; a record's file is written last when its run ends."""
    begin = time.time()
    command = [sys.executable, "-m", "harness", "run", "--plugin", str(PLUGIN), "--backend", "paced:plain"]
    subprocess.run(
        [*command, *arguments, *extra, "--results", str(results)], check=True, stdout=subprocess.DEVNULL
    )
    whole = time.time() - begin
    paths = list(results.glob("runs/*.json"))
    assert len(paths) == runs
    first = min(msgspec.json.decode(path.read_bytes(), type=Started).started_at for path in paths)
    last = max(path.stat().st_mtime for path in paths)
    return Times(whole, last - first.timestamp())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2000)
    asked = parser.parse_args()
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
