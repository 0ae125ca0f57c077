"""Findings and runs as pandas frames, in notebooks and files: numbers with their intervals, not text."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.documents.document import (
    Figure,
    Figures,
    Items,
)
from harness.core.documents.escaping import visible
from harness.core.documents.files import write_bytes, write_text
from harness.core.machine.quantities import by_name
from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure
from harness.learning.runs.charts import (
    all_figures,
    all_pictures,
    colours_of,
    group_figures,
)
from harness.learning.runs.comparison import PairComparison
from harness.learning.runs.configuration_summary import ConfigurationSummary
from harness.learning.runs.findings import Findings
from harness.learning.runs.overfit import Overfitting, gap_measure
from harness.learning.runs.page import (
    findings_document,
    key_sentences,
    overfitting_sentences,
)
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
        """The key sentences of every group and study."""
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
        """A row for each configuration of a group compared with the reference.

        That is the fastest, or of settings the best by validation.

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
        ``validation_lost`` and ``test_gained`` are what early stopping would save of the validation score
        and add to the test score. ``generalization_loss`` is the share by which the last validation loss is
        above its lowest, ``progress_quotient`` Prechelt's PQ (1998). ``onset_epoch`` is 0 without
        overfitting.
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
        """The answers, the tables, losses and scores of the first comparison, then overfitting."""
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
        """Losses and scores of the first comparison."""
        colours = colours_of(self.findings)
        figures = [group_figures(group, "comparison-1", colours) for group in self.findings.groups[:1]]
        return [each for first in figures for each in first if each.name.endswith(("-loss", "-curves"))]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": "\n".join(self.headlines)}


def _three(name: str, value: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if value is None else (value.value, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _score(name: str, value: Estimate | None, measure: Measure) -> dict[str, float | None]:
    """A score or a difference of scores as the records hold it: a fraction instead of points."""
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
        "flops_per_second": summary.flops_per_second,
        **by_name(summary.measured),
        "on_front": summary.on_front,
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
        "progress_quotient": overfit.progress_quotient,
        **_score("validation_lost", overfit.lost, overfit.measure),
        **_score("test_gained", overfit.gained, overfit.measure),
        **_three("memorization_ratio", overfit.memorization_ratio),
    }


def write_notebook(
    findings: Findings, path: Path, selection: Sequence[str], arguments: Mapping[str, Any]
) -> None:
    """Write a notebook whose first code cell reads the same selection again with these keyword arguments.

    Paths are those from the folder of the notebook, in which Jupyter runs it. A ``margin`` and a ``target``
    in points become fractions. Where tasks are measured in several units, those of the first comparison are
    taken.

    Raises:
        ImportError: the extra "report" is not installed.
        OSError: it cannot be written.
    """
    from harness.core.documents.render.notebook import Code, notebook

    factor = findings.groups[0].comparison.measure.factor if findings.groups else 1.0
    limits = {name: arguments[name] for name in ("margin", "target") if arguments.get(name) is not None}
    fractions = {name: float(f"{value / factor:.12g}") for name, value in limits.items()}
    places = {"results": _from_notebook(str(arguments["results"]), path)} if "results" in arguments else {}
    keywords = {**arguments, **places, **fractions}
    given = [f"{name}={value!r}" for name, value in keywords.items() if value is not None]
    named = [_from_notebook(name, path) if Path(name).exists() else name for name in selection]
    call = ", ".join([*map(repr, named), *given])
    report = Report(findings)
    codes = [
        Code(f"import harness\n\nreport = harness.compare({call})"),
        Code("report.configurations", report.configurations),
        Code("report.overfitting", report.overfitting),
    ]
    write_text(path, notebook(findings_document(findings), codes))


def _from_notebook(name: str, notebook: Path) -> str:
    """The path from the notebook's folder; as it is where it is absolute, or on another drive."""
    if Path(name).is_absolute():
        return name
    return os.path.relpath(Path(name).resolve(), notebook.resolve().parent)


# Runs as a table in a file, one row each: CSV and Parquet.

#: By these a spreadsheet takes a text for a formula (OWASP, CSV Injection), which may run a program.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Parquet's integers have 64 bits.
_INTEGER_END = 2**63


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the suffix, ``.csv`` or ``.parquet``.

    Raises:
        ImportError: no library for Parquet is installed.
        OSError: it cannot be written.
    """
    if path.suffix == ".csv":
        write_text(path, _without_formulas(frame).to_csv(index=False))
        return
    content = io.BytesIO()
    _one_type_a_column(frame).to_parquet(content, index=False)
    write_bytes(path, content.getvalue())


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """An apostrophe before each text, names of columns included, that would be a formula."""
    return frame.map(_as_text).rename(columns=_as_text)


def _as_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value.replace("\r", " "))  # pandas does not quote it, and it ends a row
    return f"'{text}" if value.startswith(_FORMULA_STARTS) else text


def _one_type_a_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed types as text, such as an option whose type differs between tasks."""
    mixed = [str(name) for name in frame if frame[name].dtype == object and _is_mixed(frame[name])]
    return frame.assign(**{name: frame[name].map(_option_text, na_action="ignore") for name in mixed})


def _is_mixed(column: "pd.Series[Any]") -> bool:
    values = column.dropna()
    types = set(map(type, values))
    too_large = int in types and any(abs(value) >= _INTEGER_END for value in values if type(value) is int)
    return too_large or (len(types) > 1 and not types <= {int, float})


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
