"""How often the rules of studies make a wrong claim, and find a variant that is three points better.

Prints the table of docs/explanation/statistics.md: the largest share of studies with a wrong claim among even
and uneven spreads of the variants, accuracies and losses; and how often the better variant is named, for even
spreads, where its own is four times that of the others, and where that of the last variant is.

    python tests/benchmarks/study_rules.py --studies 1000
"""

import argparse
import itertools
import sys
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.simulated_studies import MEANS, RULES, SPREADS, simulated


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    rows = []
    for rule, (name, means), seeds in itertools.product(RULES, MEANS.items(), (3, 5, 8, 10)):
        found = {
            (spread, loss): simulated(rule, means, spreads, seeds, studies, loss=loss)
            for (spread, spreads), loss in itertools.product(SPREADS.items(), (False, True))
        }
        wrong = max(each["wrong"] for each in found.values())
        named = [f"{100 * found[spread, False]['named']:.0f}" for spread in SPREADS]
        rows.append([rule, name, seeds, f"{100 * wrong:.1f}", *(named if name == "one better" else [])])
    spreads = [f"named, {spread} (%)" for spread in SPREADS]
    headers = ["rule", "variants", "seeds", "wrong (%)", *spreads]
    print(tabulate(rows, headers, "github", disable_numparse=True))


if __name__ == "__main__":
    main()
