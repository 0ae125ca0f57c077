"""Parts that compare the variants: what each changes, their order, and a card for each."""

from collections.abc import Iterator

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
from harness.core.documents.document import Card, Cards, Figure, Node, Paragraph, Span, Table, Text
from harness.core.documents.numbers import NOTHING, capitalised, seeds, with_unit
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.study.answer import (
    answer,
    changes_text,
    level_text,
    named_first,
    plural,
    ranked,
    verdict_word,
)
from harness.learning.study.charts import interval_caption, slug
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.parts import Content, Part, parts_of
from harness.learning.study.quantities import Quantity


def _effects(study: StudyFinding) -> Content | None:
    """State how each variant changes the decisive quantities."""
    if not study.effects[1:]:
        return None
    title = f"Compared with {study.reference.variant.name}"
    if study.asks_for_best or study.asks_each:
        title = "Compared with the best" if study.asks_for_best else "The answer"
    same_seeds = " All were trained on the same seeds."
    return Content(title, [Paragraph((Span(answer(study, with_amounts=False)), same_seeds))])


def effect_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw a chart for each quantity whose change is a difference, the decisive ones first.

    The first is of the quantity that the headline names first.
    """
    decisive = study.study.kind.decisive
    for name in dict.fromkeys([named_first(study), *decisive, *study.quantities]):
        of = study.quantities[name]
        if study.asks_each:
            yield from _level_chart(study, of, prefix) if name in decisive else ()
            continue
        from_best = study.asks_for_best and name in decisive
        rows: list[Row] = [
            {"variant": effect.variant.name, **ends(change, "change")}
            for effect in study.effects
            if (change := effect.changes[name]) is not None and effect.verdict != "diverged"
        ]
        if of.ratio or not rows:
            continue
        y = by_name("variant")
        colour = {"value": PALETTE[0] if name in decisive else GREY}
        unit = f" ({of.measure.unit})" if of.measure.unit else ""
        what = "difference from the best" if from_best else "change"  # the title names the quantity
        x = field("change:Q", title=f"{what}{unit}")
        tip = tips("variant:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
        chart = named_rows(
            rows,
            "variant",
            zero_line("x"),
            interval("x", "change", 2, y=y, color=colour),
            layer("point", {"size": 80}, x=x, y=y, color=colour, tooltip=tip),
        )
        title = (
            f"Effect on the {of.measure.name}"
            if not from_best
            else f"Distance from the best: {of.measure.name}"
        )
        caption = _effects_caption(study, of, from_best=from_best)
        yield Figure(f"{prefix}-effects-{slug(name)}", caption, chart, title, chosen=name in decisive)


def _level_chart(study: StudyFinding, of: Quantity, prefix: str) -> Iterator[Figure]:
    """Draw the level of a quantity with each variant."""
    rows: list[Row] = [
        {"variant": effect.variant.name, **ends(level, "level")}
        for effect in study.effects
        if (level := effect.levels[of.name]) is not None
    ]
    if not rows:
        return
    y, colour = by_name("variant"), {"value": PALETTE[0]}
    x = field("level:Q", title=with_unit(of.measure), scale={"zero": True})
    tip = tips("variant:N", "level:Q", ("level low:Q", "low"), ("level high:Q", "high"))
    chart = named_rows(
        rows,
        "variant",
        interval("x", "level", 2, y=y, color=colour),
        layer("point", {"size": 80}, x=x, y=y, color=colour, tooltip=tip),
    )
    caption = f"Mean over seeds.{interval_caption(study)}"
    yield Figure(f"{prefix}-{slug(of.name)}", caption, chart, capitalised(of.measure.name), chosen=True)


def _effects_caption(study: StudyFinding, of: Quantity, *, from_best: bool) -> str:
    """Explain the chart of a quantity, by what it shows."""
    better = "right" if of.measure.higher_is_better else "left"
    with_lines = any(effect.seeds >= FEWEST_FOR_INTERVAL for effect in study.effects)
    if from_best:
        lines = " A line is the interval; one that crosses 0 belongs to a variant that may be the best."
        what = f"Difference from the best of the others on the same seeds; to the {better} of 0 is the best."
    else:
        lines = " A line is the 95 % interval; one that crosses 0 shows no certain effect."
        what = (
            f"Change from {study.reference.variant.name} on the same seeds; to the {better} of 0 is better."
        )
    controls = [each.variant.name for each in study.of_verdict("control")]
    marked = f" Controls, not {plural(study.study.kind.noun)}: {', '.join(controls)}." if controls else ""
    return f"{what}{lines * with_lines}{marked}"


def _ranking(study: StudyFinding) -> Content:
    """Order the variants by their test scores."""
    kind = study.study.kind
    first = study.quantities[kind.decisive[0]]
    rows = [
        [
            str(place),
            effect.variant.name,
            level_text(first, level),
            verdict_word(study, effect)[0],
            " ".join(effect.variant.assignments) or NOTHING,
        ]
        for place, (effect, level) in enumerate(ranked(study), 1)
    ]
    headers = ["rank", kind.noun, first.measure.name, "verdict", "settings"]
    title = f"Each {kind.noun} with its best setting, over {seeds(max(each.seeds for each in study.effects))}"
    table = Table(headers, rows, title, announced=True, form="texts")
    return Content("The order", [_order_text(study), table])


def _order_text(study: StudyFinding) -> str:
    """State what the order shows."""
    if not study.asks_for_best:
        return f"The others are compared with {study.reference.variant.name}."
    return (
        "Ranks are of means over fresh seeds, which chose no setting. Variants that may be the best cannot "
        "be distinguished by these seeds: their order is chance."
    )


def _variants(study: StudyFinding) -> Content | None:
    """Describe each variant and its effect on a card."""
    all_are_judged = study.asks_for_best or study.asks_each
    shown = study.effects if all_are_judged else study.effects[1:]
    if not shown:
        return None
    cards = Cards([_card(study, effect) for effect in shown])
    return Content(f"What each {study.study.kind.noun} is", [cards])


def _card(study: StudyFinding, effect: Effect) -> Card:
    word, tone = verdict_word(study, effect)
    remarks = (part.remark(study, effect) for part in parts_of(study.study.kind) if part.remark is not None)
    outcome = "; ".join([changes_text(study, effect), *filter(None, remarks)])
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
