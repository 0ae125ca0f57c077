"""The quality of a generator's images, by features without any framework, and tests for copies."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.training import draws
from harness.core.training.measures import Scores
from harness.spec.data import Samples

#: The number of principal components of the real training images that serve as features.
COMPONENTS = 24
NEIGHBOURS = 3
#: The most images of each kind that are compared: the cost of nearest neighbours is their product.
COMPARED = 2000

Features = npt.NDArray[np.float64]


def judging_latents(count: int, latent_size: int, dtype: np.dtype) -> np.ndarray:
    """Draw latents ``(count, latent_size)`` by which every generator is judged, for any seed and backend."""
    return draws.normal((count, latent_size), "judging latents").astype(dtype)


def frechet_distance(first: Features, second: Features) -> float:
    """Return the Fréchet distance of normal samples ``(n, features)`` (Heusel et al. 2017, eq. 6).

    ``|mean difference|² + trace(A + B - 2 sqrt(A B))``. The trace of the root is the sum of the roots of the
    eigenvalues of ``A B``, which are real and not negative.
    """
    covariances = [np.cov(sample, rowvar=False) for sample in (first, second)]
    roots = np.sqrt(np.clip(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0.0, None))
    means = first.mean(axis=0) - second.mean(axis=0)
    return float(means @ means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * roots.sum())


def coverage(inside: Features, of: Features) -> float:
    """Return the share of ``inside`` that lies near a point of ``of`` (Kynkäänniemi et al. 2019, equation 1).

    A sample is near a point if it is at most as far from the point as the point's third nearest neighbour in
    ``of``. The coverage of generated images in real ones is the precision, that of real images in generated
    ones the recall.
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
    """``ratio`` is near 1 for samples that are no nearer to the training images, and 0 for copies only.

    ``error`` is its standard error from the random choice of the held-out images.
    """

    ratio: float
    error: float


def memorization(fakes: Features, train: Features, held_out: Features) -> Memorization:
    """Return the share of held-out images among the samples' nearest real images, relative to chance.

    A generator that has learned the distribution is equally near to training and held-out images: chance is
    the share of held-out images among all real ones. An image counts once, however many samples are near it:
    all samples of a weak generator are near a few images.
    """
    from sklearn.metrics import pairwise_distances_argmin

    nearest = np.unique(pairwise_distances_argmin(fakes, np.concatenate([train, held_out])))
    chance = len(held_out) / (len(train) + len(held_out))
    error = float(np.sqrt((1 - chance) / (chance * len(nearest))))
    return Memorization(float((nearest >= len(train)).mean() / chance), error)


class Nearest(NamedTuple):
    """The places and the distances of the nearest of other samples, ``(n,)`` each."""

    places: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]


def nearest(of: Features, among: Features) -> Nearest:
    """Find the nearest of ``among`` for each sample of ``of``; a distance that is mere rounding is 0."""
    from sklearn.metrics import pairwise_distances_argmin

    places = pairwise_distances_argmin(of, among)
    distances = np.linalg.norm(of - among[places], axis=1)  # exactly, unlike those by which it was found
    distances[distances < 1e-9 * np.abs(among).max()] = 0.0
    return Nearest(places, distances)


class Neighbours(NamedTuple):
    """The nearest images in the features: of generated ones in two sets, and of held-out ones."""

    generated_to_train: Nearest
    generated_to_held_out: Nearest
    held_out_to_train: Nearest


class Judge:
    """Scores generated images by features that are fitted once on the real training images."""

    def __init__(self, train: Samples) -> None:
        from sklearn.decomposition import PCA

        images = _flat(chosen(train.inputs, 5 * COMPARED, "judge"))
        components = min(COMPONENTS, *images.shape)
        # Few of thousands of components are needed: computing only those takes a thirtieth of the time.
        solver = "arpack" if components < min(images.shape) else "full"
        self._pca = PCA(components, svd_solver=solver, random_state=0).fit(images)
        self._train = self._all_features(train.inputs)

    def _features(self, images: np.ndarray) -> Features:
        """Compute features of a random choice of images: a data set may be sorted by class."""
        features: Features = self._pca.transform(_flat(chosen(images, COMPARED, "compared")))
        return features

    def _all_features(self, images: np.ndarray) -> Features:
        """Compute features of every image; in parts, because float64 takes eight times the memory."""
        parts = (images[start : start + COMPARED] for start in range(0, len(images), COMPARED))
        return np.concatenate([self._pca.transform(_flat(part)) for part in parts])

    def distance(self, real: np.ndarray, fakes: np.ndarray) -> Scores:
        """Return the Fréchet distance of generated and real images, both ``(n, height, width, channels)``.

        None if an image is not finite: the training has diverged.
        """
        if not np.isfinite(fakes).all():
            return {"frechet_distance": None}
        return {"frechet_distance": frechet_distance(self._features(real), self._features(fakes))}

    def baselines(self, held_out: np.ndarray, untrained: np.ndarray) -> Scores:
        """Return Fréchet distances from held-out images to training images, noise, an untrained generator."""
        of_noise, of_training_images = self.references(held_out)
        return {
            "frechet_distance_of_training_pictures": of_training_images,
            "frechet_distance_of_noise": of_noise,
            "frechet_distance_of_untrained": frechet_distance(
                self._features(held_out), self._features(untrained)
            ),
        }

    def references(self, real: np.ndarray) -> tuple[float, float]:
        """Return the Fréchet distances of noise and of training images to these real images."""
        features, noise = self._features(real), draws.uniform(real[:COMPARED].shape, "noise")
        others = self._features(noise), chosen(self._train, COMPARED, "compared")
        first, second = (frechet_distance(features, other) for other in others)
        return first, second

    def neighbours(self, held_out: np.ndarray, fakes: np.ndarray) -> Neighbours:
        """Find the nearest real images of generated ones, all finite, and of up to 2,000 held-out images."""
        generated = self._features(fakes)
        return Neighbours(
            nearest(generated, self._train),
            nearest(generated, self._all_features(held_out)),
            nearest(self._features(held_out), self._train),
        )

    def verdict(self, held_out: np.ndarray, fakes: np.ndarray) -> Scores:
        """Score the distance, precision, recall and memorisation of generated images by held-out images."""
        real, generated = self._features(held_out), self._features(fakes)
        memorized = memorization(generated, self._train, self._all_features(held_out))
        return {
            "frechet_distance": frechet_distance(real, generated),
            "precision": coverage(generated, real),
            "recall": coverage(real, generated),
            "memorization_ratio": memorized.ratio,
            "memorization_ratio_error": memorized.error,
        }


def chosen(images: np.ndarray, count: int, purpose: str = "compared") -> np.ndarray:
    """Choose at most ``count`` of the images, the same at every call."""
    if len(images) <= count:
        return images
    return images[np.sort(draws.permutation(len(images), purpose)[:count])]


def _flat(images: np.ndarray) -> Features:
    return images.reshape(len(images), -1).astype(np.float64)
