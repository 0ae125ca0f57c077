"""A score as text, in the unit of its measure: ``48.6 %``, ``0.0123``, ``1.88 nats/token``."""

from harness.report.numbers import NOTHING, significant
from harness.runs.record import Record
from harness.training.measures import Measure, Scores, measure_of_task


def score_value(measure: Measure, scores: Scores | None) -> str:
    """The measure's score without its name: ``48.6 %``; a dash if there is none."""
    score = (scores or {}).get(measure.key)
    if score is None:
        return NOTHING
    if measure.unit == "points":
        return f"{score * measure.factor:.1f} %"
    return f"{significant(score * measure.factor)} {measure.unit}".rstrip()


def test_score(record: Record) -> str:
    """Name and value of a run's test score after the last epoch: ``accuracy 48.6 %``."""
    measure = measure_of_task(record.task.description)
    return f"{measure.name} {score_value(measure, record.test_at_last)}"
