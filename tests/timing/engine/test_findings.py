"""What pairs show about one configuration: the interval of its median step, and break-even."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from harness.core.stats.estimate import Estimate
from harness.timing.engine.findings import break_even_samples, median_interval


def findings(start_up, samples_per_second):
    return SimpleNamespace(start_up_seconds=start_up, samples_per_second=samples_per_second)


def test_the_interval_of_a_median_covers_it_at_its_level():
    chance = np.random.default_rng(8)
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == Estimate(3.0, None, None, 5)
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == Estimate(3.5, 1.0, 6.0, 6)
    covered = 0
    for _ in range(1000):
        covered += median_interval(chance.exponential(1.0, 15)).around(math.log(2))
    assert 945 <= covered <= 990  # 96.5 % by the binomial distribution


def test_break_even_follows_the_ratio_that_the_verdict_rests_on():
    """The medians of each configuration, shown beside it, may differ by chance."""
    eager, compiled = findings(1.0, 100.0), findings(11.0, 99.0)
    assert break_even_samples(eager, compiled, 0.9) == pytest.approx(10.0 / (0.1 / 100.0))
    assert break_even_samples(eager, compiled, 1.1) is None
    assert break_even_samples(compiled, eager, 1.1) == pytest.approx(10.0 / (0.1 / 99.0))
