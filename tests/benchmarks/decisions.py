"""Which rule of a gate decides soonest at the same rate of false alarms, on recorded pairs of equal code.

A gate of two benchmarks with three metrics each is simulated from the pairs in ``results/trials``, whose true
ratio is 1: pairs are drawn with replacement, their signs at random, and a loss is added. All rules pass a
benchmark at the look as gates do; they differ in how the others are judged:

- ``fresh pairs``: the earlier rule. Looks with an exact sign-flip test at 10, 14, 20, 28 and the last of the
  pairs after the look; its level is shared by the metrics that the look leaves.
- ``fixed level``: the same looks with the pairs of the first look included; the level is shared by all.
- ``evidence``: the rule of today, :mod:`harness.stats.evidence`, on all pairs and at every pair.

Prints a table; takes some minutes.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from harness.duel.ratios import Ratios
from harness.gate.judgement import LOOK_PAIRS, WITHIN_LEVEL, PairedSeries, confirmed, looked_at
from harness.stats.evidence import smallest_p_value

TRIALS = Path(__file__).parents[2] / "results" / "trials"
LIMIT, FALSE_ALARMS, BENCHMARKS, METRICS = 0.05, 0.01, 2, 3
MOST_PAIRS = LOOK_PAIRS + 24
LOSSES = (0.0, 0.05, 0.1)
RULES = ("fresh pairs", "fixed level", "evidence")


def pools() -> dict[str, np.ndarray]:
    """Log ratios of pairs of equal code: of a calm machine, of a busy one, and of a very busy one."""

    def of_gates(name: str, task: str) -> np.ndarray:
        lines = map(json.loads, (TRIALS / f"{name}.jsonl").read_text().splitlines())
        equal = [
            gate["benchmarks"][task]
            for gate in lines
            if gate["task"] != task and task in gate.get("benchmarks", ())
        ]
        return np.array(
            [log for made in equal if "steps" in made for stage in made["steps"] for log in stage]
        )

    lines = map(json.loads, (TRIALS / "duels.jsonl").read_text().splitlines())
    busy = [log for duel in lines if duel["kind"] == "nothing" for log in duel.get("log_ratios", [])]
    return {
        "calm": of_gates("gates-short-blocks", "mlp"),
        "busy": np.array(busy),
        "very busy": of_gates("gates-two-threads", "rnn"),
    }


class Looks:
    """The error that a sign-flip test may use at each of its looks, by the number of pairs."""

    def __init__(self, at: tuple[int, ...], soon: float) -> None:
        self._at, self._soon = at, soon
        self._shares: dict[int, float] = {}

    def come_to(self, pairs: int, progress: float, *, last: bool) -> None:
        if last or pairs in self._at:
            due = 1.0 if last else max(self._soon, progress**4)
            self._shares[pairs] = max(0.0, due - sum(self._shares.values()))

    def levels(self, total: float) -> dict[int, float]:
        levels, carried = {}, 0.0
        for pairs, share in self._shares.items():
            carried += share
            if carried * total >= smallest_p_value(pairs, "greater"):
                levels[pairs], carried = carried * total, 0.0
        return levels


def by_looks(logs: np.ndarray, level: float, *, fresh: bool) -> tuple[str, int]:
    """Verdict and pairs of one benchmark by a rule with looks."""
    limit, skipped = math.log1p(LIMIT), LOOK_PAIRS if fresh else 0
    within = Looks((8, 10, 14, 20, 28), 0.4)
    worse = Looks((10, 14, 20, 28), 0.2) if fresh else Looks((10, 12, 14, 17, 20, 24), 0.6)
    for pairs in range(LOOK_PAIRS + 1, len(logs) + 1):
        last = pairs == len(logs)
        progress = (pairs - LOOK_PAIRS) / (len(logs) - LOOK_PAIRS)
        within.come_to(pairs, progress, last=last)
        worse.come_to(pairs - skipped, progress, last=last)
        every, judged = Ratios(logs[:pairs], fenced=True), Ratios(logs[skipped:pairs], fenced=True)
        if any(
            every.first(look).cautious_p_value("less", limit) <= at
            for look, at in within.levels(WITHIN_LEVEL).items()
        ):
            return "PASS", pairs
        if (last or judged.mean >= limit) and any(
            judged.first(look).p_value("greater") <= at for look, at in worse.levels(level).items()
        ):
            return "FAIL", pairs
    return "INCONCLUSIVE", len(logs)


def by_evidence(logs: np.ndarray, level: float) -> tuple[str, int]:
    """The same by the rule of gates."""
    for pairs in range(LOOK_PAIRS + 1, len(logs) + 1):
        result = confirmed(series(logs[:pairs]), None, level, last=pairs == len(logs))
        if result.verdict != "INCONCLUSIVE":
            return result.verdict, pairs
    return "INCONCLUSIVE", len(logs)


def series(logs: np.ndarray) -> PairedSeries:
    return PairedSeries("step", LIMIT, Ratios(logs, fenced=True), np.zeros(0), 0, 1.0, 1.0)


def gate(every: list[np.ndarray], rule: str) -> list[tuple[str, int]]:
    """Verdict and pairs of each benchmark, from the log ratios ``(pairs,)`` of each."""
    suspicious = [looked_at(series(logs[:LOOK_PAIRS]), None).verdict != "PASS" for logs in every]
    shared_by = sum(suspicious) if rule == "fresh pairs" else BENCHMARKS * METRICS
    judge: dict[str, Callable[[np.ndarray, float], tuple[str, int]]] = {
        "fresh pairs": lambda logs, level: by_looks(logs, level, fresh=True),
        "fixed level": lambda logs, level: by_looks(logs, level, fresh=False),
        "evidence": by_evidence,
    }
    return [
        judge[rule](logs, FALSE_ALARMS / shared_by) if doubtful else ("PASS", LOOK_PAIRS)
        for logs, doubtful in zip(every, suspicious, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gates", type=int, default=300, help="simulated gates of each kind")
    arguments = parser.parse_args()
    # No verdict rests on intervals, and they would take most of the time.
    Ratios.ratio = property(lambda _ratios: None)  # type: ignore[method-assign,assignment]
    rows = []
    for machine, pool in pools().items():
        for loss in LOSSES:
            for rule in RULES:
                chance = np.random.default_rng(1)
                made = []
                for _ in range(arguments.gates):
                    shape = BENCHMARKS, MOST_PAIRS
                    noise = chance.choice(pool, shape) * chance.choice([-1, 1], shape)
                    noise[0] += math.log1p(loss)
                    made.append(gate(list(noise), rule))
                verdicts = [first[0] for first, *_ in made]
                alarms = [
                    any(v == "FAIL" for v, _ in (others if loss else (first, *others)))
                    for first, *others in made
                ]
                pairs = [first[1] for first, *_ in made]
                rows.append(
                    (
                        machine,
                        f"{100 * loss:g} %",
                        rule,
                        *(f"{100 * verdicts.count(word) / len(made):.1f} %" for word in ("FAIL", "PASS")),
                        f"{100 * np.mean(alarms):.1f} %",
                        f"{np.median(pairs):.0f}, {np.mean(pairs):.1f}",
                    )
                )
                print(*rows[-1], flush=True)
    headers = ("machine", "slower by", "rule", "FAIL", "PASS", "false alarms", "pairs: median, mean")
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
