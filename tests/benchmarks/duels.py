"""How often duels are right, compared with common methods: false alarms and detected slowdowns.

Each trial compares PyTorch's cnn with itself, or with itself and a known share added to each step
(``planted.py``), by three methods: a duel; pytest-benchmark's ``--benchmark-compare-fail=median:5%``; and a
comparison of the medians before and after. Trials of all kinds alternate until the time is up; each is a line
of JSON in the given file. Run by hand on an otherwise idle machine.
"""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from common import harness, parser, store, stored, table, until

from harness.timing.duel.record import DuelRecord
from harness.timing.engine.ratios import step_ratios

HERE = Path(__file__).parent
#: The change: the second configuration, its true ratio, and the budget of a duel in seconds.
KINDS = {
    "nothing": ("torch:eager", 1.0, 150),
    "5 %": ("slowed:by5", 1.05, 150),
    "3 %": ("slowed:by3", 1.03, 300),
    "12 % in pauses": ("slowed:pausing", 1.12, 150),
}
#: Beyond this ratio a comparison of two medians calls the second configuration slower.
PLAIN_LIMIT = 1.025
#: Trials of earlier versions are counted too, with today's word.
OLD_WORDS = {"cannot tell yet": "undecided"}


def duel(configuration: str, budget: int) -> dict:
    with tempfile.TemporaryDirectory() as results:
        sides = ("torch:eager", configuration, "--task", "cnn", "--dataset", "digits")
        plugin = ("--plugin", HERE / "planted.py", "--budget", str(budget), "--results", results)
        done = harness("duel", *sides, *plugin, "--format", "json", "--quiet")
    if done.returncode:
        return {"verdict": f"failed: {done.stderr.strip()[-200:]}", "ratio": None}
    record = msgspec.json.decode(done.stdout, type=DuelRecord)
    (result,) = record.results
    ratios = step_ratios(record.pairs, 1, [own.batch_size for own in record.configurations])
    return {
        "verdict": result.verdict,
        "ratio": result.ratio and result.ratio.value,
        "spread": result.spread,
        "pairs": result.pairs,
        "seconds": record.seconds,
        "log_ratios": ratios.logs.tolist(),
    }


def peers(configuration: str) -> dict:
    """pytest-benchmark's verdict compared with torch:eager, and the ratio of its medians."""
    with tempfile.TemporaryDirectory() as storage:
        options = ["-q", "-p", "no:cacheprovider", "--benchmark-storage", storage, "--benchmark-autosave"]
        medians, code = [], 0
        for name, extra in (
            ("torch:eager", []),
            (configuration, ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "pytest", str(HERE / "peer_step.py"), *options, *extra],
                env={**os.environ, "PEER_CONFIGURATION": name},
                capture_output=True,
                text=True,
                check=False,
            )
            code = done.returncode
            saved = sorted(Path(storage).rglob("*.json"), key=lambda path: path.name)
            if not saved:
                raise SystemExit(f"pytest-benchmark stored nothing:\n{done.stdout}{done.stderr}")
            medians.append(json.loads(saved[-1].read_text())["benchmarks"][0]["stats"]["median"])
    return {"pytest_benchmark_fails": code != 0, "plain_ratio": medians[1] / medians[0]}


def summary(trials: list[dict]) -> str:
    rows = []
    for kind, (_, truth, budget) in KINDS.items():
        every = [trial for trial in trials if trial["kind"] == kind and "verdict" in trial]
        duels = [trial for trial in every if trial["ratio"]]
        others = [trial for trial in trials if trial["kind"] == kind and "plain_ratio" in trial]
        if not duels:
            continue
        verdicts = [OLD_WORDS.get(trial["verdict"], trial["verdict"]) for trial in duels]
        beyond = [abs(math.log(trial["ratio"])) > math.log1p(0.025) for trial in duels]
        called = [verdict in {"faster", "slower"} for verdict in verdicts]
        error = statistics.fmean(math.log(trial["ratio"] / truth) for trial in duels)
        rows.append(
            (
                kind,
                f"{sum(called)} of {len(every)}",
                f"{sum(c and b for c, b in zip(called, beyond, strict=True))} of {len(every)}",
                ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in ("same", "undecided")),
                f"{error:+.2%}",
                f"{statistics.median(trial['seconds'] for trial in duels):.0f} (of {budget})",
                *(
                    f"{sum(map(slower, others))} of {len(others)}" if others else "–"
                    for slower in (
                        lambda trial: trial["pytest_benchmark_fails"],
                        lambda trial: trial["plain_ratio"] > PLAIN_LIMIT,
                    )
                ),
            )
        )
    headers = (
        "added to each step",
        "duel: faster or slower",
        "of these beyond 2.5 %",
        "other verdicts",
        "mean error of the ratio",
        "seconds, median",
        "pytest-benchmark fails at 5 %",
        "plain medians more than 2.5 % slower",
    )
    return table(headers, rows)


def main() -> None:
    """Make trials, and print the table of those in the file."""
    options = parser(__doc__, trials=True)
    options.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    options.add_argument("--duels-only", action="store_true", help="omit the common methods")
    given = options.parse_args()
    for _, kind in zip(until(given.minutes), itertools.cycle(given.kinds), strict=False):
        configuration, _, budget = KINDS[kind]
        others = {} if given.duels_only else peers(configuration)
        store(given.file, {"kind": kind, **duel(configuration, budget), **others})
    print(summary(stored(given.file)))


if __name__ == "__main__":
    main()
