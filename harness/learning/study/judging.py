"""Judges variants of a study by their runs on the same seeds: against a reference, or against the best.

Every interval of a verdict comes from paired seeds, with a share of the allowed error (Bonferroni): variants
differ in their spread, and a pooled variance would make that of the steady ones too wide and that of the
others too narrow.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from harness.core.stats.equivalence import seeds_to_differ, seeds_to_equal
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Array, joint_confidence, mean_interval, with_further_error
from harness.core.stats.scales import Linearised, finite_pairs, linearised
from harness.learning.runs.population import paired_scores
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.study.quantities import Quantity, SeedValues

#: A verdict on a variant. Against a reference: ``better``, ``worse``, ``mixed`` (one decisive quantity is
#: certainly better, another one certainly worse), ``equal`` (every decisive difference is certainly within
#: its margin), ``undecided``. Against the best: ``best`` (certainly better than every other), ``equal``
#: (certainly within the margin of the best), ``undecided`` (may be the best), ``worse``. Where the decisive
#: quantity answers a question about each variant: ``yes``, ``no``, ``undecided``. ``few``: fewer seeds than
#: an interval needs; ``diverged``: with a seed at least; ``control``: it shows what data are worth.
Verdict = Literal[
    "best", "better", "worse", "mixed", "equal", "undecided", "yes", "no", "few", "diverged", "control"
]

#: What keeps a verdict open however many seeds there are.
Limit = Literal["", "the test set", "the tuning"]


class Need(NamedTuple):
    """What a verdict needs: an approximate number of ``seeds`` in all, or something else than its ``limit``.

    Without both the number of seeds is not known, as where there are fewer than two.
    """

    seeds: int | None = None
    limit: Limit = ""


#: The need of a verdict that is there, or of which nothing is known.
NO_NEED = Need()


class Side(NamedTuple):
    """The runs of a variant, and their values by quantity.

    ``best``: the best epoch of each run counts. ``error`` is the standard deviation of the ``criterion`` over
    repeated draws of the variant's trials.
    """

    runs: ConfigurationRuns
    best: bool
    values: Mapping[str, SeedValues]
    criterion: str = ""
    error: float = 0.0


class Contrast(NamedTuple):
    """The change from one variant to another in one quantity, with an interval of this ``confidence``.

    The change is a difference, or a quotient where the quantity is a ratio. ``differences`` ``(seeds,)``, the
    variances of their mean that more seeds do not reduce, from the test set and from the tuning, and
    ``margin`` are on the scale on which it was judged; ``is_equal`` says that the whole interval is within
    the margin.
    """

    quantity: Quantity
    change: Estimate | None
    confidence: float
    is_equal: bool
    differences: Array
    margin: float
    sampled: float = 0.0
    tuned: float = 0.0

    @property
    def gain(self) -> Estimate | None:
        """The change in the direction in which more is better."""
        return _mirrored(self.quantity, self.change) if self.quantity.measure.sign < 0 else self.change

    @property
    def is_judged(self) -> bool:
        """True if there are enough seeds for an interval."""
        return self.change is not None and self.change.low is not None

    @property
    def sign(self) -> int:
        """1 if it is certainly better, -1 if certainly worse, by more than the margin; otherwise 0."""
        if self.change is None or self.is_equal or not self.change.excludes(_neutral(self.quantity)):
            return 0
        return self.quantity.measure.sign * (1 if self.change.value > _neutral(self.quantity) else -1)

    @property
    def seeds_to_differ(self) -> int | None:
        """The approximate number of seeds that show a difference; None if no number does."""
        return seeds_to_differ(self.differences, 1 - self.confidence, self.sampled + self.tuned)

    @property
    def seeds_to_equal(self) -> int | None:
        """The approximate number of seeds that show equality; None if no number does.

        The interval, whose two ends share the error, must lie within the margin.
        """
        alpha = (1 - self.confidence) / 2
        return seeds_to_equal(self.differences, self.margin, alpha, self.sampled + self.tuned)


def need_of(contrasts: Sequence[Contrast]) -> Need:
    """Estimate what a verdict needs at the means and spreads so far, from contrasts of two variants.

    A difference in one of the quantities decides, or equality in all.
    """
    spread = [each for each in contrasts if len(each.differences) > 1]
    equal = [each.seeds_to_equal for each in spread]
    known = [count for each in spread if (count := each.seeds_to_differ) is not None]
    known += [max(each for each in equal if each is not None)] if equal and None not in equal else []
    if known or not spread:
        return Need(min(known, default=None))
    limiting = max(spread, key=lambda each: each.sampled + each.tuned)
    if not limiting.sampled + limiting.tuned:
        return NO_NEED
    return Need(None, "the test set" if limiting.sampled >= limiting.tuned else "the tuning")


def _neutral(quantity: Quantity) -> float:
    return 1.0 if quantity.ratio else 0.0


def _mirrored(quantity: Quantity, change: Estimate | None) -> Estimate | None:
    if change is None:
        return None
    return change.inverse() if quantity.ratio else change.negated()


def contrast(quantity: Quantity, ours: Side, theirs: Side, confidence: float) -> Contrast:
    """Compare two variants in one quantity on the seeds that both have.

    The interval of a test score is the wider of those over seeds and for the population. Where tuning
    optimised the quantity, it includes the error from tuning of both.
    """
    first, second = ours.values[quantity.name], theirs.values[quantity.name]
    mine, other = finite_pairs(first, second)
    margin = quantity.measure.margin
    if quantity.ratio:
        # A seed that never gets there has no ratio, and the others alone would flatter its variant.
        every = all(map(math.isfinite, (*first.values(), *second.values())))
        usable = (mine > 0) & (other > 0) & every
        logs = np.log(mine[usable] / other[usable])
        found = mean_interval(logs, confidence)
        margin = math.log1p(margin)
        is_equal = _lies_within(found, margin)
        change = None if found is None else found.exp()
        return Contrast(quantity, change, confidence, is_equal, logs, margin)
    if not len(mine):
        return Contrast(quantity, None, confidence, False, mine, margin)
    margin = quantity.measure.margin_at(float(other.mean()))
    line, sampled = linearised(mine, other, quantity.scale), 0.0
    if quantity.of_samples is not None:
        records, others = ([run.record for run in side.runs.runs] for side in (ours, theirs))
        paired = paired_scores(
            records,
            others,
            quantity.of_samples(ours.runs),
            their_measure=quantity.of_samples(theirs.runs),
            our_best=ours.best,
            their_best=theirs.best,
            scale=quantity.scale,
        )
        found, sampled = paired.wider(confidence), paired.sampling.variance if paired.sampling else 0.0
    else:
        found = mean_interval(line.differences, confidence)
    error = _tuning_error(quantity, ours, theirs, line)
    change = line.taken_back(with_further_error(found, error, confidence))
    is_equal, margin = _lies_within(change, margin), margin * line.slopes[1]
    return Contrast(quantity, change, confidence, is_equal, line.differences, margin, sampled, error**2)


def _tuning_error(quantity: Quantity, ours: Side, theirs: Side, line: Linearised) -> float:
    errors = (side.error if side.criterion == quantity.name else 0.0 for side in (ours, theirs))
    return math.hypot(*(slope * error for slope, error in zip(line.slopes, errors, strict=True)))


def _lies_within(change: Estimate | None, margin: float) -> bool:
    if change is None or change.low is None or change.high is None:
        return False
    return -margin < change.low and change.high < margin


def verdict_of(contrasts: Sequence[Contrast]) -> Verdict:
    """Judge a variant against another by its changes in the decisive quantities."""
    judged = [each for each in contrasts if each.is_judged]
    if not judged:
        return "few"
    signs = {each.sign for each in judged} - {0}
    if len(signs) > 1:
        return "mixed"
    if signs:
        return "better" if signs == {1} else "worse"
    return "equal" if all(each.is_equal for each in judged) else "undecided"


class Standing(NamedTuple):
    """A variant among several: its verdict, by quantity its change from the best of the others, its need.

    ``signs``, by decisive quantity: -1 where the variant is certainly worse, 1 where it is certainly better
    than what its verdict compares it with; against the best only for the verdict ``worse``.
    """

    verdict: Verdict
    changes: Mapping[str, Estimate | None]
    need: Need = NO_NEED
    signs: Mapping[str, int] = MappingProxyType({})


def standings(sides: Mapping[str, Side], decisive: Sequence[Quantity]) -> dict[str, Standing]:
    """Compare each variant with the best of the others, by name; the intervals hold together at 95 %.

    Multiple comparisons with the best from all pairwise ones (Hsu 1996, Multiple Comparisons, chapters 4 and
    5): where the intervals of all pairs hold, the difference of a variant from the best of the others lies
    between the smallest of its lower and the smallest of its upper ends. The narrower intervals with each
    variant as the only control (Edwards and Hsu 1983) keep one of several equally good variants in the set,
    but may call another one of them worse. A single variant has no standing.
    """
    names = list(sides)
    pairs_compared = len(names) * (len(names) - 1) // 2
    confidence = joint_confidence(pairs_compared * len(decisive))
    pairs: dict[tuple[str, str], list[Contrast]] = {}
    for one, other in itertools.combinations(names, 2):
        both = [_both_ways(each, sides[one], sides[other], confidence) for each in decisive]
        pairs[one, other], pairs[other, one] = ([*found] for found in zip(*both, strict=True))
    if len(names) == 1:
        return {}
    if any(verdict_of(found) == "few" for found in pairs.values()):
        return {name: Standing("few", dict.fromkeys(each.name for each in decisive)) for name in names}
    leader, standing = leading(sides, decisive[0]), {}
    for name in names:
        others = {each: pairs[name, each] for each in names if each != name}
        changes = {
            each.name: _from_best([found[place] for found in others.values()])
            for place, each in enumerate(decisive)
        }
        verdicts = {each: verdict_of(found) for each, found in others.items()}
        rivals = [each for each, verdict in verdicts.items() if verdict != "better"]
        need = NO_NEED
        better = [found for each, found in others.items() if verdicts[each] == "worse"]
        signs: dict[str, int] = {}
        if better:
            verdict: Verdict = "worse"
            signs = {
                each.name: min(found[place].sign for found in better) for place, each in enumerate(decisive)
            }
        elif not rivals:
            verdict = "best"
        elif all(verdicts[each] == "equal" for each in rivals):
            verdict = "equal"
        else:
            verdict = "undecided"
            need = need_of(others.get(leader, ()))
        standing[name] = Standing(verdict, changes, need, signs)
    return standing


def _both_ways(quantity: Quantity, ours: Side, theirs: Side, confidence: float) -> tuple[Contrast, Contrast]:
    """Compare two variants from either side, so that each change stays within what its variant can reach."""
    change, reverse = (contrast(quantity, *sides, confidence) for sides in ((ours, theirs), (theirs, ours)))
    return change, reverse._replace(is_equal=change.is_equal)


def _from_best(contrasts: Sequence[Contrast]) -> Estimate | None:
    """Return the change of a variant from the best of the others, from its contrasts in one quantity."""
    quantity = contrasts[0].quantity
    gains = [each.gain for each in contrasts if each.gain is not None]
    lows, highs = (
        [end for gain in gains if (end := getattr(gain, name)) is not None] for name in ("low", "high")
    )
    if len(lows) < len(contrasts):
        return None
    value, count = min(gain.value for gain in gains), min(gain.n for gain in gains)
    change = Estimate(value, min(lows), min(highs), count)
    return change if quantity.measure.sign > 0 else _mirrored(quantity, change)


def leading(sides: Mapping[str, Side], quantity: Quantity) -> str:
    """Return the variant with the best mean of a quantity."""
    means = {
        name: quantity.measure.sign * sum(values.values()) / len(values)
        for name, side in sides.items()
        if (values := side.values[quantity.name])
    }
    return max(means, key=means.__getitem__) if means else next(iter(sides))
