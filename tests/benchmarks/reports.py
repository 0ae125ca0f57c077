"""How long the commands take that read records: ``python tests/benchmarks/reports.py [RECORDS…]``.

Writes that many records (default 100 and 10,000), copies of the reference ones with their scores moved a
little, over five tasks, five backends and as many seeds as that takes.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
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


def fill(folder: Path, count: int) -> None:
    """Write the records."""
    originals = [json.loads(path.read_text()) for path in sorted(REFERENCE.glob("*.json"))]
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
        (folder / "runs" / f"{record['id']}.json").write_text(json.dumps(record, indent=2))


def measure(folder: Path, command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and the peak MiB of a command; both as the shell's ``time`` tells them."""
    arguments = [sys.executable, "-m", "harness", *command, "--results", str(folder)]
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, float(done.stdout)


def main() -> None:
    """Print a line for each command and number of records; the second of two calls counts."""
    for count in map(int, sys.argv[1:] or ["100", "10000"]):
        with tempfile.TemporaryDirectory() as name:
            fill(Path(name), count)
            for command in COMMANDS:
                measure(Path(name), command)
                seconds, mebibytes = measure(Path(name), command)
                print(
                    f"{count:6,d} records: {' '.join(command):24s} {seconds:5.2f} s {mebibytes:6.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
