"""Numbers in reports: rounded to what they are worth."""

import pytest

from harness.report.numbers import estimate, significant
from harness.stats.estimate import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [(493_683.0, "494,000"), (1.0, "1"), (65.0, "65"), (0.00366, "0.00366"), (999.6, "1,000"), (None, "–")],
)
def test_three_digits_count(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Estimate(0.2031, 0.12, 0.3421, 5), "0.203 [0.120, 0.342]"),
        (Estimate(296.78, 284.1, 316.2, 2), "297 [284, 316]"),
        # Around 0 the interval says what the digits are worth, and not the mean, which is chance.
        (Estimate(1.4e-5, -0.31, 0.31, 3), "0.000 [-0.310, 0.310]"),
        (Estimate(1.4e-9, -6.2e-8, 3.4e-8, 3), "1.4e-09 [-6.2e-08, 3.4e-08]"),
        (Estimate(0.0, 0.0, 0.0, 3), "0.0 [0.0, 0.0]"),
        (Estimate(2.5, None, None, 1), "2.50"),
    ],
)
def test_an_estimate_has_the_digits_of_its_mean_or_of_its_interval(value, text):
    assert estimate(value, None) == text
