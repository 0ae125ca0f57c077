"""Findings as pandas frames and charts, for notebooks: numbers with their intervals, not text."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import Findings
from harness.report.words import headlines
from harness.stats.estimate import Estimate

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Report:
    """What :func:`harness.compare` gives; a notebook shows its sentences, its frames and its charts.

    Columns that hold an estimate come in threes, ``test_score``, ``test_score_low`` and
    ``test_score_high``, the ends being those of the 95 % interval. Times are in seconds.
    """

    findings: Findings

    @property
    def headlines(self) -> list[str]:
        """The sentences that lead the report."""
        return [sentence for answers in headlines(self.findings).values() for sentence in answers]

    @cached_property
    def sides(self) -> pd.DataFrame:
        """A row a side of each setting."""
        return pd.DataFrame(
            [
                {"setting": found.comparison.section.title, **_side(side)}
                for found in self.findings.sections
                for side in found.comparison.sides
            ]
        )

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """A row for the fastest side of a setting against each other one."""
        return pd.DataFrame(
            [
                {
                    "setting": found.comparison.section.title,
                    "fast": pair.fast.side.name,
                    "slow": pair.slow.side.name,
                    **_three("speed_ratio", pair.speed),
                    "quality": pair.quality.verdict,
                    **_three("difference", pair.quality.difference),
                    "margin": pair.quality.margin,
                    "p": pair.quality.p,
                    "seeds_needed": pair.quality.seeds_needed,
                }
                for found in self.findings.sections
                for pair in found.comparison.pairs
            ]
        )

    @cached_property
    def overfitting(self) -> pd.DataFrame:
        """A row a side of each setting; see :class:`harness.analysis.overfit.Overfitting`."""
        return pd.DataFrame(
            [
                {
                    "setting": one.section.title,
                    "side": one.side.name,
                    "onset_epoch": one.onset.epoch,
                    "best_epoch": one.best_epoch,
                    **_three("gap", one.gap),
                    **_three("generalization_loss", one.generalization_loss),
                    "progress_quotient": one.progress_quotient,
                    **_three("validation_lost", one.lost),
                    **_three("test_gained", one.gained),
                    **_three("memorization_ratio", one.memorization_ratio),
                }
                for found in self.findings.sections
                for one in found.overfittings
            ]
        )

    @cached_property
    def charts(self) -> "dict[str, alt.LayerChart]":
        """Altair charts by name; needs the extra ``report``."""
        from harness.report.figures import all_figures

        return {name: figure.chart for name, figure in all_figures(self.findings).items()}

    def _repr_html_(self) -> str:
        told = "".join(f"<li>{escape(sentence.replace('`', ''))}</li>" for sentence in self.headlines)
        return f"<ul>{told}</ul>"


def _three(name: str, value: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if value is None else (value.value, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _side(side: ConfigurationSummary) -> dict[str, object]:
    return {
        "side": side.side.name,
        "seeds": len(side.side.runs),
        **_three("test_score", side.quality),
        **_three("step_seconds", side.step_seconds),
        **_three("training_seconds", side.training_seconds),
        "samples_per_second": side.samples_per_second,
        "flops_per_second": side.flops_per_second,
        "peak_memory_bytes": side.peak_memory_bytes,
        "on_front": side.on_front,
    }
