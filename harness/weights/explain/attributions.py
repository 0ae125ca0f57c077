"""How much each input of a sample contributes to one output of a network, and how good such a map is.

Every method but :func:`occlusion` uses the gradients of :meth:`harness.spec.Program.input_gradients` alone.
An attribution has the shape of the inputs as numbers; :func:`relevance` sums it over channels or features, so
that each position, such as a pixel, a step or a character, has one value.

The baseline, which stands for the absence of an input, is 0 everywhere: black in a picture, the mean of a
standardised feature, no embedding.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from harness.core.certify.input_gradients import Array, Subject
from harness.core.training.initial import initial_weights
from harness.spec.task import Task

_T = TypeVar("_T")

#: Nodes of the Gauss-Legendre rule of :func:`integrated_gradients`.
NODES = 32
#: Samples of :func:`smooth_grad`, and their deviation as a share of the range of a sample's inputs.
SMOOTH_SAMPLES, SMOOTH_NOISE = 16, 0.1
#: The side of the square that :func:`occlusion` covers in a picture, and the steps it covers in a series.
PATCH, STEPS = 4, 2
#: Height, width and channels; steps and features.
_PICTURE_AXES, _SERIES_AXES = 3, 2


class Attribution(NamedTuple):
    """Values ``(n, *numbers)`` of one method.

    ``completeness (n,)`` is how far their sum is from the difference that they should explain; None for a
    method that promises none.
    """

    values: Array
    completeness: Array | None = None


def gradient(subject: Subject, numbers: Array, targets: Array) -> Attribution:
    """Attribute by the gradient itself (Simonyan et al. 2014)."""
    return Attribution(subject.gradients(numbers, targets)[0])


def gradient_times_input(subject: Subject, numbers: Array, targets: Array) -> Attribution:
    """Attribute by the gradient times the distance of the input from the baseline, which is 0."""
    return Attribution(subject.gradients(numbers, targets)[0] * numbers)


def quadrature(nodes: int) -> tuple[Array, Array]:
    """Return places and weights of the Gauss-Legendre rule on [0, 1], exact to degree ``2 nodes - 1``."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return (1 + places) / 2, weights / 2


def integrated_gradients(
    subject: Subject, numbers: Array, targets: Array, baseline: Array | float = 0.0, nodes: int = NODES
) -> Attribution:
    """Attribute by the mean gradient from baseline to input, times their distance (Sundararajan et al. 2017).

    The sum over a sample is the difference of the output between input and baseline, up to the error of the
    quadrature, which is reported: a ReLU makes the gradient jump on the way.
    """
    difference = numbers - baseline
    places = zip(*quadrature(nodes), strict=True)
    points = ((weight, baseline + place * difference) for place, weight in places)
    values = difference * _weighted_gradient(subject, points, numbers, targets)
    ends = (np.broadcast_to(end, numbers.shape).astype(numbers.dtype) for end in (numbers, baseline))
    at_input, at_baseline = (subject.gradients(np.ascontiguousarray(end), targets)[1] for end in ends)
    explained = values.reshape(len(values), -1).sum(axis=1)
    return Attribution(values, explained - (at_input - at_baseline))


#: Rows of a call: small enough for memory, large enough that compiled programs pad little.
_ROWS = 256


def _batched(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield groups of ``size`` values; the last may be smaller."""
    iterator = iter(values)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _weighted_gradient(
    subject: Subject, points: Iterable[tuple[float, Array]], like: Array, targets: Array
) -> Array:
    """Return the weighted sum of the gradients at several ``points (n, *numbers)``."""
    total, together = np.zeros(like.shape), max(1, _ROWS // len(like))
    for group in _batched(points, together):
        at = np.concatenate([point for _, point in group]).astype(like.dtype)
        gradients, _ = subject.gradients(at, np.tile(targets, len(group)))
        for (weight, _), each in zip(group, np.split(gradients, len(group)), strict=True):
            total += weight * each
    return total


def smooth_grad(
    subject: Subject,
    numbers: Array,
    targets: Array,
    samples: int = SMOOTH_SAMPLES,
    noise: float = SMOOTH_NOISE,
    seed: int = 0,
) -> Attribution:
    """Attribute by the mean gradient over noisy copies of the input (Smilkov et al. 2017).

    The noise is the same for every framework. Its deviation is a share of the range of a sample's numbers.
    """
    rng = np.random.default_rng(seed)
    axes = tuple(range(1, numbers.ndim))
    deviation = noise * np.ptp(numbers, axis=axes, keepdims=True)
    noisy = ((1 / samples, numbers + deviation * rng.standard_normal(numbers.shape)) for _ in range(samples))
    return Attribution(_weighted_gradient(subject, noisy, numbers, targets))


def occlusion(subject: Subject, inputs: Array, targets: Array) -> Attribution:
    """Attribute by the loss of output where a part of the input is covered (Zeiler and Fergus 2014).

    It needs ``predict`` alone. Squares of 4 by 4 pixels, 2 steps of a series or one feature of a table become
    0; one token becomes the most frequent one of these inputs.
    """
    rows = np.arange(len(inputs))
    whole = subject.outputs(inputs)[rows, targets]
    values = np.zeros(inputs.shape)
    cover = np.bincount(inputs.ravel()).argmax() if inputs.dtype.kind == "i" else 0
    parts = _parts(inputs.shape[1:], tokens=inputs.dtype.kind == "i")
    for group in _batched(parts, max(1, _ROWS // len(inputs))):
        covered = np.stack([inputs] * len(group))
        for copy, part in zip(covered, group, strict=True):
            copy[:, *part] = cover
        outputs = subject.outputs(covered.reshape(-1, *inputs.shape[1:])).reshape(len(group), len(inputs), -1)
        for of_part, part in zip(outputs, group, strict=True):
            lost = whole - of_part[rows, targets]
            values[:, *part] = lost.reshape(-1, *[1] * (inputs.ndim - 1))
    if inputs.ndim > _SERIES_AXES:  # the loss is that of the position, which is the sum over its channels
        values = values / inputs.shape[-1]
    return Attribution(values)


def _parts(shape: tuple[int, ...], *, tokens: bool) -> list[tuple[slice, ...]]:
    """Return the parts that are covered one after the other, without overlap."""
    if len(shape) == _PICTURE_AXES:
        return [
            (slice(top, top + PATCH), slice(left, left + PATCH))
            for top in range(0, shape[0], PATCH)
            for left in range(0, shape[1], PATCH)
        ]
    width = STEPS if len(shape) == _SERIES_AXES and not tokens else 1
    return [(slice(at, at + width),) for at in range(0, shape[0], width)]


def relevance(values: Array) -> Array:
    """Sum attributions over the last axis, to ``(n, *positions)``; return those of a table as they are."""
    return values.sum(axis=-1) if values.ndim > 2 else values  # noqa: PLR2004  rows and features


#: The methods that use gradients, by their names in reports.
BY_GRADIENT: Mapping[str, Callable[[Subject, Array, Array], Attribution]] = {
    "gradient × input": gradient_times_input,
    "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_grad,
}
OCCLUSION = "occlusion"


def permutation_importance(
    loss: Callable[[Array], float], inputs: Array, repeats: int = 5, seed: int = 0
) -> tuple[Array, Array]:
    """Return the rise of the loss of a table's samples where a feature is shuffled (Fisher et al. 2019).

    ``loss`` maps inputs ``(n, features)`` to the mean loss. Returns mean and standard deviation over the
    repeats, ``(features,)`` each.
    """
    rng = np.random.default_rng(seed)
    whole, rises = loss(inputs), np.zeros((repeats, inputs.shape[1]))
    for repeat in range(repeats):
        for feature in range(inputs.shape[1]):
            shuffled = inputs.copy()
            shuffled[:, feature] = rng.permutation(inputs[:, feature])
            rises[repeat, feature] = loss(shuffled) - whole
    return rises.mean(axis=0), rises.std(axis=0, ddof=1)


def first_filters(task: Task, weights: Mapping[str, Array]) -> Array | None:
    """Return the kernels ``(filters, height, width, channels)`` of a first convolution, or None."""
    place = next(iter(task.networks["model"].leaves()))
    kernel = weights.get(f"model/{place.name}/kernel")
    if kernel is None or kernel.ndim != _PICTURE_AXES + 1:
        return None
    return np.moveaxis(kernel, -1, 0)


def rank_correlations(one: Array, other: Array) -> npt.NDArray[np.float64]:
    """Correlate the maps ``(n, ...)`` of each sample by ranks (Spearman) ``(n,)``; NaN for a constant map."""
    from scipy.stats import rankdata

    ranks = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([np.corrcoef(*pair)[0, 1] for pair in zip(*ranks, strict=True)])


def randomised(
    task: Task, weights: Mapping[str, Array], seed: int
) -> Iterator[tuple[str, dict[str, npt.NDArray[np.float64]]]]:
    """Re-initialise more and more layers, from the last to the first (Adebayo et al. 2018).

    Yields the name of the newest such layer, and the weights as ``load`` takes them. Running statistics stay.
    """
    fresh = initial_weights(task, seed)
    current = {name: np.array(array, np.float64) for name, array in weights.items()}
    parameters = task.networks["model"].parameters()
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in parameters))
    for layer in reversed(layers):
        current |= {
            f"model/{name}": fresh[f"model/{name}"] for name in parameters if name.rpartition("/")[0] == layer
        }
        yield layer, dict(current)


class Curves(NamedTuple):
    """Mean outputs ``(points,)`` over samples, by the share of positions that was changed, from 0 to 1.

    ``deletion`` sets positions to the baseline one after the other, ``insertion`` starts from the baseline
    and restores them.
    """

    deletion: Array
    insertion: Array

    def gains(self, chance: "Curves") -> tuple[float, float]:
        """Return the areas between these curves and ``chance``: of the fall and of the rise."""
        fall, rise = chance.deletion - self.deletion, self.insertion - chance.insertion
        return float(fall.mean()), float(rise.mean())


#: Points of a curve after the first.
CURVE_POINTS = 10


def curves(subject: Subject, numbers: Array, targets: Array, maps: Array) -> Curves:
    """Compute deletion and insertion (Petsiuk et al. 2018): the largest values of ``maps`` come first."""
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    return Curves(
        *(_curve(subject, numbers, targets, order, restores=restores) for restores in (False, True))
    )


def chance_curves(subject: Subject, numbers: Array, targets: Array, shape: tuple[int, ...]) -> Curves:
    """Compute the deletion and insertion curves of positions in random order, for maps of this shape."""
    return curves(subject, numbers, targets, np.random.default_rng(0).random(shape))


def _curve(subject: Subject, numbers: Array, targets: Array, order: Array, *, restores: bool) -> Array:
    points = []
    for point in range(CURVE_POINTS + 1):
        first = order[:, : round(point * order.shape[1] / CURVE_POINTS)]
        is_kept = np.full(order.shape, not restores)
        np.put_along_axis(is_kept, first, restores, axis=1)
        # A position has one value of a table, and all channels or features of anything else.
        is_kept = is_kept.reshape(*numbers.shape[: max(2, numbers.ndim - 1)])
        mask = is_kept[..., None] if is_kept.ndim < numbers.ndim else is_kept
        points.append(np.where(mask, numbers, 0).astype(numbers.dtype))
    outputs = subject.gradients(np.concatenate(points), np.tile(targets, len(points)))[1]
    means: Array = outputs.reshape(len(points), -1).mean(axis=1)
    return means
