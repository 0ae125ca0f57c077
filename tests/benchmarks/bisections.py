"""How often a bisection names the right commit, and after how many pairs, on recorded pairs of equal code.

Pairs whose true ratio is 1 are drawn with replacement from ``results/trials``, their signs at random; a
row of commits has a step of ``--effect`` at a random place. As in :mod:`harness.timing.bisect.runner`, good
and bad are compared first, and only a difference is searched. Machines: calm, busy, very busy.
"""

import argparse
import math

import numpy as np
from decisions import pools
from tabulate import tabulate

from harness.timing.bisect.findings import is_hopeless, verdict_of_pairs
from harness.timing.bisect.search import Search
from harness.timing.engine.ratios import Ratios

_PROBABILITY, _MARGIN, _MOST_PAIRS = 0.95, 0.02, 200


def bisection(pool: np.ndarray, chance: np.random.Generator, commits: int, effect: float) -> tuple[str, int]:
    """The outcome of one search, and its pairs."""

    def pair(shift: float) -> float:
        return float(chance.choice(pool) * chance.choice([-1, 1]) + shift)

    culprit, search, of_bad = int(chance.integers(1, commits + 1)), Search(commits), list[float]()
    while True:
        made = Ratios(np.array(of_bad), fenced=True)
        found = verdict_of_pairs(made, _MARGIN, is_time=True)
        if found is None and is_hopeless(made, _MARGIN):
            found = "undecided"
        if found == "culprit":
            break
        if found is not None:
            return found, len(of_bad)
        search.add(0, [pair(0.0)])
        of_bad.append(pair(effect))
        search.add(commits, of_bad[-1:])
    pairs = len(of_bad)
    while search.culprits[1] < _PROBABILITY:
        if pairs >= _MOST_PAIRS:
            return "undecided", pairs
        probe = search.next_probe()
        assert probe is not None
        search.add(probe, [pair(effect if probe >= culprit else 0.0)])
        pairs += 1
    return "right" if culprit in search.culprits[0] else "wrong", pairs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument(
        "--effect", type=float, action="append", help="such as 0.05; default: 0.05, 0.15 and 0"
    )
    arguments = parser.parse_args()
    rows = []
    for machine, pool in pools().items():
        for effect in arguments.effect or [0.05, 0.15, 0.0]:
            chance = np.random.default_rng(0)
            made = [
                bisection(pool, chance, arguments.commits, math.log1p(effect))
                for _ in range(arguments.searches)
            ]
            outcomes = [outcome for outcome, _ in made]
            shares = [
                outcomes.count(name) / len(made) for name in ("right", "wrong", "no difference", "undecided")
            ]
            rows.append([machine, effect, *shares, *np.quantile([pairs for _, pairs in made], [0.5, 0.9])])
    headers = ["machine", "effect", "right", "wrong", "no difference", "undecided", "pairs", "9 of 10"]
    print(tabulate(rows, headers=headers, floatfmt=".3g"))


if __name__ == "__main__":
    main()
