"""Kill a matrix of runs at random moments, go on with it each time, and look at what is left.

    python tests/benchmarks/kills.py --kills 100 --out kills.jsonl

Each round has a results folder and a temporary folder of its own and ends when all 12 runs are recorded.
Then each run must have exactly one finished record, each record must be whole, and no process, no temporary
file and no claim may be left. Rounds follow each other until there were as many kills as asked for. A kill
hits the harness alone or its whole process group. With ``--beside`` several processes share each matrix, and
one of them is killed.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.runs.claims import claim_paths
from harness.runs.recorded import FINISHED
from harness.runs.store import RUNS

RUNS_OF_MATRIX = 12
MATRIX = [
    *("run", "--backend", "torch,jax", "--task", "tabular", "--seeds", "6", "--max-steps", "4"),
    *("--threads", "1", "--no-certify", "--quiet", "--format", "json"),
]
_PATIENCE_SECONDS = 60.0
_LONGEST_RUN_SECONDS = 600.0


def main() -> None:
    """Run rounds until the kills are done; exits with 1 if anything was left or lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest-life", type=float, default=12.0, help="seconds until a kill, at most")
    parser.add_argument("--beside", type=int, default=1, help="processes that share the matrix")
    parser.add_argument("--out", type=Path, help="append a JSON line for each round")
    given = parser.parse_args()
    chance, left, faults = random.Random(given.seed), given.kills, 0  # noqa: S311
    while left > 0:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            outcome = run_round(Path(folder), chance, left, given.longest_life, given.beside)
        left -= outcome["kills"]
        faults += len(outcome["faults"])
        line = json.dumps(outcome)
        print(line, flush=True)
        if given.out:
            with given.out.open("a") as file:
                file.write(line + "\n")
    print(f"{given.kills - left} kills, {faults} faults")
    sys.exit(faults > 0)


def run_round(folder: Path, chance: random.Random, kills: int, longest: float, beside: int) -> dict:
    """One matrix from its first start to its last record, killed at most so many times."""
    temporary = folder / "temporary"
    temporary.mkdir()
    processes = [start(folder, temporary) for _ in range(beside)]
    done, codes = collections.Counter(), []
    while processes:
        victim = chance.choice(processes)
        try:
            victim.wait(chance.uniform(0.1, longest) if done.total() < kills else _LONGEST_RUN_SECONDS)
        except subprocess.TimeoutExpired:
            kind = chance.choice(("process", "group"))
            done[kind] += 1
            os.killpg(victim.pid, signal.SIGKILL) if kind == "group" else victim.kill()
            victim.wait()
            processes.append(start(folder, temporary))
        else:
            codes.append(victim.returncode)
        processes.remove(victim)
    return {"kills": done.total(), **done, **remains(folder, temporary, codes)}


def start(folder: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start the matrix, or go on with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *MATRIX, "--results", str(folder / "results")],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def remains(folder: Path, temporary: Path, codes: list[int]) -> dict:
    """What the round left, with everything in it that is wrong."""
    results = folder / "results"
    until = time.monotonic() + _PATIENCE_SECONDS
    while (processes_of(temporary) or list(temporary.iterdir())) and time.monotonic() < until:
        time.sleep(0.1)
    records = list(RUNS.read_each(RUNS.paths(results)))
    whole = [record for record in records if not isinstance(record, Exception)]
    statuses = collections.Counter(record.status for record in whole)
    keys = collections.Counter(record.identity_key for record in whole if record.status in FINISHED)
    unfinished = [*results.rglob(".*.tmp")]
    faults = [f"unreadable: {record}" for record in records if isinstance(record, Exception)]
    faults += [f"exit code {code}" for code in codes if code]
    faults += [f"{key[:8]} recorded {count} times" for key, count in keys.items() if count != 1]
    faults += [f"{len(keys)} of {RUNS_OF_MATRIX} runs"] * (len(keys) != RUNS_OF_MATRIX)
    faults += [f"status {status}" for status in statuses.keys() - {"ok", "lost"}]
    faults += [f"process {' '.join(line)}" for line in processes_of(temporary)]
    faults += [f"temporary {path.name}" for path in temporary.iterdir()]
    faults += [f"claim {path.name}" for path in claim_paths(results)]
    return {"statuses": statuses, "unfinished_files": len(unfinished), "faults": faults}


def processes_of(temporary: Path) -> list[list[str]]:
    """The command lines of the processes that have this temporary folder, or one in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR", "").startswith(str(temporary)):
                found.append(process.cmdline())
    return found


if __name__ == "__main__":
    main()
