"""Tables and text that fit the terminal: words, numbers and intervals stay whole."""

import pytest

from harness.report.render.terminal import filled, fitted_table

ROW = ["torch:eager", "+66.7 % [−86.9, > 999]", "a sentence of several words", "56.0 [37.5, 74.4]"]
HEADERS = ["configuration", "relative step time", "remark", "test accuracy (%)"]


@pytest.mark.parametrize("width", [120, 80, 66])
def test_a_table_fits_and_keeps_intervals_whole(width):
    lines = fitted_table([ROW], width, HEADERS).splitlines()
    assert max(map(len, lines)) <= width
    for interval in ("[−86.9, > 999]", "[37.5, 74.4]", "torch:eager"):
        assert any(interval in line for line in lines)


@pytest.mark.parametrize("width", [50, 30, 1])
def test_a_table_that_cannot_fit_is_wider_and_breaks_nothing(width):
    numbers = "1,234,567.25 keras-tensorflow:jit"
    lines = fitted_table([[*ROW, numbers]], width, [*HEADERS, "more"]).splitlines()
    for whole in ("torch:eager", "[−86.9, > 999]", "[37.5, 74.4]", "configuration", *numbers.split()):
        assert any(whole in line for line in lines)


@pytest.mark.parametrize(("width", "whole"), [(62, True), (61, False), (30, False)])
def test_a_path_is_broken_only_where_the_table_would_be_too_wide(width, whole):
    path = "a/path/that/is/as/long/as/the/terminal/is"
    lines = fitted_table([["where", path, "[1.25, 1.75]"]], width, ["", "file", "ratio"]).splitlines()
    assert any(path in line for line in lines) is whole
    assert any("[1.25, 1.75]" in line for line in lines)


def test_lines_of_a_cell_stay_lines():
    assert "keras 3.15" in fitted_table([["framework", "keras 3.15\ntensorflow 2.21"]], 60).splitlines()[1]


def test_text_is_not_broken_within_an_interval_or_before_a_unit():
    text = "The accuracy is −0.4 [−4.8, 4.1] points and drifts by up to 54 % in 12 runs."
    for width in range(30, 80):
        joined = filled(text, width)
        assert all(whole in joined for whole in ("[−4.8, 4.1]", "54 %", "12 runs"))
        assert max(map(len, joined.splitlines())) <= width
