"""Findings as pandas frames, for notebooks: numbers with their intervals, not text."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from harness.core.documents.document import Figure, Figures, Items
from harness.core.machine.quantities import by_name
from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure
from harness.learning.runs.charts import colours_of, group_figures
from harness.learning.runs.comparison import PairComparison
from harness.learning.runs.configuration_summary import ConfigurationSummary
from harness.learning.runs.findings import Findings
from harness.learning.runs.folder import all_figures, all_pictures
from harness.learning.runs.overfit import Overfitting, gap_measure
from harness.learning.runs.page import key_sentences, overfitting_sentences
from harness.learning.runs.tables import group_table

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Report:
    """The result of :func:`harness.compare`; a notebook displays its answer.

    Columns of an estimate come in threes, ``test_score``, ``test_score_low`` and ``test_score_high``, the
    last two being the ends of the 95 % interval. Times are in seconds, memory in bytes. Accuracies and their
    differences are fractions from 0 to 1, as in :func:`harness.load_results`.
    """

    findings: Findings

    @property
    def headlines(self) -> list[str]:
        """The key sentences of every group and further section."""
        return key_sentences(self.findings)

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """A row for each configuration of each group; along axes with a column for each of them.

        ``test_score`` and ``validation_score`` are those after the last epoch.
        """
        return pd.DataFrame(
            [
                {
                    "conditions": group.comparison.group.title,
                    **_configuration(summary, group.comparison.measure),
                    **dict(zip(group.comparison.group.axes, summary.configuration.values, strict=True)),
                }
                for group in self.findings.groups
                for summary in group.comparison.summaries
            ]
        )

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """A row for each configuration of a group that is compared with the reference.

        The reference is the fastest configuration, or the setting that is best by validation.

        ``step_ratio`` is the step time of the configuration divided by that of the reference,
        ``difference`` its test score less that of the reference, with the wider of the intervals over seeds
        and for the population, ``margin`` the largest one that counts as equal.
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
        """A row for each configuration of each group.

        ``gap`` is the training score less the validation score after the last epoch, of losses the reverse;
        ``validation_lost`` and ``test_gained`` are the gains of early stopping in the validation and
        in the test score. ``generalization_loss`` is the share by which the last validation loss is
        above its lowest. ``onset_epoch`` is 0 without overfitting.
        """
        return pd.DataFrame(
            [_overfitting(overfit) for group in self.findings.groups for overfit in group.overfittings]
        )

    @cached_property
    def charts(self) -> "dict[str, alt.TopLevelMixin]":
        """Altair charts by name, which display without a network; needs the extra ``report``."""
        from harness.core.documents.render.notebook import live_chart

        return {name: live_chart(figure) for name, figure in all_figures(self.findings).items()}

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """Pictures by name, such as samples of generators, as PNG."""
        return {name: picture.png for name, picture in all_pictures(self.findings).items()}

    def _repr_html_(self) -> str:
        """Render the answers, the tables, losses and scores of the first comparison, then overfitting."""
        from harness.core.documents.render.html import html_fragment

        groups = self.findings.groups
        tables = []
        for group in groups:
            table, title = group_table(group), group.comparison.group.title
            tables.append(table._replace(title=f"{title}. {table.title}") if len(groups) > 1 else table)
        answers = Items(key_sentences(self.findings, overfitting=False))
        overfits = Items(overfitting_sentences(self.findings), "Overfitting")
        return html_fragment([answers, *tables, Figures(self._first_curves), overfits])

    def _first_curves(self) -> list[Figure]:
        """Draw losses and scores of the first comparison."""
        colours = colours_of(self.findings)
        figures = [group_figures(group, "comparison-1", colours) for group in self.findings.groups[:1]]
        return [each for first in figures for each in first if each.name.endswith(("-loss", "-curves"))]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": "\n".join(self.headlines)}


def _three(name: str, value: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if value is None else (value.value, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _score(name: str, value: Estimate | None, measure: Measure) -> dict[str, float | None]:
    """Return a score or a difference of scores as records hold it: a fraction instead of points."""
    return _three(name, value and value.scaled(1 / measure.factor))


def _configuration(summary: ConfigurationSummary, measure: Measure) -> dict[str, object]:
    target = summary.to_target
    return {
        "configuration": summary.name,
        "seeds": len(summary.configuration.runs),
        **_score("test_score", summary.quality, measure),
        **_score("validation_score", summary.validation, measure),
        "disturbed": summary.disturbed,
        **_three("step_seconds", summary.step_seconds),
        **_three("training_seconds", summary.training_seconds),
        "samples_per_second": summary.samples_per_second,
        **by_name(summary.measured),
        **_three("seconds_to_target", target and target.seconds),
        **_three("epochs_to_target", target and target.epochs),
    }


def _pair(pair: PairComparison) -> dict[str, object]:
    return {
        "configuration": pair.other.name,
        "reference": pair.reference.name,
        "speed": pair.speed_verdict,
        **_three("step_ratio", pair.ratio),
        "quality": pair.quality_verdict,
        **_score("difference", pair.quality.difference, pair.measure),
        **_score("difference_over_seeds", pair.quality.over_seeds, pair.measure),
        **_score("difference_for_population", pair.quality.population, pair.measure),
        "margin": pair.quality.margin / pair.measure.factor,
        "p": pair.quality.p,
        "seeds_needed": pair.quality.seeds_needed,
    }


def _overfitting(overfit: Overfitting) -> dict[str, object]:
    risen = overfit.generalization_loss
    return {
        "conditions": overfit.group.title,
        "configuration": overfit.configuration.name,
        "onset_epoch": overfit.onset.epoch,
        "best_epoch": overfit.best_epoch,
        **_score("gap", overfit.gap, gap_measure(overfit.configuration, overfit.measure)),
        **_three("generalization_loss", risen and risen.scaled(1 / 100)),
        **_score("validation_lost", overfit.lost, overfit.measure),
        **_score("test_gained", overfit.gained, overfit.measure),
        **_three("memorization_ratio", overfit.memorization_ratio),
    }
