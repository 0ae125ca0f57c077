"""Compare the cost of a study with that of an earlier commit, in turn.

    python tests/benchmarks/studies.py studies.jsonl --base ../earlier --kind optimizers

A study in its short form is made by both trees in turn, each in a folder of its own and without
certificates, and by this tree once for each of ``--jobs``. Other options are those of the study. A line has
the CPU seconds of all processes, the seconds on the clock, the runs, the seconds of training and scoring in
their records, and the load of the machine before and after.
"""

import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from common import HARNESS, parser, store, stored, table


def measured(tree: Path, arguments: list[str]) -> dict:
    """Make a study with the command of a tree; return what it took."""
    path = os.pathsep.join(map(str, (tree, tree / "backends", tree / "tasks")))
    load = os.getloadavg()[0]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="studies-") as folder:
        subprocess.run(
            [*HARNESS, *arguments, "--results", folder],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.monotonic() - start
        records = [json.loads(file.read_text()) for file in Path(folder, "runs").glob("*.json")]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = [record["phases"] for record in records]
    return {
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": seconds,
        "runs": len(records),
        "training_and_scoring_seconds": sum(
            each["training_seconds"] + each["evaluation_seconds"] for each in spent
        ),
        "load": [load, os.getloadavg()[0]],
    }


def main() -> None:
    """Make the studies in turn, and print a table of all lines of the file."""
    options = parser(__doc__)
    options.add_argument("file", type=Path, help="file of the lines; those in it count too")
    options.add_argument("--base", type=Path, help="checkout of an earlier commit")
    options.add_argument("--kind", default="optimizers")
    options.add_argument("--jobs", type=int, nargs="*", default=[1, 2], help="numbers of runs at once")
    options.add_argument("--turns", type=int, default=1)
    given, more = options.parse_known_args()
    call = ["study", given.kind, "--backend", "torch", "--quick", "--quiet", "--no-certify", "--threads", "1"]
    call += more
    sides = [(given.base, None)] * bool(given.base)
    sides += [(Path(__file__).parents[2], jobs) for jobs in given.jobs]
    for _ in range(given.turns):
        for tree, jobs in sides:
            own = [] if jobs is None else ["--jobs", str(jobs)]
            trial = {"kind": given.kind, "more": more, "jobs": jobs or "base"}
            store(given.file, trial | measured(tree.resolve(), [*call, *own]))
    rows = [
        [
            trial["kind"],
            str(trial["jobs"]),
            str(trial["runs"]),
            f"{trial['cpu_seconds']:.1f}",
            f"{trial['seconds']:.1f}",
            f"{1 - trial['training_and_scoring_seconds'] / trial['cpu_seconds']:.0%}",
        ]
        for trial in stored(given.file)
    ]
    print(table(["study", "jobs", "runs", "CPU (s)", "clock (s)", "outside training and scoring"], rows))


if __name__ == "__main__":
    main()
