"""Time the commands that read records: ``python tests/benchmarks/reports.py [--base TREE] [RECORDS…]``.

Writes that many records (default: 100 and 10,000), copies of the reference records with their scores moved a
little, over five tasks, five backends and as many seeds as needed. ``--base`` names a checkout of an earlier
commit, whose commands take turns with those of this tree; the ratio is that of the medians.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.machine.files import with_checksum

HERE = Path(__file__).parents[2]
TASKS = ("cnn", "mlp", "rnn", "gan", "forecast")
BACKENDS = ("torch", "keras", "keras-torch", "keras-jax", "jax")
COMMANDS = (
    ("compare",),
    ("report", "--to", "report.html"),
    ("report", "--to", "report.md"),
    ("report", "--to", "runs.csv"),
    ("list", "results"),
    ("show", "last"),
)
TURNS = 3
_MEASURE = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
)


def fill(folder: Path, count: int, tree: Path) -> None:
    """Write the records, from those that the tree itself has for reference and in its schema."""
    originals = [json.loads(_in_schema_of(tree, path)) for path in sorted(_reference(tree).glob("*.json"))]
    (folder / "runs").mkdir(parents=True)
    moved = random.Random(0)  # noqa: S311
    for number in range(count):
        record = originals[number % len(originals)]
        backend = BACKENDS[number % 5]
        task = TASKS[number // 5 % 5]
        seed = number // 25
        record |= {
            "id": f"20260101-{number:06d}-000-{task}-{backend}-m-s{seed}-0000",
            "backend": backend,
            "seed": seed,
        }
        record["task"] |= {"name": task, "sha256": f"{TASKS.index(task):064d}"}
        record["test_at_last"]["accuracy"] = 0.5 + moved.gauss(0, 0.01)
        content = with_checksum(json.dumps(record, indent=2).encode())
        (folder / "runs" / f"{record['id']}.json").write_bytes(content)


def _reference(tree: Path) -> Path:
    return tree / "results" / "reference"


def _in_schema_of(tree: Path, path: Path) -> bytes:
    """The record as the tree writes it, so that no command spends time on a migration."""
    return _run(tree, ["show", str(path), "--format", "json"], tree).stdout


def _run(tree: Path, arguments: list[str], folder: Path, *wrapper: str) -> subprocess.CompletedProcess[bytes]:
    paths = [str(tree), str(tree / "backends"), str(tree / "tasks")]
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        check=True,
    )


def measure(tree: Path, folder: Path, command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and the peak memory in MiB of a command."""
    start = time.perf_counter()
    done = _run(tree, [*command, "--results", str(folder)], folder, sys.executable, "-c", _MEASURE)
    return time.perf_counter() - start, float(done.stdout)


def main() -> None:
    """Print a line for each command, number of records and tree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path)
    parser.add_argument("records", type=int, nargs="*", default=[100, 10_000])
    arguments = parser.parse_args()
    trees = [HERE] if arguments.base is None else [HERE, arguments.base.resolve()]
    for count in arguments.records:
        with tempfile.TemporaryDirectory() as name:
            folders = [Path(name) / str(index) for index in range(len(trees))]
            for tree, folder in zip(trees, folders, strict=True):
                fill(folder, count, tree)
            for command in COMMANDS:
                _report(count, command, trees, folders)


def _report(count: int, command: tuple[str, ...], trees: list[Path], folders: list[Path]) -> None:
    seconds: list[list[float]] = [[] for _ in trees]
    memory = [0.0 for _ in trees]
    for turn in range(TURNS + 1):
        for index, (tree, folder) in enumerate(zip(trees, folders, strict=True)):
            took, memory[index] = measure(tree, folder, command)
            if turn:  # the first one fills the caches
                seconds[index].append(took)
    medians = [statistics.median(values) for values in seconds]
    line = f"{count:6,d} records: {' '.join(command):24s} {medians[0]:5.2f} s {memory[0]:6.0f} MiB"
    if len(trees) > 1:
        line += f"; base {medians[1]:5.2f} s {memory[1]:6.0f} MiB; ratio {medians[0] / medians[1]:.2f}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
