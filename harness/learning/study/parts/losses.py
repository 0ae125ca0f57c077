"""The part about losses: the calibration of the answers."""

from collections.abc import Iterator

import numpy as np

from harness.core.documents.charts import GREY, Row, field, layer, layered, tips
from harness.core.documents.document import Figure
from harness.core.training.outcome_records import Calibration
from harness.learning.runs.run_curves import Run
from harness.learning.study.charts import colour_of_variants
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Part, explained
from harness.learning.study.quantities import measure, of_runs


def _calibration(run: Run, _best: bool) -> Calibration | None:
    return run.record.outcomes.calibration if run.record.outcomes else None


def _reliability_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw accuracy against confidence, in bins over all seeds."""
    rows: list[Row] = []
    for variant, _, runs in study.treated:
        seen = [run.record.outcomes for run in runs.runs]
        bins = [each.calibration for each in seen if each is not None and each.calibration is not None]
        if not bins:
            continue
        counts = np.array([each.counts for each in bins])
        sums = {
            name: np.nansum(counts * np.array([getattr(each, name) for each in bins], float), axis=0)
            for name in ("confidences", "accuracies")
        }
        for place in np.flatnonzero(counts.sum(axis=0)):
            total = int(counts[:, place].sum())
            row: Row = {"configuration": variant.name, "samples": total}
            row |= {name: round(100 * float(sums[name][place]) / total, 2) for name in sums}
            rows.append(row)
    if not rows:
        return
    colour = colour_of_variants(study, rows, "configuration")
    x = field("confidences:Q", title="confidence (%)", scale={"domain": [0, 100]})
    y = field("accuracies:Q", title="right answers (%)", scale={"domain": [0, 100]})
    tip = tips("configuration:N", ("confidences:Q", "confidence"), ("accuracies:Q", "right"), "samples:Q")
    size = field("samples:Q", legend=None)
    ideal: list[Row] = [{"confidences": each, "accuracies": each} for each in (0, 100)]
    chart = layered(
        rows,
        layer("line", {"strokeDash": [4, 4], "color": GREY}, rows=ideal, x=x, y=y),
        layer("line", {"strokeWidth": 1.5}, x=x, y=y, color=colour),
        layer("circle", {"opacity": 1}, x=x, y=y, color=colour, size=size, tooltip=tip),
    )
    caption = "Test samples of all seeds at the best epoch, in 15 bins; a larger point has more samples."
    yield Figure(f"{prefix}-reliability", caption, chart, "Reliability", chosen=True)


PARTS = (
    Part(
        "reliability",
        "accuracy against confidence",
        explained(
            "Is the confidence right?",
            "A point is a bin of answers of similar confidence: to the right the network is surer, further "
            "up more answers are right. On the dashed line it is as often right as it is sure; below it is "
            "too sure.",
            needed="calibration error",
        ),
        _reliability_chart,
        quantities={
            "calibration error": of_runs(
                measure("calibration error", "points", 100.0),
                _calibration,
                lambda calibration: 100.0 * calibration.expected_error,
            )
        },
        needs=("calibration error",),
    ),
)
