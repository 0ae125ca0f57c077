"""Parts about tuning: what the trials found, and how fast each variant reaches the target."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from harness.core.documents.charts import (
    PALETTE,
    Row,
    by_name,
    configuration_colours,
    ends,
    field,
    interval,
    layer,
    layered,
    named_rows,
    scaled,
    tips,
)
from harness.core.documents.document import Figure, Table
from harness.core.documents.numbers import NOTHING, score_text, score_unit, significant, with_unit
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
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
    target, kind = study.study.target, study.study.kind
    names = [each for each in _AMOUNTS if each in study.quantities]
    if target is None or not names:
        return None
    measure = study.measure
    missed = [
        f"{effect.variant.name} ({effect.seeds - reached} of {effect.seeds})"
        for effect in study.effects
        if (reached := _reached(effect, names[0])) < effect.seeds
    ]
    texts = [
        (
            f"The target is a validation {measure.name} of {score_text(measure, target)}: what the worst "
            f"winner of the tuning had reached, so that every {kind.noun} can. The scores after each epoch "
            "are searched for the first that reaches it."
        )
    ]
    if missed:
        texts.append(f"Seeds that did not reach it are left out of the means: {', '.join(missed)}.")
    return Content("How fast is the target reached?", texts)


def _reached(effect: Effect, name: str) -> int:
    level = effect.levels[name]
    return level.n if level is not None else 0


def _target_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the steps, and the time, that each variant needs to the target."""
    for name in _AMOUNTS:
        of = study.quantities.get(name)
        rows: list[Row] = [
            {"variant": effect.variant.name, "seeds": level.n, **ends(level, "amount")}
            for effect in study.effects
            if of is not None and (level := effect.levels[name]) is not None
        ]
        if of is None or not rows:
            continue
        y = by_name("variant")
        x = field("amount:Q", title=f"{of.measure.unit} to the target", scale={"type": "log"})
        tip = tips("variant:N", "amount:Q", ("amount low:Q", "low"), ("amount high:Q", "high"), "seeds:Q")
        positive = [row for row in rows if float(str(row["amount low"])) > 0]
        chart = named_rows(
            rows,
            "variant",
            *([interval("x", "amount", 2, rows=positive, y=y)] if positive else []),
            layer("point", {"size": 80, "color": PALETTE[0]}, x=x, y=y, tooltip=tip),
        )
        caption = "Mean over the seeds that reach the target, with the 95 % interval. Further left is faster."
        yield Figure(f"{prefix}-target-{slug(name)}", caption, chart, name.capitalize())


def _steps_until(run: Run, place: int) -> float:
    last = run.record.epochs[-1]
    return float(round(run.curves["epoch"][place] * last.steps / last.epoch))


def _seconds_until(run: Run, place: int) -> float:
    return float(run.curves["training_seconds"][place])


#: How much a run takes until the scored epoch at a place of its curves, and the unit.
_AMOUNTS: Mapping[str, tuple[Callable[[Run, int], float], str]] = {
    "steps to target": (_steps_until, "steps"),
    "time to target": (_seconds_until, "s"),
}


def _until_target(name: str, study: Study, runs: ConfigurationRuns) -> Quantity:
    """Define the amount until the first scored epoch whose validation score reaches the study's target."""
    amount, unit = _AMOUNTS[name]
    score, target = runs.runs[0].measure, study.target

    def value(run: Run) -> float | None:
        place = None if target is None else run.place_of(score, target)
        return None if place is None else amount(run, place)

    return Quantity(name, measure(name, unit), lambda runs, _best: runs.by_seed(value), ratio=True)


PARTS = (
    Part("tuning", "the trials of each variant, and warnings about ends of ranges", _tuning, _tuning_charts),
    Part(
        "target",
        "steps and time to the target that tuning has set",
        _target,
        _target_charts,
        quantities=dict.fromkeys(_AMOUNTS, _until_target),
    ),
)
