"""Tables and text that fit the terminal: intervals stay whole, and words are broken last."""

import pytest

from harness.report.fitting import filled, fitted_table

ROW = ["torch:eager", "+66.7 % [−86.9, > 999]", "a sentence of several words", "56.0 [37.5, 74.4]"]
HEADERS = ["configuration", "relative step time", "remark", "test accuracy (%)"]


@pytest.mark.parametrize("width", [120, 80, 66])
def test_a_table_fits_and_keeps_intervals_whole(width):
    lines = fitted_table([ROW], width, HEADERS).splitlines()
    assert max(map(len, lines)) <= width
    for interval in ("[−86.9, > 999]", "[37.5, 74.4]", "torch:eager"):
        assert any(interval in line for line in lines)


def test_a_table_that_cannot_fit_otherwise_breaks_words():
    lines = fitted_table([ROW], 40, HEADERS).splitlines()
    assert max(map(len, lines)) <= 40
    assert not any("torch:eager" in line for line in lines)


def test_lines_of_a_cell_stay_lines():
    assert "keras 3.15" in fitted_table([["framework", "keras 3.15\ntensorflow 2.21"]], 60).splitlines()[1]


def test_text_is_not_broken_within_an_interval_or_before_a_unit():
    text = "The accuracy is −0.4 [−4.8, 4.1] points and drifts by up to 54 % in 12 runs."
    for width in range(30, 80):
        joined = filled(text, width)
        assert all(whole in joined for whole in ("[−4.8, 4.1]", "54 %", "12 runs"))
        assert max(map(len, joined.splitlines())) <= width
