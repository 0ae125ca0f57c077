"""The part about the amount of data: a power law of the loss, fitted to the variants of a study."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.documents.charts import PALETTE, Row, field, layer, layered, tips
from harness.core.documents.document import Figure
from harness.core.documents.numbers import capitalised, estimate, seeds, significant, with_unit
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL, Array
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Content, Part
from harness.learning.study.quantities import Quantity

#: A law with a floor has three parameters.
_FEWEST_AMOUNTS = 4
_RESAMPLES = 400
_SEED = 0
#: A smaller gain is written as 0 %.
_SMALLEST_GAIN = 0.005
#: Points of the curve in the chart.
_STEPS = 60
#: Exponents that are tried; learning curves have exponents below 1 (Hestness et al. 2017).
_EXPONENTS = np.geomspace(0.02, 2.0, 160)


class Scaling(NamedTuple):
    """``loss = floor + factor * samples ** -exponent``, over the amounts of a study.

    ``levels`` are means over seeds at ``samples``, ascending. ``doubled`` is what the law predicts for twice
    the largest amount, ``gain`` the share of the present loss that this amount removes. Intervals are
    percentiles over resampled seeds.
    """

    quantity: Quantity
    samples: list[int]
    levels: list[float]
    floor: float
    factor: float
    exponent: Estimate
    doubled: Estimate
    gain: Estimate

    def at(self, samples: float) -> float:
        """Predict the loss for a number of samples."""
        return float(self.floor + self.factor * samples**-self.exponent.value)

    @property
    def gain_text(self) -> str:
        """``9 % [4, 14]``, or ``9 %`` for too few seeds."""
        text = f"{100 * self.gain.value:.0f} %"
        if self.gain.low is None or self.gain.high is None:
            return text
        return f"{text} [{100 * self.gain.low:.0f}, {100 * self.gain.high:.0f}]"


class Amount(NamedTuple):
    """A number of training samples, and the loss of each seed with it."""

    samples: int
    by_seed: dict[int, float]


def amounts(study: StudyFinding) -> list[Amount]:
    """Return the amounts of data of a study's variants, ascending."""
    loss = study.quantities[study.study.kind.decisive[0]]
    best = study.study.kind.at == "best"
    found = []
    for _, _, runs in study.treated:
        samples = runs.runs[0].record.dataset.samples.get("train", 0)
        if values := loss.values(runs, best):
            found.append(Amount(samples, values))
    return sorted(found)


def scaling(study: StudyFinding) -> Scaling | None:
    """Fit the law of the first decisive quantity; None for too few amounts of data or common seeds."""
    found = amounts(study)
    seeds = sorted(set.intersection(*(set(each.by_seed) for each in found))) if found else []
    if len({each.samples for each in found}) < _FEWEST_AMOUNTS or not seeds:
        return None
    samples = np.array([each.samples for each in found], float)
    losses = np.array([[each.by_seed[seed] for seed in seeds] for each in found])  # (amounts, seeds)
    rng = np.random.default_rng(_SEED)
    drawn = [losses[:, rng.integers(0, len(seeds), len(seeds))].mean(axis=1) for _ in range(_RESAMPLES)]
    law, *resampled = _fits(samples, np.stack([losses.mean(axis=1), *drawn]))
    twice = 2 * samples[-1]
    doubled = [_at(each, twice) for each in (law, *resampled)]
    gains = [1 - at / _at(each, samples[-1]) for at, each in zip(doubled, (law, *resampled), strict=True)]
    floor, factor, exponent = law
    return Scaling(
        quantity=study.quantities[study.study.kind.decisive[0]],
        samples=[each.samples for each in found],
        levels=losses.mean(axis=1).tolist(),
        floor=floor,
        factor=factor,
        exponent=_interval(exponent, [each[2] for each in resampled], len(seeds)),
        doubled=_interval(doubled[0], doubled[1:], len(seeds)),
        gain=_interval(gains[0], gains[1:], len(seeds)),
    )


def _fits(samples: Array, losses: Array) -> list[tuple[float, float, float]]:
    """Fit floor, factor and exponent by least relative squares to each row of ``losses`` ``(rows, amounts)``.

    For a given exponent the law is linear in the other two, whose normal equations are solved for all
    exponents and rows at once; neither may be negative.
    """
    powers = (samples / samples[0]) ** -_EXPONENTS[:, None]  # (exponents, amounts)
    first, second = 1 / losses[:, None], powers / losses[:, None]  # (rows, exponents, amounts)
    aa, ab, bb = ((one * other).sum(-1) for one, other in ((first, first), (first, second), (second, second)))
    a, b = first.sum(-1), second.sum(-1)
    determinant = aa * bb - ab**2
    floors, factors = (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant
    negative = floors < 0
    floors, factors = np.where(negative, 0.0, floors), np.where(negative, b / bb, factors)
    errors = ((floors[..., None] * first + factors[..., None] * second - 1) ** 2).sum(-1)
    places = np.where(factors < 0, np.inf, errors).argmin(axis=1)
    rows = np.arange(len(losses))
    exponents = _EXPONENTS[places]
    scaled = factors[rows, places] * samples[0] ** exponents
    found = zip(floors[rows, places].tolist(), scaled.tolist(), exponents.tolist(), strict=True)
    # A loss that does not fall is a floor alone.
    flat = [(level, 0.0, 1.0) for level in (a / aa)[:, 0].tolist()]
    return [law if law[1] > 0 else level for law, level in zip(found, flat, strict=True)]


def _at(law: tuple[float, float, float], samples: float) -> float:
    floor, factor, exponent = law
    return float(floor + factor * samples**-exponent)


def _interval(value: float, resampled: Sequence[float], seeds: int) -> Estimate:
    if seeds < FEWEST_FOR_INTERVAL:
        return Estimate(value, None, None, seeds)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value), seeds)


def _content(study: StudyFinding) -> Content:
    """State the power law of the loss against the amount of data."""
    law = scaling(study)
    if law is None:
        text = "The runs do not show a power law: fewer than four amounts of data were trained."
    elif law.factor == 0:
        text = f"The {law.quantity.measure.name} does not fall with the amount of data: no power law fits."
    else:
        text = _law_text(law)
    return Content("Score against data", [text])


def _law_text(law: Scaling) -> str:
    name, few = law.quantity.measure.name, law.gain.low is None
    basis = (
        f"There are no intervals, because {seeds(law.gain.n)} do not show the spread over seeds"
        if few
        else "The intervals contain the spread over seeds, not the error of the law itself"
    )
    return (
        f"With all {law.samples[-1]:,} training samples the {name} is {significant(law.levels[-1])}. The "
        f"fitted law says that twice as many would lower it to {estimate(law.doubled, None)}, by "
        f"{law.gain_text}. Its exponent is {estimate(law.exponent, 2)}; what more data cannot remove is "
        f"{significant(law.floor)}. {basis}: the further from the data, the less it says."
    )


def _chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the loss of every seed against the number of samples, with the fitted law continued."""
    law = scaling(study)
    of = study.quantities[study.study.kind.decisive[0]]
    rows: list[Row] = [
        {"samples": each.samples, "loss": value, "seed": seed}
        for each in amounts(study)
        for seed, value in each.by_seed.items()
    ]
    if not rows:
        return
    x = field("samples:Q", title="training samples", scale={"type": "log"})
    y = field("loss:Q", title=with_unit(of.measure), scale={"type": "log"})
    tip = tips("samples:Q", "seed:N", "loss:Q")
    layers = [layer("point", {"size": 50, "color": PALETTE[0]}, x=x, y=y, tooltip=tip)]
    caption = "A point is a seed."
    if law is not None:
        within: list[Row] = []
        for place in np.geomspace(law.samples[0], 4 * law.samples[-1], _STEPS).tolist():
            part = "fitted law" if place <= law.samples[-1] else "continued"
            within.append({"samples": place, "loss": law.at(place), "part": part})
        dash = field("part:N", sort=["fitted law", "continued"], legend={"columns": 2})
        layers.append(layer("line", {"color": PALETTE[1]}, rows=within, x=x, y=y, strokeDash=dash))
        caption += " The line is the fitted law, continued to four times the data."
    title = f"{capitalised(of.measure.name)} against training samples"
    yield Figure(f"{prefix}-scaling", caption, layered(rows, *layers), title, chosen=True)


def _headline(study: StudyFinding, task: str) -> str | None:
    law = scaling(study)
    if law is None:
        return None
    name = law.quantity.measure.name
    if law.gain.low is not None and law.gain.low < _SMALLEST_GAIN:
        if law.factor > 0 and law.gain.high is not None and law.gain.high < _SMALLEST_GAIN:
            return f"{task}: by the fitted law, twice the data would lower the {name} by less than 1 %"
        return f"{task}: the runs do not show that more data would lower the {name}"
    return f"{task}: twice the data would lower the {name} by {law.gain_text}"


PARTS = (
    Part(
        "scaling",
        "a power law of the loss against the number of training samples",
        _content,
        _chart,
        headline=_headline,
    ),
)
