"""Simulated studies, judged by the functions that judge real ones: wrong claims, and what is found.

Variants share seeds, whose effect is half of the variance. An uneven spread gives one variant four times the
spread of the others: the first, which is the best, or the last, which is the reference of "X helps".
"""

from collections import Counter

import numpy as np

from harness.core.stats.intervals import joint_confidence
from harness.core.training.measures import ACCURACY, Measure
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.judging import Side, contrast, standings, verdict_of
from harness.learning.study.quantities import Quantity
from harness.learning.study.record import Study, Variant
from harness.spec.study import StudyKind, StudyVariant


def _made_up(_runs, _best):
    return {}


ACCURATE = Quantity("score", ACCURACY, _made_up)
LOSS = Quantity("score", Measure("loss", "loss", "", 1.0, False, 0.05, relative=True), _made_up)
#: Means of six variants in points of accuracy, of which the first is the best or one of the best.
MEANS = {"equal": [90.0] * 6, "one better": [93.0, *[90.0] * 5], "spread out": [90, 90, 89, 87, 80, 60]}
SPREADS = {
    "even": np.ones(6),
    "first uneven": np.array([4.0, 1, 1, 1, 1, 1]),
    "last uneven": np.array([1.0, 1, 1, 1, 1, 4]),
}


def loss_of(points):
    """The mean loss of a variant with this mean accuracy in points."""
    return np.exp((100 - np.asarray(points)) / 30)


def drawn(rng, means, spreads, seeds, *, loss):
    """Values of a study by variant; losses are log-normal, with means in the same order."""
    errors = spreads[:, None] * (rng.normal(size=(1, seeds)) + rng.normal(size=(len(means), seeds))) / 2**0.5
    if loss:
        values = loss_of(np.array(means)[:, None] - errors) * np.exp(-((spreads[:, None] / 30) ** 2) / 2)
    else:
        values = np.clip(np.array(means)[:, None] + errors, 0, 100)
    sides = {}
    for number, row in enumerate(values):
        by_seed = dict(enumerate(row.tolist()))
        sides[f"v{number}"] = Side(None, True, {"score": by_seed})
    return sides


def _is_beyond_margin(quantity, one, other):
    """Whether the means of two variants, in points, differ by the margin or more, up to rounding.

    A relative margin is that of the larger mean: in comparisons with the best either may be the reference.
    """
    margin = quantity.measure.margin * (1 - 1e-9)
    if quantity.measure.relative:
        lower, higher = sorted((loss_of(one), loss_of(other)))
        return higher - lower >= margin * higher
    return abs(one - other) >= margin


def claims_of_best(sides, means, quantity):
    """The claims about the best that are wrong, and those that are right."""
    found = standings(sides, [quantity])
    best = {f"v{number}" for number, mean in enumerate(means) if mean == max(means)}
    wrong = any(found[name].verdict == "worse" for name in best) or any(
        each.verdict == "best" and (name not in best or len(best) > 1) for name, each in found.items()
    )
    equal = [number for number, each in enumerate(found.values()) if each.verdict == "equal"]
    wrong |= any(_is_beyond_margin(quantity, means[number], max(means)) for number in equal)
    return wrong, found["v0"].verdict == "best", sum(each.verdict == "worse" for each in found.values())


def claims_of_help(sides, means, quantity):
    """The same of "X helps" against the last variant, and "X helps most"."""
    *names, reference = sides
    true = {f"v{number}": mean for number, mean in enumerate(means)}
    found = _finding(sides, quantity, [reference, *names])
    helpful = {effect.variant.name for effect in found.helpful}
    most = found.recommended and found.recommended.variant.name
    wrong = any(true[name] <= true[reference] for name in helpful) or any(
        _is_beyond_margin(quantity, true[effect.variant.name], true[reference])
        for effect in found.of_verdict("equal")
    )
    wrong_most = any(true[most] <= true[name] for name in helpful - {most}) if most else False
    return wrong or wrong_most, most == "v0", len(helpful)


def _finding(sides, quantity, names):
    """The finding of a study whose first variant is the reference."""
    confidence = joint_confidence(len(names) - 1)
    kind = StudyKind(
        name="simulated",
        question="",
        summary="",
        noun="variant",
        tasks=("mlp",),
        variants=tuple(map(StudyVariant, names)),
    )
    variants = [Variant(name, [], "", 1) for name in names]
    study = Study(
        kind=kind,
        task="mlp",
        dataset="",
        epochs=1,
        max_steps=None,
        precision="float32",
        threads=1,
        variants=variants,
    )
    effects = []
    for variant, described in zip(variants, kind.variants, strict=True):
        against = [contrast(quantity, sides[variant.name], sides[names[0]], confidence)]
        verdict = verdict_of(against) if effects else None
        effects.append(Effect(variant, described, len(sides[variant.name].values["score"]), {}, {}, verdict))
    return StudyFinding(study, None, None, {"score": quantity}, effects, [], sides, confidence)


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
