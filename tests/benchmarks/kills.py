"""Kill a matrix of runs at random moments, go on with it each time, and look at what is left.

    python tests/benchmarks/kills.py --kills 100 --out kills.jsonl

Each round has a folder of its own and ends when all its runs are recorded. Then each run must have exactly
one finished record, each record must be whole, no process, no temporary file and no claim may be left, and
``harness clean`` must leave finished records alone. Rounds follow each other until there were as many kills
as asked for. A kill hits the harness alone or its whole process group. With ``--beside`` several processes
share each matrix, and one of them is killed.
"""

import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Place, harness, parser, store

from harness.core.runs.claims import claim_paths
from harness.core.runs.sharing import FINISHED
from harness.core.runs.store import RUNS

_BACKENDS = ("torch", "jax")
_SHORT = ("--task", "tabular", "--max-steps", "4", "--threads", "1", "--no-certify", "--quiet")
#: Guards end with the harness, but not at the same moment.
_PATIENCE_SECONDS = 60.0


def main() -> None:
    """Make rounds until the kills are done; exits with 1 if anything was lost or left."""
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--runs", type=int, default=12, help="runs of a matrix, an even number")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--longest-life", type=float, default=8.0, help="seconds until a kill, at most")
    options.add_argument("--beside", type=int, default=1, help="processes that share the matrix")
    options.add_argument("--out", type=Path, default=os.devnull, help="append a JSON line for each round")
    given = options.parse_args()
    chance, kills, faults = random.Random(given.seed), 0, 0  # noqa: S311
    while kills < given.kills:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            trial = Round(Path(folder), given.runs)
            killed = trial.make(chance, given.kills - kills, given.longest_life, given.beside)
            outcome = {"kills": killed.total(), **killed, **trial.remains()}
        kills += outcome["kills"]
        faults += len(outcome["faults"])
        store(given.out, outcome)
    print(f"{kills} kills, {faults} faults")
    sys.exit(faults > 0)


class Round:
    """One matrix from its first start to its last record."""

    def __init__(self, folder: Path, runs: int) -> None:
        self._place = Place(folder)
        self._runs = runs
        self._faults: list[str] = []

    def make(self, chance: random.Random, kills: int, longest: float, beside: int) -> collections.Counter:
        """Start, kill and start again, at most ``kills`` times; how often what was killed."""
        killed: collections.Counter = collections.Counter()
        processes = [self._start() for _ in range(beside)]
        while processes:
            process = processes.pop(chance.randrange(len(processes)))
            try:
                process.wait(chance.uniform(0.1, longest) if killed.total() < kills else None)
            except subprocess.TimeoutExpired:
                kind = chance.choice(("process", "group"))
                if kind == "group":
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
                process.wait()
                killed[kind] += 1
                processes.append(self._start())
            else:
                self._expect(process.returncode == 0, f"exit code {process.returncode}")
        return killed

    def _start(self) -> subprocess.Popen[bytes]:
        seeds = str(self._runs // len(_BACKENDS))
        return self._place.start("run", "--backend", ",".join(_BACKENDS), *_SHORT, "--seeds", seeds)

    def _expect(self, right: bool, fault: str) -> None:
        if not right:
            self._faults.append(fault)

    def remains(self) -> dict:
        """The records by status, unfinished files, and all that is wrong."""
        results = self._place.results
        self._faults += self._place.left(_PATIENCE_SECONDS)
        self._faults += [f"claim left: {path.name}" for path in claim_paths(results)]
        statuses = self._statuses()
        self._expect(set(statuses) <= {"ok", "lost"}, f"statuses {statuses}")
        unfinished = list(results.rglob(".*.tmp"))
        for path in unfinished:  # as if it were found later
            os.utime(path, (0, 0))
        cache = str(self._place.temporary)
        cleaned = harness("clean", "--yes", "--results", results, HARNESS_CACHE_DIR=cache)
        self._expect(cleaned.returncode == 0, f"clean: {cleaned.stderr!r}")
        after = self._statuses()
        self._expect(after == {"ok": self._runs}, f"after clean: {after}")
        self._expect(not list(results.rglob(".*.tmp")), "unfinished files after clean")
        return {"statuses": statuses, "unfinished_files": len(unfinished), "faults": self._faults}

    def _statuses(self) -> collections.Counter:
        """How many records have each status, after a look at whether finished runs are there once each."""
        records = list(RUNS.read_each(RUNS.paths(self._place.results)))
        for record in records:
            self._expect(not isinstance(record, Exception), f"unreadable: {record}")
        whole = [record for record in records if not isinstance(record, Exception)]
        keys = collections.Counter(record.identity_key for record in whole if record.status in FINISHED)
        once = len(keys) == self._runs == keys.total()
        self._expect(once, f"{keys.total()} records of {len(keys)} of {self._runs} runs")
        return collections.Counter(record.status for record in whole)


if __name__ == "__main__":
    main()
