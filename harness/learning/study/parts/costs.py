"""The part about costs: the score of each variant against its parameters, training time and memory."""

from collections.abc import Iterator

from harness.core.documents.charts import PALETTE, Row, field, layer, layered, tips
from harness.core.documents.document import Figure, Table
from harness.core.documents.numbers import capitalised, listed, with_unit
from harness.core.runs.record import Record
from harness.learning.runs.run_curves import Run
from harness.learning.study.answer import level_text, ranked
from harness.learning.study.charts import slug
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Content, Part
from harness.learning.study.quantities import JUDGED, measure, of_runs

_COSTS = ("parameters", "time", "memory")


def _record(run: Run, _best: bool) -> Record:
    return run.record


def _content(study: StudyFinding) -> Content | None:
    """List score and costs of each variant, the best score first."""
    names = [study.study.kind.decisive[0], *(name for name in _COSTS if name in study.quantities)]
    rows = [
        [
            effect.variant.name,
            *(level_text(study.quantities[name], effect.levels.get(name)) for name in names),
        ]
        for effect, _ in ranked(study)
    ]
    if not rows or len(names) == 1:
        return None
    headers = [study.study.kind.noun, *(study.quantities[name].measure.name for name in names)]
    table = Table(headers, rows, "Score and costs: means over seeds", announced=True, form="texts")
    texts = ["A variant is worth its costs if no cheaper one is as good."]
    unstated = [name for name in _COSTS if name in JUDGED and name not in study.quantities]
    if unstated and any(run.record.making is not None for run in study.runs):
        texts.append(f"Runs made at once share the machine, so nothing is said about {listed(unstated)}.")
    return Content("The costs", [*texts, table])


def _charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the mean score of each variant against each cost."""
    score = study.quantities[study.study.kind.decisive[0]]
    for name in _COSTS:
        if (cost := study.quantities.get(name)) is None:
            continue
        rows: list[Row] = [
            {"variant": effect.variant.name, "cost": level.value, "score": of.value}
            for effect in study.effects
            if (level := effect.levels.get(name)) and (of := effect.levels.get(study.study.kind.decisive[0]))
        ]
        if len(rows) < 2:  # noqa: PLR2004  a point alone shows no relation
            continue
        x = field("cost:Q", title=with_unit(cost.measure), scale={"zero": False})
        y = field("score:Q", title=with_unit(score.measure), scale={"zero": False})
        tip = tips("variant:N", "cost:Q", "score:Q")
        points = layer("point", {"size": 80, "color": PALETTE[0]}, x=x, y=y, tooltip=tip)
        label = {"dy": -10, "color": PALETTE[0]}
        names = layer("text", label, x=x, y=y, text=field("variant:N"))
        title = f"{capitalised(score.measure.name)} against {cost.measure.name}"
        caption = "A point is the mean of a variant over its seeds."
        yield Figure(
            f"{prefix}-costs-{slug(name)}", caption, layered(rows, points, names), title, chosen=True
        )


PARTS = (
    Part(
        "costs",
        "score, parameters, training time and memory of each variant",
        _content,
        _charts,
        quantities={
            "parameters": of_runs(measure("parameters"), _record, lambda record: float(record.parameters)),
            "memory": of_runs(
                measure("peak memory", "MiB"),
                _record,
                lambda record: (record.measured.get("peak_memory_bytes") or 0.0) / 2**20 or None,
            ),
        },
    ),
)
