"""Parts that compare the variants: what each changes, their order, and a card for each."""

from collections.abc import Iterator, Mapping

from harness.core.documents.charts import (
    GREY,
    PALETTE,
    Row,
    by_name,
    ends,
    field,
    interval,
    layer,
    named_rows,
    tips,
    zero_line,
)
from harness.core.documents.document import Card, Cards, Figure, Node, Paragraph, Span, Table, Text, Tone
from harness.core.documents.numbers import NOTHING, seeds
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.study.answer import answer, changes_text, level_text, levels_text, ranked
from harness.learning.study.charts import slug
from harness.learning.study.finding import Effect, StudyFinding, Verdict
from harness.learning.study.parts import Content, Part, parts_of

#: A verdict on a card.
_VERDICTS: Mapping[Verdict, tuple[str, Tone]] = {
    "better": ("▲ better", "good"),
    "worse": ("▼ worse", "bad"),
    "mixed": ("◆ better and worse", "unsure"),
    "equal": ("= as good", "muted"),
    "undecided": ("◦ undecided", "muted"),
    "few": ("◦ too few seeds", "muted"),
}


def _effects(study: StudyFinding) -> Content | None:
    """State how each variant changes the decisive quantities."""
    if not study.effects[1:]:
        return None
    reference = study.reference.variant.name
    same_seeds = " All were trained on the same seeds."
    return Content(f"Compared with {reference}", [Paragraph((Span(answer(study)), same_seeds))])


def effect_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw a chart for each quantity whose change is a difference, the decisive ones first."""
    changed, decisive = study.effects[1:], study.study.kind.decisive
    reading_intervals = (
        " A line is the 95 % interval; one that crosses 0 shows no certain effect."
        if any(effect.seeds >= FEWEST_FOR_INTERVAL for effect in changed)
        else ""
    )
    for name in dict.fromkeys([*decisive, *study.quantities]):
        of = study.quantities[name]
        rows: list[Row] = [
            {"variant": effect.variant.name, **ends(change, "change")}
            for effect in changed
            if (change := effect.changes[name]) is not None
        ]
        if of.ratio or not rows:
            continue
        y = by_name("variant")
        colour = {"value": PALETTE[0] if name in decisive else GREY}
        unit = f" ({of.measure.unit})" if of.measure.unit else ""
        x = field("change:Q", title=f"change of the {of.measure.name}{unit}")
        tip = tips("variant:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
        chart = named_rows(
            rows,
            "variant",
            zero_line("x"),
            interval("x", "change", 2, y=y, color=colour),
            layer("point", {"size": 80}, x=x, y=y, color=colour, tooltip=tip),
        )
        better = "right" if of.measure.higher_is_better else "left"
        caption = (
            f"Change from {study.reference.variant.name} on the same seeds; to the {better} of 0 is better."
            f"{reading_intervals}"
        )
        title = f"Effect on the {of.measure.name}"
        yield Figure(f"{prefix}-effects-{slug(name)}", caption, chart, title, chosen=name in decisive)


def _ranking(study: StudyFinding) -> Content:
    """Order the variants by their test scores."""
    kind = study.study.kind
    first = study.quantities[kind.decisive[0]]
    rows = [
        [
            str(place),
            effect.variant.name,
            level_text(first, level),
            _VERDICTS[effect.verdict][0] if effect.verdict else "the reference",
            " ".join(effect.variant.assignments) or NOTHING,
        ]
        for place, (effect, level) in enumerate(ranked(study), 1)
    ]
    headers = ["rank", kind.noun, first.measure.name, f"against {study.reference.variant.name}", "settings"]
    title = f"Each {kind.noun} with its best setting, over {seeds(max(each.seeds for each in study.effects))}"
    table = Table(headers, rows, title, announced=True, form="texts")
    return Content("The order", [_reference_text(study), table])


def _reference_text(study: StudyFinding) -> str:
    """State why the others are compared with the reference."""
    name, kind = study.reference.variant.name, study.study.kind
    return (
        f"The others are compared with {name}, which was best on validation data before the seeds of this "
        f"comparison were trained. Ranks that are close are not certain: see what is undecided."
        if kind.reference == "best"
        else f"The others are compared with {name}."
    )


def _variants(study: StudyFinding) -> Content | None:
    """Describe each variant and its effect on a card."""
    shown = study.effects if study.study.kind.reference == "best" else study.effects[1:]
    if not shown:
        return None
    cards = Cards([_card(study, effect) for effect in shown])
    return Content(f"What each {study.study.kind.noun} is", [cards])


def _card(study: StudyFinding, effect: Effect) -> Card:
    word, tone = _VERDICTS[effect.verdict] if effect.verdict else ("the reference", "muted")
    outcome = changes_text(study, effect) if effect.verdict else levels_text(study, effect)
    remarks = (part.remark(study, effect) for part in parts_of(study.study.kind) if part.remark is not None)
    outcome = "; ".join([outcome, *filter(None, remarks)])
    nodes: list[Node] = [Paragraph(effect.described.meaning), Paragraph(outcome, "small")]
    if options := " ".join(f"--set {assignment}" for assignment in effect.variant.assignments):
        nodes.append(Paragraph((Span(options, "code"),)))
    title: Text = (f"{effect.variant.name} ", Span(word, tone=tone))
    return Card(title, nodes, tone=tone)


PARTS = (
    Part("effects", "the answer, and how each variant changes the quantities", _effects, effect_charts),
    Part("ranking", "the variants in the order of the first decisive quantity", _ranking),
    Part("variants", "a card for each variant: meaning, verdict, options", _variants),
)
