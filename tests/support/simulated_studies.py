"""Simulated studies, judged by the functions that judge real ones: wrong claims, and what is found.

Variants share seeds, whose effect is half of the variance; ``uneven`` gives one variant four times the spread
of the others.
"""

from collections import Counter

import numpy as np

from harness.core.stats.intervals import joint_confidence
from harness.core.training.measures import ACCURACY, Measure
from harness.learning.study.judging import Side, contrast, standings, verdict_of
from harness.learning.study.quantities import Quantity


def _made_up(_runs, _best):
    return {}


ACCURATE = Quantity("score", ACCURACY, _made_up)
LOSS = Quantity("score", Measure("loss", "loss", "", 1.0, False, 0.05, relative=True), _made_up)
#: Means of six variants in points of accuracy, of which the first is the best or one of the best.
MEANS = {"equal": [90.0] * 6, "one better": [93.0, *[90.0] * 5], "spread out": [90, 90, 89, 87, 80, 60]}
SPREADS = {"even": np.ones(6), "uneven": np.array([1.0, 1, 4, 1, 1, 1])}


def drawn(rng, means, spreads, seeds, *, loss):
    """Values of a study by variant; losses are log-normal, with means in the same order."""
    errors = spreads[:, None] * (rng.normal(size=(1, seeds)) + rng.normal(size=(len(means), seeds))) / 2**0.5
    if loss:
        values = np.exp((100 - np.array(means)[:, None] + errors) / 30 - (spreads[:, None] / 30) ** 2 / 2)
    else:
        values = np.clip(np.array(means)[:, None] + errors, 0, 100)
    sides = {}
    for number, row in enumerate(values):
        by_seed = dict(enumerate(row.tolist()))
        sides[f"v{number}"] = Side(None, True, {"score": by_seed})
    return sides


def claims_of_best(sides, means, quantity):
    """The claims about the best that are wrong, and those that are right."""
    found = standings(sides, [quantity])
    best = {f"v{number}" for number, mean in enumerate(means) if mean == max(means)}
    wrong = any(found[name].verdict == "worse" for name in best) or any(
        each.verdict == "best" and (name not in best or len(best) > 1) for name, each in found.items()
    )
    return wrong, found["v0"].verdict == "best", sum(each.verdict == "worse" for each in found.values())


def claims_of_help(sides, means, quantity):
    """The same of "X helps" against the last variant, and "X helps most"."""
    *names, reference = sides
    true = {f"v{number}": mean for number, mean in enumerate(means)}
    confidence = joint_confidence(len(names))

    def certainly(one, other):
        return verdict_of([contrast(quantity, sides[one], sides[other], confidence)]) == "better"

    helpful = [name for name in names if certainly(name, reference)]
    most = [name for name in helpful if all(certainly(name, each) for each in helpful if each != name)]
    wrong = any(true[name] <= true[reference] for name in helpful)
    wrong_most = len(helpful) > 1 and any(
        true[name] <= max(true[each] for each in helpful if each != name) for name in most
    )
    return wrong or wrong_most, "v0" in most, len(helpful)


RULES = {"best of six": claims_of_best, "X helps (most)": claims_of_help}


def simulated(rule, means, spreads, seeds, studies, *, loss=False):
    """The shares of studies with a wrong claim and that name the first variant, and claims a study."""
    rng = np.random.default_rng(0)
    quantity = LOSS if loss else ACCURATE
    counts = Counter()
    for _ in range(studies):
        sides = drawn(rng, means, spreads, seeds, loss=loss)
        wrong, named, others = RULES[rule](sides, means, quantity)
        counts += Counter(wrong=wrong, named=named, others=others)
    return {name: counts[name] / studies for name in ("wrong", "named", "others")}
