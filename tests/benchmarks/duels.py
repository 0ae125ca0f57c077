"""How often duels are right: false alarms and detected slowdowns.

Each trial is a duel of PyTorch's cnn with itself, or with itself and a known share added to each step
(``planted.py``). Trials of all kinds alternate until the time is up; each is a line
of JSON in the given file. Run by hand on an otherwise idle machine.
"""

import itertools
import math
import statistics
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


def summary(trials: list[dict]) -> str:
    rows = []
    for kind, (_, truth, budget) in KINDS.items():
        every = [trial for trial in trials if trial["kind"] == kind and "verdict" in trial]
        duels = [trial for trial in every if trial["ratio"]]
        if not duels:
            continue
        verdicts = [trial["verdict"] for trial in duels]
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
            )
        )
    headers = (
        "added to each step",
        "duel: faster or slower",
        "of these beyond 2.5 %",
        "other verdicts",
        "mean error of the ratio",
        "seconds, median",
    )
    return table(headers, rows)


def main() -> None:
    """Make trials, and print the table of those in the file."""
    options = parser(__doc__, trials=True)
    options.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    given = options.parse_args()
    for _, kind in zip(until(given.minutes), itertools.cycle(given.kinds), strict=False):
        configuration, _, budget = KINDS[kind]
        store(given.file, {"kind": kind, **duel(configuration, budget)})
    print(summary(stored(given.file)))


if __name__ == "__main__":
    main()
