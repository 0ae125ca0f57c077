"""Parts about rare classes: the recall of each class, and precision against recall of the rare ones."""

from collections.abc import Iterator

import numpy as np

from harness.core.documents.charts import (
    FRAME_HEIGHT,
    Row,
    ends,
    field,
    interval,
    layer,
    layered,
    scaled,
    tips,
)
from harness.core.documents.document import Figure
from harness.core.documents.numbers import listed
from harness.learning.runs.run_curves import Run
from harness.learning.study.charts import colour_of_variants, colours_of, interval_caption
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Part, explained
from harness.learning.study.quantities import Definition, measure, of_runs


def _rare(name: str, *, axis: int) -> Definition:
    """Define the mean over the upper half of the classes, which the study thins, at the best epoch.

    The value is in per cent. In a confusion matrix with the classes in rows and the answers in columns, sums
    over axis 1 give the recall, and sums over axis 0 the precision.
    """

    def read(confusion: list[list[int]]) -> float:
        counts = np.array(confusion, float)
        totals = counts.sum(axis=axis)
        shares = np.divide(counts.diagonal(), totals, out=np.zeros(len(counts)), where=totals > 0)
        return float(100.0 * shares[len(shares) // 2 :].mean())

    return of_runs(measure(f"{name} of rare classes", "points", 100.0, higher=True), _confusion, read)


def _confusion(run: Run, _best: bool) -> list[list[int]] | None:
    outcomes = run.record.outcomes
    return outcomes.confusion if outcomes and outcomes.confusion else None


def _recall_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the recall of each class with each variant, beside the size of the class."""
    rows: list[Row] = []
    shown: dict[str, str] = {}
    for variant, _, runs in study.treated:
        outcomes = [
            run.record.outcomes for run in runs.runs if run.record.outcomes and run.record.outcomes.confusion
        ]
        if not outcomes:
            continue
        counts = np.sum([np.array(each.confusion) for each in outcomes], axis=0)
        shares = 100 * counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
        kept = study.study.described(variant.name).data
        shown[variant.name] = f"{variant.name}{' (no remedy)' if kept else ''}"
        for number, (label, share) in enumerate(zip(outcomes[0].classes, shares.tolist(), strict=True)):
            rare = " (rare)" if number >= len(shares) // 2 else ""
            row: Row = {"class": f"{label}{rare}", "variant": shown[variant.name], "recall": round(share, 1)}
            rows.append(row)
    if not rows:
        return
    colours = colours_of(study, shown)
    colour = scaled("variant:N", {text: colours[name] for name, text in shown.items()}, legend={"columns": 2})
    bars = layer(
        "bar",
        {"height": {"band": 0.9}},
        x=field("recall:Q", title="recall (%)", scale={"domain": [0, 100]}),
        y=field("class:N", title=None, sort=None),
        yOffset=field("variant:N", sort=[*shown.values()]),
        color=colour,
        tooltip=tips("class:N", "variant:N", ("recall:Q", "recall (%)")),
    )
    height = FRAME_HEIGHT + max(24, 9 * len(shown)) * len({row["class"] for row in rows})
    whole = [each.variant.name for each in study.of_verdict("control")]
    caption = "Over all seeds. The classes marked as rare keep a tenth of their training samples"
    caption += f", except with {listed(whole)}." if whole else "."
    chart = layered(rows, bars, height=height)
    yield Figure(f"{prefix}-recalls", caption, chart, "Recall of each class", chosen=True)


def _trade_off_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw precision against recall of the rare classes, a point for each variant."""
    rows: list[Row] = []
    for effect in study.effects:
        recall, precision = effect.levels.get("rare recall"), effect.levels.get("rare precision")
        if recall is not None and precision is not None:
            rows.append(
                {"variant": effect.variant.name, **ends(recall, "recall"), **ends(precision, "precision")}
            )
    if not rows:
        return
    x, y = (
        field(f"{name}:Q", title=f"{name} of rare classes (%)", scale={"zero": False})
        for name in ("recall", "precision")
    )
    colour = colour_of_variants(study, rows)
    chart = layered(
        rows,
        interval("x", "recall", y=y, color=colour),
        interval("y", "precision", x=x, color=colour),
        layer(
            "point",
            {"size": 90},
            x=x,
            y=y,
            color=colour,
            tooltip=tips("variant:N", "recall:Q", "precision:Q"),
        ),
    )
    caption = f"Mean over seeds.{interval_caption(study)}"
    yield Figure(f"{prefix}-trade-off", caption, chart, "Precision and recall of the rare classes")


_RARE = {f"rare {name}": _rare(name, axis=axis) for name, axis in (("recall", 1), ("precision", 0))}

PARTS = (
    Part(
        "recalls",
        "the recall of each class",
        explained(
            "Which classes are recognised?",
            "Each bar is the share of a class's test samples that the network recognises.",
        ),
        _recall_chart,
    ),
    Part(
        "trade-off",
        "precision against recall of the rare classes",
        explained(
            "Precision against recall",
            "To the right more samples of the rare classes are found; further up more of the answers that "
            "name a rare class are right. A remedy that moves to the right and down buys one with the other.",
        ),
        _trade_off_chart,
        quantities=_RARE,
        needs=tuple(_RARE),
    ),
)
