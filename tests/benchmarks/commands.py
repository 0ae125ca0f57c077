"""Time the commands that a user waits for: start-up, and those that read records.

    python tests/benchmarks/commands.py [--base TREE] [RECORDS …]

``--help`` and ``list`` are compared with the most that they may take on a quiet machine. The others read that
many records (default: 100 and 10,000), copies of the reference records with their scores moved a little, over
five tasks, five backends and as many seeds as needed. ``--base`` names a checkout of an earlier commit, whose
commands take turns with those of this tree; the ratio is that of the medians.
"""

import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import HARNESS, TESTS, parser

from harness.core.machine.checksums import with_checksum

TASKS = ("cnn", "mlp", "rnn", "gan", "forecast")
BACKENDS = ("torch", "keras", "keras-torch", "keras-jax", "jax")
#: Seconds on a quiet machine.
START_UP = {("--help",): 0.10, ("list",): 0.25}
READING = (
    ("compare",),
    ("report", "--to", "report.html"),
    ("report", "--to", "report.md"),
    ("report", "--to", "runs.csv"),
    ("list", "results"),
    ("show", "last"),
)


def fill(results: Path, count: int, tree: Path) -> None:
    """Write the records, from those that the tree itself has in its schema."""
    stored = tree / "results"
    paths = sorted((stored / "comparison" / "runs").glob("*-cnn-*.json"))
    paths = paths or sorted((stored / "reference").glob("*.json"))  # of an earlier tree
    originals = [json.loads(_run(tree, ["show", str(path), "--format", "json"])[2]) for path in paths]
    (results / "runs").mkdir(parents=True)
    moved = random.Random(0)  # noqa: S311
    for number in range(count):
        record = originals[number % len(originals)]
        backend = BACKENDS[number % 5]
        task = TASKS[number // 5 % 5]
        seed = number // 25
        name = f"20260101-{number:06d}-000-{task}-{backend}-m-s{seed}-0000"
        record |= {"id": name, "seed": seed}
        record.get("configuration", record)["backend"] = backend  # flat in earlier commits
        record["task"] |= {"name": task, "sha256": f"{TASKS.index(task):064d}"}
        record["test_at_last"]["accuracy"] = 0.5 + moved.gauss(0, 0.01)
        content = with_checksum(json.dumps(record, indent=2).encode())
        (results / "runs" / f"{name}.json").write_bytes(content)


def _run(tree: Path, arguments: list[str], folder: Path | None = None) -> tuple[float, float, bytes]:
    """Seconds, peak memory in MiB and output of a command of a tree."""
    path = os.pathsep.join(map(str, (tree, tree / "backends", tree / "tasks")))
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*HARNESS, *arguments], cwd=folder or tree, env=os.environ | {"PYTHONPATH": path}, stdout=output
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"harness {' '.join(arguments)}: exit code {process.returncode}")
        output.seek(0)
        return seconds, used.ru_maxrss / 1024, output.read()


def measure(command: tuple[str, ...], trees: list[Path], folders: list[Path], turns: int) -> str:
    """Medians of a command in each tree's folder, and their ratio."""
    seconds: list[list[float]] = [[] for _ in trees]
    memory = [0.0 for _ in trees]
    for turn in range(turns + 1):
        for index, (tree, folder) in enumerate(zip(trees, folders, strict=True)):
            took, memory[index], _ = _run(tree, list(command), folder)
            if turn:  # the first one fills the caches
                seconds[index].append(took)
    medians = [statistics.median(values) for values in seconds]
    line = f"{' '.join(command):24s} {medians[0]:5.2f} s {memory[0]:6.0f} MiB"
    if command in START_UP:
        limit = START_UP[command]
        line += f"; at most {limit:.2f} s: {'ok' if medians[0] <= limit else 'TOO SLOW'}"
    if len(trees) > 1:
        line += f"; base {medians[1]:5.2f} s {memory[1]:6.0f} MiB; ratio {medians[0] / medians[1]:.2f}"
    return line


def main() -> None:
    """Print a line for each command and number of records."""
    options = parser(__doc__)
    options.add_argument("--base", type=Path, help="a checkout of an earlier commit")
    options.add_argument("--turns", type=int, default=3, help="of each command, after one to fill the caches")
    options.add_argument("records", type=int, nargs="*", default=[100, 10_000])
    given = options.parse_args()
    trees = [TESTS.parent, *([given.base.resolve()] if given.base else [])]
    for command in START_UP:
        print(f"start-up: {measure(command, trees, trees, 5 * given.turns)}", flush=True)
    for count in given.records:
        with tempfile.TemporaryDirectory() as name:
            folders = [Path(name) / str(index) for index in range(len(trees))]
            for tree, folder in zip(trees, folders, strict=True):
                fill(folder / "results", count, tree)
            for command in READING:
                print(f"{count:6,d} records: {measure(command, trees, folders, given.turns)}", flush=True)


if __name__ == "__main__":
    main()
