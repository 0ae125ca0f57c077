"""How much each input of a sample contributes to one output of a network, and what such a map is worth."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from harness.core.training.initial import initial_weights
from harness.core.training.program_scores import current_weights
from harness.layers import Embedding
from harness.spec.backend import Program
from harness.spec.task import Task

# Every method but :func:`occlusion` uses the gradients of :meth:`harness.spec.Program.input_gradients` alone.
# An attribution has the shape of the inputs as numbers; :func:`relevance` sums it over channels or features,
# so that each position, such as a pixel, a step or a character, has one value.

Array = npt.NDArray[Any]
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


class Subject:
    """The network ``model`` of a program, as a function of numbers: for tokens, of their embeddings.

    The baseline, which stands for the absence of an input, is 0 everywhere: black in a picture, the mean of
    a standardised feature, no embedding.
    """

    def __init__(self, program: Program, task: Task) -> None:
        self._program, self.network = program, task.networks["model"]
        first = self.network.placed()[0]
        self._table: Array | None = None
        if isinstance(first.layer, Embedding):
            self._table = current_weights(program)[f"model/{first.name}/table"]

    def numbers(self, inputs: Array) -> Array:
        """Inputs ``(n, *input)`` as numbers: tokens as the rows of their table, in its type."""
        return inputs if self._table is None else self._table[inputs]

    def gradients(self, numbers: Array, targets: Array) -> tuple[Array, Array]:
        """The gradient of output ``targets (n,)`` of each row by its numbers, and that output, in float64."""
        gradients, outputs = self._program.input_gradients(numbers, targets)
        return gradients.astype(np.float64), outputs.astype(np.float64)

    def outputs(self, inputs: Array) -> Array:
        """All outputs ``(n, places)`` of inputs as they are in the data, in float64."""
        return self._program.predict(inputs).reshape(len(inputs), -1).astype(np.float64)


def gradient(subject: Subject, numbers: Array, targets: Array) -> Attribution:
    """The gradient itself (Simonyan et al. 2014)."""
    return Attribution(subject.gradients(numbers, targets)[0])


def gradient_times_input(subject: Subject, numbers: Array, targets: Array) -> Attribution:
    """The gradient times the distance of the input from the baseline, which is 0."""
    return Attribution(subject.gradients(numbers, targets)[0] * numbers)


def quadrature(nodes: int) -> tuple[Array, Array]:
    """Places and weights of the Gauss-Legendre rule on [0, 1], exact to degree ``2 nodes - 1``."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return (1 + places) / 2, weights / 2


def integrated_gradients(
    subject: Subject, numbers: Array, targets: Array, baseline: Array | float = 0.0, nodes: int = NODES
) -> Attribution:
    """The mean gradient between baseline and input, times their distance (Sundararajan et al. 2017).

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
    """Groups of ``size`` values; the last may be smaller."""
    iterator = iter(values)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _weighted_gradient(
    subject: Subject, points: Iterable[tuple[float, Array]], like: Array, targets: Array
) -> Array:
    """The sum of the gradients at several points ``(n, *numbers)``, each with its weight."""
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
    """The mean gradient over noisy copies of the input (Smilkov et al. 2017), the same for every framework.

    The deviation of the noise is a share of the range of the numbers of a sample.
    """
    rng = np.random.default_rng(seed)
    axes = tuple(range(1, numbers.ndim))
    deviation = noise * np.ptp(numbers, axis=axes, keepdims=True)
    noisy = ((1 / samples, numbers + deviation * rng.standard_normal(numbers.shape)) for _ in range(samples))
    return Attribution(_weighted_gradient(subject, noisy, numbers, targets))


def occlusion(subject: Subject, inputs: Array, targets: Array) -> Attribution:
    """What the output loses where a part of the input is covered (Zeiler and Fergus 2014); by ``predict``.

    Squares of 4 by 4 pixels, 2 steps of a series or one feature of a table become 0; one token becomes the
    most frequent one of these inputs.
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
    """The parts that are covered one after the other, without overlap."""
    if len(shape) == _PICTURE_AXES:
        return [
            (slice(top, top + PATCH), slice(left, left + PATCH))
            for top in range(0, shape[0], PATCH)
            for left in range(0, shape[1], PATCH)
        ]
    width = STEPS if len(shape) == _SERIES_AXES and not tokens else 1
    return [(slice(at, at + width),) for at in range(0, shape[0], width)]


def relevance(values: Array) -> Array:
    """Attributions summed over the last axis ``(n, *positions)``; those of a table as they are."""
    return values.sum(axis=-1) if values.ndim > 2 else values  # noqa: PLR2004  rows and features


#: What uses gradients, by the name that reports give it.
BY_GRADIENT: Mapping[str, Callable[[Subject, Array, Array], Attribution]] = {
    "gradient × input": gradient_times_input,
    "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_grad,
}
OCCLUSION = "occlusion"


# Of the network as a whole.


def permutation_importance(
    loss: Callable[[Array], float], inputs: Array, repeats: int = 5, seed: int = 0
) -> tuple[Array, Array]:
    """What the loss of a table's samples rises by where a feature is shuffled (Fisher et al. 2019).

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
    """The kernels ``(filters, height, width, channels)`` of a first convolution of pictures, or None."""
    place = next(iter(task.networks["model"].leaves()))
    kernel = weights.get(f"model/{place.name}/kernel")
    if kernel is None or kernel.ndim != _PICTURE_AXES + 1:
        return None
    return np.moveaxis(kernel, -1, 0)


# What an explanation is worth: agreement of maps, randomised layers, curves of deletion and insertion.


def rank_correlations(one: Array, other: Array) -> npt.NDArray[np.float64]:
    """Spearman's correlation of two maps ``(n, ...)`` of each sample ``(n,)``; NaN where one is constant."""
    from scipy.stats import rankdata

    ranks = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([np.corrcoef(*pair)[0, 1] for pair in zip(*ranks, strict=True)])


def randomised(
    task: Task, weights: Mapping[str, Array], seed: int
) -> Iterator[tuple[str, dict[str, npt.NDArray[np.float64]]]]:
    """The weights with more and more layers re-initialised, from the last to the first (Adebayo et al. 2018).

    Yields the name of the layer that was drawn last, and the weights ``load`` takes. Running statistics stay.
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
        """How much faster than in another order the output falls and rises: the areas between the curves."""
        fall, rise = chance.deletion - self.deletion, self.insertion - chance.insertion
        return float(fall.mean()), float(rise.mean())


#: Points of a curve after the first.
CURVE_POINTS = 10


def curves(subject: Subject, numbers: Array, targets: Array, maps: Array) -> Curves:
    """Deletion and insertion (Petsiuk et al. 2018) of the output: the largest values of maps come first."""
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    return Curves(
        *(_curve(subject, numbers, targets, order, restores=restores) for restores in (False, True))
    )


def chance_curves(subject: Subject, numbers: Array, targets: Array, shape: tuple[int, ...]) -> Curves:
    """The same in a random order, for maps of this shape."""
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
