"""The error that the choice of samples adds to a mean over seeds that share these samples."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Sampling(NamedTuple):
    """The mean squares of a table of seeds and samples, each divided by the number of its values.

    ``samples`` is the mean square between samples, ``rest`` that of what neither the seed nor the sample
    explains; ``sample_degrees`` and ``rest_degrees`` are their degrees of freedom.
    """

    samples: float
    rest: float
    sample_degrees: int
    rest_degrees: int

    @property
    def variance(self) -> float:
        """The variance of the mean that is due to the samples alone: more seeds do not reduce it."""
        return max(0.0, self.samples - self.rest)

    def added_to(self, variance: float, degrees: int) -> tuple[float, float]:
        """Return the standard error of the mean and its degrees of freedom, given its variance over seeds.

        The degrees are those of Satterthwaite (1946) for a sum of mean squares, and never fewer than those of
        the seeds: if a mean square is subtracted, his formula falls below every part where the sum is near
        zero (Gaylor and Hopper 1969).
        """
        total = variance + self.variance
        if not self.variance:
            return total**0.5, float(degrees)
        terms = (
            variance**2 / degrees,
            self.samples**2 / self.sample_degrees,
            self.rest**2 / self.rest_degrees,
        )
        return total**0.5, max(float(degrees), total**2 / sum(terms))


def sampling(values: npt.NDArray[np.float64], units: int | None = None) -> Sampling | None:
    """Estimate the samples' share in the error of the mean of finite values ``(seeds, samples)``.

    Seeds and samples are crossed random effects, drawn independently from their populations: a two-way
    analysis of variance without replication, whose mean squares give the variance of the grand mean without a
    bias (Searle, Casella and McCulloch 1992, section 4.3; as readers and cases, Gallas 2006). Where
    neighbours are alike, as in a text, ``units`` is the number of blocks of consecutive samples that take the
    place of samples. None for fewer than two seeds or two units.
    """
    if units is not None and 0 < units < values.shape[1]:
        edges = np.linspace(0, values.shape[1], units, endpoint=False).round().astype(int)
        values = np.add.reduceat(values, edges, axis=1) * (units / values.shape[1])
    seeds, samples = values.shape
    if seeds < 2 or samples < 2:  # noqa: PLR2004  (no degrees of freedom)
        return None
    by_sample = values.mean(axis=0)
    rest = values - values.mean(axis=1, keepdims=True) - by_sample + values.mean()
    of_samples, of_rest = samples - 1, (seeds - 1) * (samples - 1)
    return Sampling(
        float(by_sample.var(ddof=1)) / samples,
        float(np.sum(rest**2)) / of_rest / (seeds * samples),
        of_samples,
        of_rest,
    )
