"""Networks that a run has trained, used again: their scores in other configurations."""

import math
from collections.abc import Iterable, Sequence

from harness.plugins.configuration import Configuration
from harness.report.document import Cell, Document, Node, Paragraph, Table
from harness.report.numbers import NOTHING
from harness.runs.record import Record
from harness.runs.trained import SCORE_TOLERANCE, WeightsScore
from harness.training.measures import Scores, measure_of_task

#: The scores of a run's weights in each configuration.
Scored = Sequence[tuple[Configuration, Sequence[WeightsScore]]]


def _is_exact(record: Record, configuration: Configuration) -> bool:
    return record.configuration.precision == configuration.precision == "float64"


def differs(record: Record, scored: Scored) -> bool:
    """Whether scores of a run in float64 are others in another configuration in float64."""
    return any(
        not each.error <= SCORE_TOLERANCE
        for configuration, found in scored
        if _is_exact(record, configuration)
        for each in found
    )


def score_document(record: Record, scored: Scored) -> Document:
    """A row for each configuration, below what is in the record."""
    names = dict.fromkeys(["loss", measure_of_task(record.task.description).key])
    rows: list[list[Cell | str]] = []
    for which in ("last", "best"):
        of_these = [(each, on) for on, found in scored for each in found if each.weights == which]
        for each, _ in of_these[:1]:
            run = record.configuration
            rows.append(_row(f"{run.label} (record)", run.precision, which, each.recorded, names, NOTHING))
        for each, on in of_these:
            rows.append(_row(on.label, on.precision, which, each.found, names, f"{each.error:.1e}"))
    headers = ["backend", "precision", "weights", *(f"test {name.replace('_', ' ')}" for name in names)]
    title = f"{record.task.name} on {record.dataset.name}, trained by {record.configuration.label}"
    legend = (_DIFFERENCE_LEGEND, *[_WEIGHTS_LEGEND] * _has_best(scored))
    table = Table([*headers, "largest difference"], rows, title, legend, announced=True)
    nodes: list[Node] = [table, Paragraph(_verdict(record, scored), "answer")]
    return Document("score", f"Scores of the weights of run {record.id}", nodes)


def _row(
    name: str, precision: str, which: str, scores: Scores, names: Iterable[str], difference: str
) -> list[Cell | str]:
    return [name, precision, which, *(_number(scores.get(each)) for each in names), difference]


_DIFFERENCE_LEGEND = "Largest difference: of all test scores, relative where a score is above 1."
_WEIGHTS_LEGEND = "Weights: after the last epoch, and those of the best one."


def _has_best(scored: Scored) -> bool:
    return any(each.weights == "best" for _, found in scored for each in found)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.10g}"


def _verdict(record: Record, scored: Scored) -> str:
    exact = [(configuration, found) for configuration, found in scored if _is_exact(record, configuration)]
    if not exact:
        trained_in = record.configuration.precision
        advice = (
            "Score with --precision float64"
            if trained_in == "float64"
            else "Train with --precision float64 --save-weights"
        )
        return (
            f"Scores in lower precisions differ by rounding. {advice} to compare them to "
            f"{SCORE_TOLERANCE:.0e}."
        )
    errors = [each.error for _, found in exact for each in found]
    worst = math.nan if any(map(math.isnan, errors)) else max(errors, default=0.0)
    if differs(record, exact):
        return f"The scores differ: by up to {worst:.1e}, more than {SCORE_TOLERANCE:.0e}."
    return (
        f"The same test scores as in the record, to {SCORE_TOLERANCE:.0e} in float64 (largest difference "
        f"{worst:.1e})."
    )
