"""The part about privacy: the score and membership inference against epsilon."""

from collections.abc import Iterator

from harness.core.documents.charts import Row, ends, field, interval, layer, layered, tips
from harness.core.documents.document import Figure
from harness.core.documents.numbers import capitalised, with_unit
from harness.learning.privacy.membership import membership
from harness.learning.privacy.record import privacy_claim
from harness.learning.study.charts import colour_of_variants, interval_caption, slug
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Part, explained
from harness.learning.study.quantities import measure, of_runs


def _charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the score and the area of membership inference against epsilon, a chart each."""
    for of in (study.quantities[name] for name in ("score", "membership AUC") if name in study.quantities):
        points: list[Row] = []
        lines: list[Row] = []
        for effect in study.effects:
            level, epsilon = effect.levels.get(of.name), effect.levels.get("epsilon")
            if level is None:
                continue
            row: Row = {"variant": effect.variant.name, **ends(level, "level")}
            if epsilon is None:
                lines.append(row)
            else:
                points.append({**row, "epsilon": epsilon.value})
        if not points:
            continue
        colour = colour_of_variants(study, [*lines, *points])
        x = field("epsilon:Q", title="epsilon", scale={"type": "log"})
        y = field("level:Q", title=with_unit(of.measure), scale={"zero": False})
        tip = tips("variant:N", "epsilon:Q", "level:Q")
        chart = layered(
            points,
            layer("rule", {"strokeDash": [4, 4]}, rows=lines, y=y, color=colour, tooltip=tip),
            interval("y", "level", x=x, color=colour),
            layer("point", {"size": 90, "filled": True}, x=x, y=y, color=colour, tooltip=tip),
        )
        dashed = " Dashed: without a proof." * bool(lines)
        caption = f"Mean over seeds.{interval_caption(study)}{dashed}"
        title = f"{capitalised(of.measure.name)} against epsilon"
        yield Figure(f"{prefix}-privacy-{slug(of.name)}", caption, chart, title)


PARTS = (
    Part(
        "privacy",
        "score and membership inference against epsilon",
        explained(
            "What does protection cost?",
            "A point is DP-SGD with some noise: to the left more is proved. The dashed lines are the "
            "protections without a proof. Where the AUC is 0.5, this attack finds nothing.",
            needed="epsilon",
        ),
        _charts,
        quantities={
            "membership AUC": of_runs(
                measure("membership AUC"),
                lambda run, _best: membership(run.record),
                lambda attack: attack.area.value,
                largest=1.0,
            ),
            "members found": of_runs(
                measure("members found", "points", 100.0),
                lambda run, _best: membership(run.record),
                lambda attack: 100.0 * attack.true_positives.value,
            ),
            "epsilon": of_runs(
                measure("epsilon"),
                lambda run, _best: privacy_claim(run.record),
                lambda claim: claim.epsilon,
            ),
        },
        needs=("membership AUC", "epsilon"),
        extra="privacy",
    ),
)
