"""Parts about tuning: what the trials found, and how fast each variant reaches the target."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.core.documents.charts import (
    PALETTE,
    Row,
    by_name,
    configuration_colours,
    field,
    layer,
    layered,
    named_rows,
    scaled,
    tips,
)
from harness.core.documents.document import Figure, Table
from harness.core.documents.numbers import (
    NOTHING,
    capitalised,
    listed,
    score_text,
    score_unit,
    significant,
    with_unit,
)
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
from harness.learning.study.answer import plural
from harness.learning.study.charts import slug
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.parts import Content, Part
from harness.learning.study.quantities import Quantity, measure
from harness.learning.study.record import Study
from harness.learning.study.trials import at_edges, best_trial, criterion


def _tuning(study: StudyFinding) -> Content | None:
    """Report what the trials found, and how much each variant depends on them."""
    if not study.study.trials:
        return None
    return Content("How much depends on tuning", edge_sentences(study.study), [tuning_table(study)])


def tuning_table(study: StudyFinding) -> Table:
    """Return a row for each variant that was tuned: the scores of its trials, and its chosen setting."""
    trials, noun = study.study.trials, study.study.kind.noun
    measure = criterion(study.study.kind, study.configuration.record.task.description)
    rows = []
    for variant in dict.fromkeys(trial.variant for trial in trials):
        own = [trial for trial in trials if trial.variant == variant]
        values = sorted(
            (trial.value for trial in own if trial.value is not None), reverse=measure.higher_is_better
        )
        best = best_trial(own, variant, measure)
        ended = sum(trial.stopped for trial in own)
        failed = sum(trial.value is None for trial in own)
        amounts = (
            [significant(values[place]) for place in (0, len(values) // 2, -1)] if values else [NOTHING] * 3
        )
        chosen = " ".join(best.assignments) if best else NOTHING
        rows.append([variant, str(len(own)), *amounts, str(ended), str(failed), chosen])
    unit = f" ({score_unit(measure)})" if score_unit(measure) else ""
    headers = [noun, "trials", f"best{unit}", f"median{unit}", f"worst{unit}"]
    headers += ["ended early", "failed", "chosen"]
    title = f"Validation {measure.name} of the trials"
    return Table(headers, rows, title, announced=True, form="texts")


def edge_sentences(study: Study) -> list[str]:
    """Return a warning for each setting that was found at an end of its range."""
    counts = Counter(trial.variant for trial in study.trials)
    chosen = [(study.described(each.name), each.assignments, counts[each.name]) for each in study.variants]
    sentences = []
    for edge in at_edges(chosen):
        low, high = edge.range.low, edge.range.high
        further = f"{low / 10:g}:{high:g}" if edge.is_low else f"{low:g}:{high * 10:g}"
        advice = f": --search {edge.variant}.{edge.option}={further}" if edge.range.log else ""
        sentences.append(
            f"{edge.variant} is best with {edge.option}={edge.value:g}, at the end of its range "
            f"({low if edge.is_low else high:g}). A better setting may lie beyond{advice}."
        )
    return sentences


def _tuning_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the validation score of every trial against the first option that its variant is tuned by."""
    recorded = study.study
    measure = criterion(recorded.kind, study.configuration.record.task.description)
    colours = configuration_colours([variant.name for variant in recorded.variants])
    ended = "; crosses were ended early." if any(trial.stopped for trial in recorded.trials) else "."
    by_option: dict[str, list[Row]] = {}
    logs: dict[str, bool] = {}
    for trial in recorded.trials:
        values = dict(each.split("=", 1) for each in trial.assignments)
        # An option that the user sets, or that the task lacks, was not tuned.
        ranges = [each for each in recorded.described(trial.variant).ranges if each.option in values]
        if not ranges or trial.value is None:
            continue
        range_ = ranges[0]
        logs[range_.option] = range_.log
        row: Row = {
            "configuration": trial.variant,
            "setting": float(values[range_.option]),
            "score": trial.value,
            "state": "ended early" if trial.stopped else "complete",
            "settings": " ".join(trial.assignments),
        }
        by_option.setdefault(range_.option, []).append(row)
    for option, rows in by_option.items():
        scale = {"type": "log"} if logs[option] else {"zero": False}
        x = field("setting:Q", title=option.replace("_", " "), scale=scale)
        y = field("score:Q", title=with_unit(measure, "validation"), scale={"zero": False})
        shown = {name: colours[name] for name in dict.fromkeys(str(row["configuration"]) for row in rows)}
        legend = {"columns": 3} if len(shown) > 1 else None
        colour = scaled("configuration:N", shown, legend=legend)
        shape = scaled("state:N", {"complete": "circle", "ended early": "cross"}, legend=None)
        tip = tips("configuration:N", "settings:N", ("score:Q", f"validation {measure.name}"), "state:N")
        complete = {"field": "state", "equal": "complete"}
        chart = layered(
            rows,
            layer("line", {"strokeWidth": 1, "opacity": 0.35}, where=complete, x=x, y=y, color=colour),
            layer("point", {"size": 60}, x=x, y=y, color=colour, shape=shape, tooltip=tip),
        )
        caption = (
            f"A point is a trial{ended} The wider the range of settings that do well, the less depends on "
            "tuning."
        )
        title = f"Validation {measure.name} by {option.replace('_', ' ')}"
        yield Figure(f"{prefix}-tuning-{slug(option)}", caption, chart, title)


def _target(study: StudyFinding) -> Content | None:
    """Report how fast each variant reaches the target."""
    target = study.study.target
    names = [name for name in _AMOUNTS if name in study.quantities]
    if target is None or not names:
        return None
    measure, noun = study.measure, study.study.kind.noun
    text = (
        f"The target is a validation {measure.name} of {score_text(measure, target)}. It was fixed before "
        f"these runs: at least half of the {plural(noun)} had reached it in tuning. The scores "
        "after each epoch are searched for the first that reaches it."
    )
    rows = []
    for effect in study.effects:
        amounts = {name: _amounts(study, effect, name) for name in names}
        every = amounts[names[0]]
        reached = f"{sum(map(math.isfinite, every))} of {len(every)}"
        rows.append([effect.variant.name, reached, *map(_median_text, amounts.values())])
    headers = [
        noun,
        "seeds that reach it",
        *(f"median {with_unit(study.quantities[name].measure)}" for name in names),
    ]
    legend = "The median is over all seeds; one that does not reach the target counts as the slowest."
    table = Table(headers, rows, "Until the target is reached", (legend,), announced=True, form="texts")
    return Content("How fast is the target reached?", [text, table])


def _amounts(study: StudyFinding, effect: Effect, name: str) -> list[float]:
    """Return the amount of each seed of a variant; infinite where the target is not reached."""
    side = study.sides.get(effect.variant.name)
    return [] if side is None else sorted(side.values[name].values())


def _median_text(amounts: Sequence[float]) -> str:
    if not amounts:
        return NOTHING
    middle = statistics.median_high(amounts)
    return significant(middle) if math.isfinite(middle) else "not reached"


def _target_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the epochs, and the time, that each seed of each variant needs to the target."""
    for name in (name for name in _AMOUNTS if name in study.quantities):
        of = study.quantities[name]
        seeds = {effect.variant.name: _amounts(study, effect, name) for effect in study.effects}
        if not any(math.isfinite(amount) for each in seeds.values() for amount in each):
            continue
        rows: list[Row] = [
            {"variant": variant, "amount": amount}
            for variant, amounts in seeds.items()
            for amount in amounts
            if math.isfinite(amount)
        ]
        missed = [variant for variant, amounts in seeds.items() if not all(map(math.isfinite, amounts))]
        x = field("amount:Q", title=with_unit(of.measure), scale={"type": "log"})
        look = {"size": 80, "color": PALETTE[0]}
        point = layer("point", look, x=x, y=by_name("variant"), tooltip=tips("variant:N", "amount:Q"))
        chart = named_rows(rows, "variant", point)
        caption = "A point is a seed. Further left is faster."
        if missed:
            caption += f" Not drawn: seeds of {listed(missed)} that do not reach the target."
        yield Figure(f"{prefix}-target-{slug(name)}", caption, chart, capitalised(of.measure.name))


def _epochs_until(run: Run, place: int) -> float:
    return float(run.curves["epoch"][place])


def _seconds_until(run: Run, place: int) -> float:
    return float(run.curves["training_seconds"][place])


#: How much a run takes until the scored epoch at a place of its curves, and the unit. An epoch is one pass
#: over the training samples for every variant, however large its batches are.
_AMOUNTS: Mapping[str, tuple[Callable[[Run, int], float], str]] = {
    "epochs to target": (_epochs_until, ""),
    "time to target": (_seconds_until, "s"),
}


def _until_target(name: str, study: Study, _runs: ConfigurationRuns) -> Quantity:
    """Define the amount until the first scored epoch whose validation score reaches the study's target.

    It is infinite for a seed that does not reach it: left out, such seeds would make a variant look fast.
    """
    amount, unit = _AMOUNTS[name]
    target = study.target

    def value(run: Run) -> float | None:
        if target is None or (unit == "s" and run.record.judged_seconds is None):
            return None
        place = run.place_of(run.measure, target)
        return math.inf if place is None else amount(run, place)

    return Quantity(name, measure(name, unit), lambda runs, _best: runs.by_seed(value), ratio=True)


PARTS = (
    Part("tuning", "the trials of each variant, and warnings about ends of ranges", _tuning, _tuning_charts),
    Part(
        "target",
        "epochs and time to the target that tuning has set",
        _target,
        _target_charts,
        quantities=dict.fromkeys(_AMOUNTS, _until_target),
    ),
)
