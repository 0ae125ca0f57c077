"""How good a generator's pictures are, by features that no framework owns, and whether they are copies."""

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.spec.data import Samples
from harness.training import draws
from harness.training.measures import Scores

#: Principal components of the real training pictures that serve as features.
COMPONENTS = 24
NEIGHBOURS = 3
#: Pictures compared at most, of each kind: nearest neighbours cost their product.
COMPARED = 2000
#: The latents that quality is judged on and the grid shows are the same for every seed and backend.
_GRID = 8
_SHOWN_CHANNELS = (1, 3)

Features = npt.NDArray[np.float64]


def judging_latents(count: int, latent_size: int, dtype: np.dtype) -> np.ndarray:
    """Latents ``(count, latent_size)`` to judge a generator by."""
    return draws.normal((count, latent_size), "judging latents").astype(dtype)


def frechet_distance(one: Features, other: Features) -> float:
    """The Fréchet distance of two samples ``(n, features)`` taken for normal (Heusel et al. 2017, eq. 6).

    ``|mean difference|² + trace(A + B - 2 sqrt(A B))``; the trace of the root is the sum of the roots
    of the eigenvalues of ``A B``, which are real and not negative.
    """
    covariances = [np.cov(sample, rowvar=False) for sample in (one, other)]
    roots = np.sqrt(np.clip(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0.0, None))
    means = one.mean(axis=0) - other.mean(axis=0)
    return float(means @ means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * roots.sum())


def coverage(inside: Features, of: Features) -> float:
    """The share of ``inside`` that lies within reach of ``of`` (Kynkäänniemi et al. 2019, equation 1).

    A point of ``of`` reaches as far as its own third nearest neighbour. Of generated in real pictures
    it is the precision, of real in generated ones the recall.
    """
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(of)
    radii = neighbours.kneighbors(of)[0][:, -1]  # the nearest neighbour of a point is itself
    reached = np.zeros(len(inside), bool)
    for start in range(0, len(inside), 500):
        part = inside[start : start + 500]
        distances = np.linalg.norm(part[:, None] - of[None], axis=2)
        reached[start : start + 500] = (distances <= radii).any(axis=1)
    return float(reached.mean())


class Memorization(NamedTuple):
    """``ratio`` is near 1 where samples are no nearer to what was trained on, and 0 where all are copies.

    ``error`` is by how much the luck of which pictures were held out may move it (one standard error).
    """

    ratio: float
    error: float


def memorization(fakes: Features, train: Features, held_out: Features) -> Memorization:
    """How many of the real pictures that are nearest to samples are held-out ones, by how many chance has.

    A generator that has learned the distribution cannot tell the two apart: chance is the share of
    held-out pictures among the real ones. A picture counts once, however many samples are near it: those
    of a weak generator are all near a few.
    """
    from sklearn.metrics import pairwise_distances_argmin

    nearest = np.unique(pairwise_distances_argmin(fakes, np.concatenate([train, held_out])))
    chance = len(held_out) / (len(train) + len(held_out))
    error = float(np.sqrt((1 - chance) / (chance * len(nearest))))
    return Memorization(float((nearest >= len(train)).mean() / chance), error)


class Judge:
    """Features fitted once on the real training pictures, and what they say of generated ones."""

    def __init__(self, train: Samples) -> None:
        from sklearn.decomposition import PCA

        pictures = _flat(_some(train.inputs, 5 * COMPARED, "judge"))
        components = min(COMPONENTS, *pictures.shape)
        # Of some thousand components few are wanted: finding those alone takes a thirtieth of finding all.
        solver = "arpack" if components < min(pictures.shape) else "full"
        self._pca = PCA(components, svd_solver=solver, random_state=0).fit(pictures)
        self._train = self._all_features(train.inputs)

    def _features(self, pictures: np.ndarray) -> Features:
        """Of pictures drawn from all: a data set may have them in the order of their classes."""
        features: Features = self._pca.transform(_flat(_some(pictures, COMPARED, "compared")))
        return features

    def _all_features(self, pictures: np.ndarray) -> Features:
        """Of every picture; in parts, for in float64 they take eight times their memory."""
        parts = (pictures[start : start + COMPARED] for start in range(0, len(pictures), COMPARED))
        return np.concatenate([self._pca.transform(_flat(part)) for part in parts])

    def distance(self, real: np.ndarray, fakes: np.ndarray) -> Scores:
        """The Fréchet distance of generated from real pictures, both ``(n, height, width, channels)``.

        None where a picture is not finite: the training has diverged.
        """
        if not np.isfinite(fakes).all():
            return {"frechet_distance": None}
        return {"frechet_distance": frechet_distance(self._features(real), self._features(fakes))}

    def baselines(self, held_out: np.ndarray, untrained: np.ndarray) -> Scores:
        """The same distance of what is no generator's merit: real pictures, noise, and before training."""
        real = self._features(held_out)
        noise = draws.uniform(held_out[:COMPARED].shape, "noise")
        others = {
            "of_training_pictures": _some(self._train, COMPARED, "compared"),
            "of_noise": self._features(noise),
            "of_untrained": self._features(untrained),
        }
        return {
            f"frechet_distance_{name}": frechet_distance(real, features) for name, features in others.items()
        }

    def verdict(self, held_out: np.ndarray, fakes: np.ndarray) -> Scores:
        """Distance, precision, recall and memorisation of generated against held-out pictures."""
        real, generated = self._features(held_out), self._features(fakes)
        memorized = memorization(generated, self._train, self._all_features(held_out))
        return {
            "frechet_distance": frechet_distance(real, generated),
            "precision": coverage(generated, real),
            "recall": coverage(real, generated),
            "memorization_ratio": memorized.ratio,
            "memorization_ratio_error": memorized.error,
        }


def _some(pictures: np.ndarray, count: int, purpose: str) -> np.ndarray:
    """As many of them, or all where they are fewer; the same at every call."""
    if len(pictures) <= count:
        return pictures
    return pictures[np.sort(draws.permutation(len(pictures), purpose)[:count])]


def _flat(pictures: np.ndarray) -> Features:
    return pictures.reshape(len(pictures), -1).astype(np.float64)


def sample_grid(fakes: np.ndarray) -> bytes | None:
    """The first 64 pictures ``(n, height, width, channels)`` in [0, 1] as one PNG, eight a row, each doubled.

    A grey line parts them. One channel is shown grey, three as red, green and blue; None for others.
    """
    if fakes.ndim != 4 or fakes.shape[-1] not in _SHOWN_CHANNELS:  # noqa: PLR2004  axes of pictures
        return None
    from PIL import Image

    shown = np.pad(fakes[: _GRID**2], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
    count, height, width, channels = shown.shape
    rows = -(-count // _GRID)
    canvas = np.zeros((rows * _GRID, height, width, channels))
    canvas[:count] = np.clip(shown, 0.0, 1.0)
    table = canvas.reshape(rows, _GRID, height, width, channels).swapaxes(1, 2)
    pixels = np.round(255 * table.reshape(rows * height, _GRID * width, channels)).astype(np.uint8)
    if channels == 1:
        pixels = pixels.repeat(3, axis=2)
    file = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((2, 2, 1), np.uint8))).save(file, "PNG")
    return file.getvalue()
