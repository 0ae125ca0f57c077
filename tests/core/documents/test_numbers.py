"""Numbers in reports: rounded to their precision, and ratios of times in their one form."""

import pytest

from harness.core.documents.numbers import estimate, percent_change, significant, time_ratio
from harness.core.stats.estimate import Estimate


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
        # Around 0 the digits are those of the interval, because the mean is chance.
        (Estimate(1.4e-5, -0.31, 0.31, 3), "0.000 [−0.310, 0.310]"),
        (Estimate(1.4e-9, -6.2e-8, 3.4e-8, 3), "1.4e-09 [−6.2e-08, 3.4e-08]"),
        (Estimate(0.0, 0.0, 0.0, 3), "0.0 [0.0, 0.0]"),
        (Estimate(2.5, None, None, 1), "2.50"),
    ],
)
def test_an_estimate_has_the_digits_of_its_mean_or_of_its_interval(value, text):
    assert estimate(value, None) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Estimate(1.071, 1.059, 1.083, 5), "+7.1 % [5.9, 8.3]"),
        (Estimate(0.704, 0.685, 0.724, 5), "−29.6 % [−31.5, −27.6]"),
        (Estimate(1.994, 1.9, 2.1, 5), "+99.4 % [90.0, 110]"),
        (Estimate(2.4, 2.3, 2.5, 5), "2.4× slower [2.3, 2.5]"),
        (Estimate(1 / 9.2, 1 / 9.6, 1 / 8.7, 5), "9.2× faster [8.7, 9.6]"),
        (Estimate(271.2, 250.0, 300.4, 5), "271× slower [250, 300]"),
        (Estimate(1.0, 0.99, 1.01, 5), "0.0 % [−1.0, 1.0]"),
        (Estimate(1.37, 0.001, 1.6e6, 2), "+37.0 % [−99.9, > 999]"),
        (Estimate(3.2, 0.1, 4e3, 2), "3.2× slower [0.1, > 999]"),
        (Estimate(1.12, None, None, 1), "+12.0 %"),
        (None, "–"),
    ],
)
def test_a_ratio_of_times_has_one_form(ratio, text):
    assert time_ratio(ratio) == text


def test_a_ratio_of_another_quantity_is_always_a_change():
    assert percent_change(Estimate(2.4, 2.3, 2.5, 5)) == "+140 % [130, 150]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Estimate(5.5, 3.7, 7.3, 5), "+5.5 [3.7, 7.3] points"),
        (Estimate(-0.4, -4.8, 4.1, 5), "−0.4 [−4.8, 4.1] points"),
        (Estimate(-0.01, -0.04, 0.02, 5), "0.0 [0.0, 0.0] points"),
    ],
)
def test_a_change_has_its_sign_once(value, text):
    assert estimate(value, 1, "points", sign=True) == text
