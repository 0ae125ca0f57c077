"""Why the scores of a forecast differ between validation and test data, as a sentence."""

from collections.abc import Iterable

from harness.analysis.comparison import Comparison
from harness.report.numbers import significant

_NAIVE = "naive_loss"


def forecast_remarks(comparison: Comparison) -> Iterable[str]:
    """What the naive forecast shows about the parts of the series; nothing for other tasks."""
    configuration = comparison.summaries[0].configuration
    record = configuration.runs[0].record
    test = (record.test_at_last or {}).get(_NAIVE)
    validation = record.epochs[-1].validation.get(_NAIVE) if record.epochs else None
    if not test or not validation:
        return
    score = (record.test_at_last or {}).get("loss")
    beats = f" {configuration.name} has {significant(score)} on the test data." if score else ""
    harder = "harder" if test > validation else "easier"
    yield (
        "The test data are later than the validation data, which alone makes their scores differ: repeating "
        f"the last value (the naive forecast) has a mean squared error of {significant(validation)} on the "
        f"validation data and of {significant(test)} on the {harder} test data.{beats}"
    )
