"""How often duels are right, and how often the common ways are: false alarms and slowdowns found.

Each trial holds PyTorch's cnn against itself, or against itself with a known share added to each step
(``planted.py``), in three ways: a duel; pytest-benchmark's ``--benchmark-compare-fail=median:5%``; and a
plain comparison of the medians before and after. Trials of all kinds are made in turn until the time
is up; each is a line of JSON in the file given. Run by hand, alone on the machine.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from tabulate import tabulate

from harness.duel.ratios import step_ratios
from harness.duel.record import DuelRecord

HERE = Path(__file__).parent
#: What was done to the second side, its true ratio, and the seconds that a duel may take.
KINDS = {
    "nothing": ("torch:eager", 1.0, 150),
    "5 %": ("slowed:by5", 1.05, 150),
    "3 %": ("slowed:by3", 1.03, 300),
    "12 % in pauses": ("slowed:pausing", 1.12, 150),
}
#: Beyond this ratio a plain comparison of two medians calls the second side slower.
PLAIN_LIMIT = 1.025


def duel(side: str, budget: int) -> dict:
    with tempfile.TemporaryDirectory() as results:
        command = ["duel", "torch:eager", side, "--task", "cnn", "--dataset", "digits"]
        command += ["--plugin", str(HERE / "planted.py"), "--budget", str(budget), "--results", results]
        done = subprocess.run(
            [sys.executable, "-m", "harness", *command, "--format", "json", "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return {"verdict": f"failed: {done.stderr.strip()[-200:]}", "ratio": None}
    record = msgspec.json.decode(done.stdout, type=DuelRecord)
    (found,) = record.comparisons
    ratios = step_ratios(record.pairs, 1, [side.batch_size for side in record.sides])
    return {
        "verdict": found.verdict,
        "ratio": found.ratio,
        "spread": found.spread,
        "pairs": found.pairs,
        "seconds": record.seconds,
        "log_ratios": ratios.logs.tolist(),
    }


def peers(side: str) -> dict:
    """pytest-benchmark's verdict on this side against torch:eager, and the plain ratio of its medians."""
    with tempfile.TemporaryDirectory() as storage:
        options = ["-q", "-p", "no:cacheprovider", "--benchmark-storage", storage, "--benchmark-autosave"]
        medians, code = [], 0
        for name, extra in (
            ("torch:eager", []),
            (side, ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "pytest", str(HERE / "peer_step.py"), *options, *extra],
                env={**os.environ, "PEER_SIDE": name},
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
        every = [one for one in trials if one["kind"] == kind and "verdict" in one]
        duels = [one for one in every if one["ratio"]]
        others = [one for one in trials if one["kind"] == kind and "plain_ratio" in one]
        if not duels:
            continue
        beyond = [abs(math.log(one["ratio"])) > math.log1p(0.025) for one in duels]
        called = [one["verdict"] in {"faster", "slower"} for one in duels]
        error = statistics.fmean(math.log(one["ratio"] / truth) for one in duels)
        rows.append(
            (
                kind,
                f"{sum(called)} of {len(every)}",
                f"{sum(c and b for c, b in zip(called, beyond, strict=True))} of {len(every)}",
                ", ".join(
                    f"{w} {sum(one['verdict'] == w for one in duels)}" for w in ("same", "cannot tell yet")
                ),
                f"{error:+.2%}",
                f"{statistics.median(one['seconds'] for one in duels):.0f} (of {budget})",
                *(
                    f"{sum(map(found, others))} of {len(others)}" if others else "–"
                    for found in (
                        lambda one: one["pytest_benchmark_fails"],
                        lambda one: one["plain_ratio"] > PLAIN_LIMIT,
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
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="where trials are kept; those that are there count too")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--duels-only", action="store_true", help="leave the common ways out")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < until:
        for kind in arguments.kinds:
            if time.monotonic() > until:
                break
            side, _, budget = KINDS[kind]
            trial = {"kind": kind, **duel(side, budget), **({} if arguments.duels_only else peers(side))}
            print(trial, flush=True)
            with arguments.file.open("a") as file:
                file.write(json.dumps(trial) + "\n")
    print(summary([json.loads(line) for line in arguments.file.read_text().splitlines()]))


if __name__ == "__main__":
    main()
