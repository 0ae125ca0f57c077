"""How many pairs duels and gates need, and how often they are wrong, on recorded pairs of equal code.

Pairs whose true ratio is 1 are drawn with replacement from ``results/trials``, their signs at random, and a
shift is added; three machines: calm, busy, very busy. Two further kinds are made up: pairs with Student noise
of 2 %, and pairs of processes of two modes, of which one is 10 % slower as a whole.

For each kind, shift and rule the table shows how often the evidence that the pairs centre above 0 reaches the
level of a command, and after how many pairs (median): ``signs`` is the rule without magnitudes, ``both`` that
of :mod:`harness.timing.engine.evidence`. With the shift 0 these are false alarms, and both directions count.
The last column is the share and the number of pairs of the verdict *same* of a duel within 2 %.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from harness.timing.duel.verdict import DIFFERENCE_LEVEL, SAME_LEVEL
from harness.timing.engine import evidence
from harness.timing.engine.ratios import Ratios

TRIALS = Path(__file__).parents[2] / "results" / "trials"
MOST_PAIRS = 40
SHIFTS = (0.0, 0.05, 0.07, 0.1, 0.15, 0.36, 1.0)
LEAST = math.log1p(0.05)
#: One-sided: of a duel of two and of four configurations; of a gate of one, two and ten benchmarks.
LEVELS = {
    "duel": DIFFERENCE_LEVEL / 2,
    "duel of 4": DIFFERENCE_LEVEL / 6,
    "gate of 1": 0.01 / 3,
    "gate of 2": 0.01 / 6,
    "gate of 10": 0.01 / 30,
}
_RULES = {
    "signs": evidence._log_evidence_of_signs,
    "both": evidence.log_evidence,
}


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


def kinds() -> dict[str, Callable[[np.random.Generator], np.ndarray]]:
    """For each kind a function that draws the log ratios of a sequence of pairs."""

    def drawn(pool: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda chance: chance.choice(pool, MOST_PAIRS) * chance.choice([-1, 1], MOST_PAIRS)

    def of_modes(chance: np.random.Generator) -> np.ndarray:
        slow = chance.integers(0, 2, (2, MOST_PAIRS))
        return 0.1 * (slow[1] - slow[0]) + chance.normal(0, 0.01, MOST_PAIRS)

    return {
        **{machine: drawn(pool) for machine, pool in pools().items()},
        "Student 2 %": lambda chance: 0.02 * chance.standard_t(3, MOST_PAIRS) / math.sqrt(3),
        "two modes": of_modes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sequences", type=int, default=300, help="of each kind and shift (default: 300)")
    parser.add_argument("--level", choices=LEVELS, action="append", help="only this level; repeatable")
    arguments = parser.parse_args()
    levels = {name: LEVELS[name] for name in arguments.level or LEVELS}
    rows = []
    for kind, draw in kinds().items():
        for shift in SHIFTS:
            chance = np.random.default_rng(1)
            every = [draw(chance) + math.log1p(shift) for _ in range(arguments.sequences)]
            same = _same(every) if not shift else ""
            for rule, log_evidence in _RULES.items():
                paths = np.array([log_evidence(values, LEAST) for values in every])
                if not shift:
                    against = np.array([log_evidence(-values, LEAST) for values in every])
                    paths = np.maximum(paths, against)
                cells = [_reached(paths, -math.log(level)) for level in levels.values()]
                rows.append((kind, f"{100 * shift:g} %", rule, *cells, same if rule == "both" else ""))
                print(*rows[-1], sep=" | ", flush=True)
    print(tabulate(rows, ("pairs", "shift", "rule", *levels, "same"), tablefmt="github"))


def _reached(paths: np.ndarray, threshold: float) -> str:
    """``97 %, 6``: the share of paths that reach the threshold, and after how many pairs."""
    reached = paths >= threshold
    hits = reached.any(axis=1)
    if not hits.any():
        return "0 %"
    return f"{100 * hits.mean():.3g} %, {np.median(reached[hits].argmax(axis=1)) + 1:g}"


def _same(every: list[np.ndarray]) -> str:
    """The same for the verdict *same* of a duel."""
    within, after = math.log1p(0.02), []
    for values in every:
        ratios = Ratios(values, fenced=True)
        numbers = range(evidence.FEWEST_PAIRS, MOST_PAIRS + 1)
        verdicts = (made for made in numbers if ratios.first(made).same_p_value(within) <= SAME_LEVEL)
        after.append(next(verdicts, None))
    hits = [pairs for pairs in after if pairs is not None]
    return f"{100 * len(hits) / len(after):.3g} %, {np.median(hits):g}" if hits else "0 %"


if __name__ == "__main__":
    main()
