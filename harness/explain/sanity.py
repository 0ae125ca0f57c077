"""What an explanation is worth: agreement of maps, randomised layers, curves of deletion and insertion."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.explain.attributions import Array, Subject
from harness.spec.task import Task
from harness.training.initial import initial_weights


def rank_correlations(one: Array, other: Array) -> npt.NDArray[np.float64]:
    """Spearman's correlation of two maps ``(n, ...)`` of each sample ``(n,)``; NaN where one is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    lengths = [np.sqrt((values**2).sum(axis=1)) for values in centred]
    with np.errstate(invalid="ignore"):
        result: npt.NDArray[np.float64] = (centred[0] * centred[1]).sum(axis=1) / (lengths[0] * lengths[1])
    return result


def randomised(
    task: Task, weights: Mapping[str, Array], seed: int
) -> Iterator[tuple[str, dict[str, npt.NDArray[np.float64]]]]:
    """The weights with more and more layers drawn anew, from the last to the first (Adebayo et al. 2018).

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
