"""Parts about generators: images beside their nearest real ones, and the Fréchet distance over steps."""

from collections.abc import Iterator, Mapping
from typing import Literal

from harness.core.documents.charts import GREY, Row, field, layer
from harness.core.documents.document import Figure, Picture
from harness.core.documents.files import read_png
from harness.core.documents.numbers import capitalised, listed
from harness.core.runs.store import RUNS
from harness.core.stats.estimate import Estimate
from harness.core.training.outcome_records import Generated
from harness.learning.runs.overfit import Copying, copying_of, memorization_ratio
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
from harness.learning.study.charts import overlaid
from harness.learning.study.finding import StudyFinding
from harness.learning.study.judging import Verdict
from harness.learning.study.parts import Part, explained
from harness.learning.study.quantities import Quantity, SeedValues, measure, of_runs
from harness.learning.study.record import Study


def _generated(run: Run, best: bool) -> Generated | None:
    outcomes = run.record.outcomes
    if outcomes is None:
        return None
    return (not best and outcomes.generated_at_last) or outcomes.generated


def _samples(study: StudyFinding, prefix: str) -> Iterator[Picture]:
    """Show for each variant the generated images most like copies, and their nearest real ones."""
    for number, (variant, _, runs) in enumerate(study.treated if study.results else []):
        for record in (run.record for run in runs.runs):
            name = record.pictures.neighbours
            png = read_png(study.results / RUNS.folder, name) if name and study.results else None
            if png is not None:
                caption = (
                    f"{variant.name}, seed {record.seed}, with the weights of epoch {record.best_epoch}."
                )
                title = f"{capitalised(variant.name)}: generated, nearest training, nearest held-out"
                yield Picture(f"{prefix}-samples-{number}", caption, png, title)
                break


#: The answer to "does it copy?" by what a memorisation ratio shows.
_ANSWERS: Mapping[Copying, Literal["yes", "no", "undecided", "few"]] = {
    "copies": "yes",
    "no sign": "no",
    "undecided": "undecided",
    "one seed": "few",
}


def _copies(ratio: Estimate | None) -> Literal["yes", "no", "undecided", "few"]:
    return "few" if ratio is None else _ANSWERS[copying_of(ratio)]


def _memorisation_ratio(name: str, _study: Study, _runs: ConfigurationRuns) -> Quantity:
    """Define the memorisation ratio, whose interval includes the choice of the held-out images."""

    def values(runs: ConfigurationRuns, best: bool) -> SeedValues:
        return runs.by_seed(lambda run: run.score("memorization_ratio", best=best))

    def level(runs: ConfigurationRuns, best: bool) -> Estimate | None:
        return memorization_ratio(runs, best=best)

    return Quantity(name, measure(name, higher=True), values, level=level, answers=_copies)


def _headline(study: StudyFinding, task: str) -> str | None:
    """State for each variant whether the generator copies."""
    if not study.asks_each:
        return None
    said: Mapping[Verdict, str] = {
        "yes": "the generator copies",
        "no": "no sign of copies",
        "undecided": "undecided whether the generator copies",
        "few": "too few seeds to say whether the generator copies",
        "diverged": "diverged",
    }
    found = {
        text: [each.variant.name for each in study.of_verdict(verdict)] for verdict, text in said.items()
    }
    return f"{task}: " + "; ".join(f"{listed(names)}: {text}" for text, names in found.items() if names)


def _frechet_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the Fréchet distance to validation images over the steps, beside noise and real images."""
    read = study.curves
    first = next((run.record.outcomes for run in study.runs if run.record.outcomes), None)
    seen = first.generated if first is not None else None
    levels = [seen.frechet_of_noise, seen.frechet_of_training_images] if seen is not None else []
    lines: list[Row] = [{"level": level} for level in levels if level is not None]
    name = f"{prefix}-frechet"
    caption = f"Mean over seeds.{' Dashed: noise (above) and training images (below).' * bool(lines)}"
    for figure in overlaid(study, read, list(read), study.measure.key, name, caption, over="steps"):
        if lines:
            look = {"strokeDash": [4, 4], "color": GREY}
            figure.chart["layer"].append(layer("rule", look, rows=lines, y=field("level:Q", title="")))
        yield figure


PARTS = (
    Part(
        "samples",
        "generated images beside their nearest real ones",
        explained(
            "Copies or new images?",
            "For each recipe the eight generated images that look most like copies, of the best epoch: "
            "above, generated; in the middle the nearest training image; below the nearest image that was "
            "held out.",
        ),
        _samples,
        quantities={
            "memorisation ratio": _memorisation_ratio,
            "called real": of_runs(
                measure("generated images called real", "points", 100.0, higher=True),
                _generated,
                lambda generated: 100.0 * generated.called_real["generated"],
            ),
        },
        headline=_headline,
    ),
    Part(
        "frechet",
        "the Fréchet distance over the steps",
        explained(
            "How good do they look?",
            "The lowest point is the best epoch. The dashed lines say what the numbers mean: noise, and "
            "other real images. A low distance is no proof of new images: copies have one, too.",
        ),
        _frechet_chart,
    ),
)
