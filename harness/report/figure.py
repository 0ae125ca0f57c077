"""A chart, a picture or texts of a report with title and caption."""

import base64
from typing import NamedTuple

import altair as alt

from harness.report.curve_charts import FEWEST_BAND_SEEDS


class Figure(NamedTuple):
    """A chart; ``name`` serves for files and ids, ``caption`` says how to read it."""

    name: str
    caption: str
    chart: alt.LayerChart
    title: str = ""


class Picture(NamedTuple):
    """A picture as PNG, with the same fields."""

    name: str
    caption: str
    png: bytes
    title: str = ""

    @property
    def url(self) -> str:
        """The picture as part of a page."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


class Passage(NamedTuple):
    """Texts that a network wrote, with the same fields."""

    name: str
    caption: str
    texts: list[str]
    title: str = ""


def reading(seeds: int) -> str:
    """How curves over this many seeds are read."""
    if seeds == 1:
        return "One seed."
    if seeds < FEWEST_BAND_SEEDS:
        return "Thick lines: mean; thin lines: single seeds."
    return "Thick lines: mean; thin lines: up to five seeds; bands: 95 % interval of the mean."
