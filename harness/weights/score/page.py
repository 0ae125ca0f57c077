"""The table of ``harness score``: the scores of a run's weights in other configurations."""

from collections.abc import Iterable, Sequence

from harness.core.documents.document import Cell, Document, Node, Paragraph, Table
from harness.core.documents.numbers import NOTHING, deviation
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Record
from harness.core.stats.deviations import exceeds, largest
from harness.core.training.measures import Scores, measure_of_task
from harness.weights.score.score import SCORE_TOLERANCE, WeightsScore

#: The scores of a run's weights in each configuration.
Scored = Sequence[tuple[Configuration, Sequence[WeightsScore]]]


def _exact_errors(record: Record, scored: Scored) -> list[float]:
    """Return the differences of the scores in float64 from those of a run in float64."""
    return [
        each.error
        for configuration, scores in scored
        if record.configuration.precision == configuration.precision == "float64"
        for each in scores
    ]


def differs(record: Record, scored: Scored) -> bool:
    """Check if a configuration in float64 scores the weights of a run in float64 differently."""
    return exceeds(largest(_exact_errors(record, scored)), SCORE_TOLERANCE)


def score_document(record: Record, scored: Scored) -> Document:
    """Make a table with a row for each configuration, below the recorded scores."""
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
    legend = (_DIFFERENCE_LEGEND, *[_WEIGHTS_LEGEND] * any(row[2] == "best" for row in rows))
    table = Table([*headers, "largest difference"], rows, title, legend, announced=True)
    nodes: list[Node] = [table, Paragraph(_verdict(record, scored), "answer")]
    return Document("score", f"Scores of the weights of run {record.id}", nodes)


def _row(
    name: str, precision: str, which: str, scores: Scores, names: Iterable[str], difference: str
) -> list[Cell | str]:
    def number(score: str) -> str:
        value = scores.get(score)
        return NOTHING if value is None else f"{value:.10g}"

    return [name, precision, which, *map(number, names), difference]


_DIFFERENCE_LEGEND = "Largest difference: of all test scores, relative where a score is above 1."
_WEIGHTS_LEGEND = "Weights: after the last epoch, and those of the best one."


def _verdict(record: Record, scored: Scored) -> str:
    errors = _exact_errors(record, scored)
    if not errors:
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
    worst = largest(errors)
    if differs(record, scored):
        return f"The scores differ by more than {SCORE_TOLERANCE:.0e}: largest difference {deviation(worst)}."
    return (
        f"The same test scores as in the record, to {SCORE_TOLERANCE:.0e} in float64 (largest difference "
        f"{worst:.1e})."
    )
