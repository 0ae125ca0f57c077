"""A chart of a report with its title and caption."""

from typing import NamedTuple

import altair as alt

from harness.report.curve_layers import FEWEST_BAND_SEEDS


class Figure(NamedTuple):
    """A chart; ``name`` serves for files and ids, ``caption`` says how to read it."""

    name: str
    caption: str
    chart: alt.LayerChart
    title: str = ""


def reading(seeds: int) -> str:
    """How curves over this many seeds are read."""
    if seeds == 1:
        return "One seed."
    if seeds < FEWEST_BAND_SEEDS:
        return "Thick lines: mean; thin lines: single seeds."
    return "Thick lines: mean; thin lines: up to five seeds; bands: 95 % interval of the mean."
