"""Agreement of the explanations of networks trained apart: between frameworks, and between seeds.

Also: how much of a map survives when the layers of its network are re-initialised.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL, mean_interval, student_quantile
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.study.finding import StudyFinding
from harness.weights.explain.networks import correlations_of
from harness.weights.explain.record import ExplainedNetwork, explained_network

#: Correlations that differ by less than this count as equal.
MARGIN = 0.05
#: A map with this rank correlation after all layers are re-initialised does not depend on what was learned.
SURVIVES = 0.5

AgreementVerdict = Literal["as much", "less", "more", "undecided", "few", "one framework"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank correlations of the maps of one method, each the mean over pairs of networks and samples.

    ``seeds``: of one framework with different seeds. ``frameworks``: of different frameworks with different
    seeds. ``same_seed``: of different frameworks from the same initial weights and batches. ``difference`` is
    that of the second and the first.
    """

    method: str
    seeds: Estimate | None
    frameworks: Estimate | None
    same_seed: Estimate | None
    difference: Estimate | None
    verdict: AgreementVerdict


@dataclass(frozen=True, slots=True)
class Survival:
    """The rank correlation of a method's maps before and after re-initialising layers, mean over seeds."""

    method: str
    layers: list[tuple[str, float]]
    last: Estimate | None
    """The correlation with all layers re-initialised."""

    @property
    def is_flagged(self) -> bool:
        """True if the map does not depend on the learned weights (Adebayo et al. 2018)."""
        return self.last is not None and self.last.value >= SURVIVES


#: The networks of each framework by seed.
Networks = Mapping[str, Mapping[int, ExplainedNetwork]]


def networks_of(configurations: Sequence[ConfigurationRuns]) -> Networks:
    """Return the explained networks of these configurations."""
    found = {each.name: each.by_seed(lambda run: explained_network(run.record)) for each in configurations}
    return {name: networks for name, networks in found.items() if networks}


def agreements(networks: Networks) -> list[Agreement]:
    """Measure how much maps agree, for each method, over the seeds that all frameworks have."""
    if not networks:
        return []
    seeds = sorted(set.intersection(*(set(each) for each in networks.values())))
    first = next(iter(next(iter(networks.values())).values()))
    return [_agreement(networks, seeds, method) for method in first.methods]


def _agreement(networks: Networks, seeds: Sequence[int], method: str) -> Agreement:
    names = list(networks)
    known: dict[tuple[str, int, str, int], float] = {}
    for (a, s), (b, t) in itertools.combinations(itertools.product(names, seeds), 2):
        values = correlations_of(networks[a][s], networks[b][t], method)
        finite = values[np.isfinite(values)]
        value = float(finite.mean()) if len(finite) else float("nan")
        known[a, s, b, t] = known[b, t, a, s] = value

    def mean(*, same_framework: bool, same_seed: bool) -> Callable[[Sequence[int]], float]:
        """Return a statistic of seeds: the mean over these pairs of networks."""

        def of_seeds(chosen: Sequence[int]) -> float:
            values = [
                value
                for (a, s, b, t), value in known.items()
                if s in chosen and t in chosen and (a == b, s == t) == (same_framework, same_seed)
            ]
            return float(np.nanmean(values)) if values else float("nan")

        return of_seeds

    between_seeds = mean(same_framework=True, same_seed=False)
    between_frameworks = mean(same_framework=False, same_seed=False)
    from_one_start = mean(same_framework=False, same_seed=True)
    difference = _jackknife(seeds, lambda chosen: between_frameworks(chosen) - between_seeds(chosen))
    own, across, paired = (
        _as_correlation(_jackknife(seeds, statistic))
        for statistic in (between_seeds, between_frameworks, from_one_start)
    )
    return Agreement(method, own, across, paired, difference, _verdict(difference, len(names)))


def _as_correlation(value: Estimate | None) -> Estimate | None:
    """Clip the interval of an estimate to -1 and 1."""
    if value is None or value.low is None or value.high is None:
        return value
    return Estimate(value.value, max(-1.0, value.low), min(1.0, value.high), value.n)


def _jackknife(seeds: Sequence[int], statistic: Callable[[Sequence[int]], float]) -> Estimate | None:
    """Return the statistic with Student's interval from leaving out one seed at a time (Tukey 1958)."""
    value, count = statistic(seeds), len(seeds)
    if not np.isfinite(value):
        return None
    if count < FEWEST_FOR_INTERVAL:
        return Estimate(value, None, None, count)
    left_out = np.array([statistic([each for each in seeds if each != seed]) for seed in seeds])
    if not np.isfinite(left_out).all():
        return Estimate(value, None, None, count)
    error = float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))
    half = student_quantile(0.975, count - 1) * error
    return Estimate(value, value - half, value + half, count)


def _verdict(difference: Estimate | None, frameworks: int) -> AgreementVerdict:
    if frameworks < 2:  # noqa: PLR2004  agreement needs two
        return "one framework"
    if difference is None or difference.low is None or difference.high is None:
        return "few"
    if difference.low >= -MARGIN and difference.high <= MARGIN:
        return "as much"
    if difference.excludes(0.0):
        return "less" if difference.value < 0 else "more"
    return "undecided"


def survivals(study: StudyFinding) -> list[Survival]:
    """Measure how much of a configuration's maps survives re-initialised layers."""
    networks = networks_of([study.configuration]).get(study.configuration.name, {})
    found = []
    for method in next(iter(networks.values())).methods if networks else ():
        courses = [dict(network.methods[method].randomised) for network in networks.values()]
        layers = [
            (layer, float(np.mean([value for course in courses if (value := course.get(layer)) is not None])))
            for layer in courses[0]
            if any(course.get(layer) is not None for course in courses)
        ]
        ends = [value for course in courses if (value := [*course.values()][-1]) is not None]
        found.append(Survival(method, layers, mean_interval(ends)))
    return found
