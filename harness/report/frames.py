"""Findings as pandas frames and charts, for notebooks: numbers with their intervals, not text."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis.comparison import PairComparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.findings import Findings, GroupFindings
from harness.analysis.overfit import Overfitting
from harness.machine.quantities import by_name
from harness.report.key_sentences import key_sentences
from harness.report.words import variation_sentence
from harness.stats.estimate import Estimate

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Report:
    """The result of :func:`harness.compare`; a notebook displays its answer.

    Columns of an estimate come in threes, ``test_score``, ``test_score_low`` and ``test_score_high``, the
    last two being the ends of the 95 % interval. Times are in seconds.
    """

    findings: Findings

    @property
    def headlines(self) -> list[str]:
        """The key sentences of every group and study."""
        return [
            *map(variation_sentence, self.findings.variations),
            *(sentence for sentences in key_sentences(self.findings).values() for sentence in sentences),
        ]

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """A row for each configuration of each group; along axes with a column for each of them."""
        return pd.DataFrame(
            [
                {
                    "conditions": group.comparison.group.title,
                    **_configuration(summary),
                    **_axes(group, summary),
                }
                for group in self.findings.groups
                for summary in group.comparison.summaries
            ]
        )

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """A row for each configuration of a group compared with the reference.

        That is the fastest, or of settings the best by validation.

        ``step_ratio`` is the step time of the configuration divided by that of the reference,
        ``difference`` its test score less that of the reference.
        """
        return pd.DataFrame(
            [
                {"conditions": group.comparison.group.title, **_pair(pair)}
                for group in self.findings.groups
                for pair in group.comparison.pairs
            ]
        )

    @cached_property
    def overfitting(self) -> pd.DataFrame:
        """A row for each configuration of each group; see :class:`harness.analysis.overfit.Overfitting`."""
        return pd.DataFrame(
            [_overfitting(overfit) for group in self.findings.groups for overfit in group.overfittings]
        )

    @cached_property
    def charts(self) -> "dict[str, alt.LayerChart]":
        """Altair charts by name; needs the extra ``report``."""
        from harness.report.figures import all_figures

        return {name: figure.chart for name, figure in all_figures(self.findings).items()}

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """Pictures by name, such as samples of generators, as PNG."""
        from harness.report.figures import all_pictures

        return {name: picture.png for name, picture in all_pictures(self.findings).items()}

    def _repr_html_(self) -> str:
        """The key sentences, the table, and losses and scores of the first comparison."""
        from harness.report.notebook import report_html

        return report_html(self.findings, self.headlines)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": "\n".join(self.headlines)}


def _three(name: str, value: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if value is None else (value.value, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _configuration(summary: ConfigurationSummary) -> dict[str, object]:
    return {
        "configuration": summary.name,
        "seeds": len(summary.configuration.runs),
        **_three("test_score", summary.quality),
        "disturbed": summary.disturbed,
        **_three("step_seconds", summary.step_seconds),
        **_three("training_seconds", summary.training_seconds),
        "samples_per_second": summary.samples_per_second,
        "flops_per_second": summary.flops_per_second,
        **by_name(summary.measured),
        "on_front": summary.on_front,
        **_to_target(summary),
    }


def _to_target(summary: ConfigurationSummary) -> dict[str, float | None]:
    target = summary.to_target
    seconds, epochs = (target.seconds, target.epochs) if target else (None, None)
    return {**_three("seconds_to_target", seconds), **_three("epochs_to_target", epochs)}


def _axes(group: GroupFindings, summary: ConfigurationSummary) -> dict[str, object]:
    return dict(zip(group.comparison.group.axes, summary.configuration.values, strict=True))


def _pair(pair: PairComparison) -> dict[str, object]:
    return {
        "configuration": pair.other.name,
        "reference": pair.reference.name,
        "speed": pair.speed_verdict,
        **_three("step_ratio", pair.ratio),
        "quality": pair.quality_verdict,
        **_three("difference", pair.quality.difference),
        "margin": pair.quality.margin,
        "p": pair.quality.p,
        "seeds_needed": pair.quality.seeds_needed,
    }


def _overfitting(overfit: Overfitting) -> dict[str, object]:
    return {
        "conditions": overfit.group.title,
        "configuration": overfit.configuration.name,
        "onset_epoch": overfit.onset.epoch,
        "best_epoch": overfit.best_epoch,
        **_three("gap", overfit.gap),
        **_three("generalization_loss", overfit.generalization_loss),
        "progress_quotient": overfit.progress_quotient,
        **_three("validation_lost", overfit.lost),
        **_three("test_gained", overfit.gained),
        **_three("memorization_ratio", overfit.memorization_ratio),
    }
