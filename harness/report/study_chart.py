"""The chart of a study: how each remedy changes score and gap."""

import altair as alt

from harness.analysis.study_effects import StudyFinding
from harness.report.chart_parts import Row, ends, layered, tips, zero_line
from harness.report.chart_style import NAME_AXIS, PALETTE


def remedy_changes(study: StudyFinding) -> alt.LayerChart:
    """How each remedy changes the test score and the gap, with intervals, relative to the plain task."""
    rows: list[Row] = []
    for effect in study.effects[1:]:
        score_change = study.measure.as_change(effect.score_change)
        for name, change in (("test score", score_change), ("gap", effect.gap_change)):
            if change is not None:
                rows.append({"remedy": effect.variant.name, "quantity": name, **ends(change, "change")})
    unit, gap_unit = (of.unit or of.name for of in (study.measure, study.gap_measure))
    unit += f"; of the gap: {gap_unit}" if gap_unit != unit else ""
    order = ["test score", "gap"]
    y = alt.Y("remedy:N", title=None, sort=None, axis=NAME_AXIS)
    colours, shapes = (alt.Scale(domain=order, range=looks) for looks in (PALETTE[:2], ["circle", "diamond"]))
    offset = alt.YOffset("quantity:N", sort=order)
    colour, shape = alt.Color("quantity:N", scale=colours), alt.Shape("quantity:N", scale=shapes)
    x = alt.X("change:Q", title=f"change ({unit})")
    low, high = alt.X("change low:Q", title=""), alt.X2("change high:Q")
    tip = tips("remedy:N", "quantity:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
    data = alt.Chart()
    return layered(
        rows,
        zero_line().encode(x=alt.X("zero:Q", title="")),
        data.mark_rule(strokeWidth=2).encode(x=low, x2=high, y=y, yOffset=offset, color=colour),
        data.mark_point(filled=True, opacity=1, size=80).encode(
            x=x, y=y, yOffset=offset, color=colour, shape=shape, tooltip=tip
        ),
        height=60 + 40 * len(study.effects),
    )
