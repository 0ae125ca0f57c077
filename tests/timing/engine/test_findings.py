"""What pairs show about one configuration: the interval of its median step."""

import math

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.timing.engine.findings import median_interval


def test_the_interval_of_a_median_covers_it_at_its_level():
    chance = np.random.default_rng(8)
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == Estimate(3.0, None, None, 5)
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == Estimate(3.5, 1.0, 6.0, 6)
    covered = 0
    for _ in range(1000):
        covered += median_interval(chance.exponential(1.0, 15)).around(math.log(2))
    assert 945 <= covered <= 990  # 96.5 % by the binomial distribution
