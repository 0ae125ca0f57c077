"""Parts about generators: images beside their nearest real ones, and the Fréchet distance over epochs."""

from collections.abc import Iterator

from harness.core.documents.charts import GREY, Row, field, layer
from harness.core.documents.document import Figure, Picture
from harness.core.documents.files import read_png
from harness.core.runs.store import RUNS
from harness.core.training.outcome_records import Generated
from harness.learning.runs.run_curves import Run
from harness.learning.study.charts import overlaid
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Part, explained
from harness.learning.study.quantities import measure, of_runs


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
                seen = record.outcomes and record.outcomes.generated
                ratio = f"; distance ratio {seen.distance_ratio:.2f}" if seen and seen.distance_ratio else ""
                caption = f"{variant.name}, seed {record.seed}, epoch {record.best_epoch}{ratio}."
                title = f"{variant.name.capitalize()}: generated, nearest training, nearest held-out"
                yield Picture(f"{prefix}-samples-{number}", caption, png, title)
                break


def _frechet_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the Fréchet distance to validation images over the epochs, beside noise and real images."""
    read = study.curves
    caption = "Mean over seeds. Dashed: noise (above) and training images (below)."
    first = next((run.record.outcomes for run in study.runs if run.record.outcomes), None)
    seen = first.generated if first is not None else None
    levels = [seen.frechet_of_noise, seen.frechet_of_training_images] if seen is not None else []
    lines: list[Row] = [{"level": level} for level in levels if level is not None]
    for figure in overlaid(study, read, list(read), study.measure.key, f"{prefix}-frechet", caption):
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
            "distance ratio": of_runs(
                measure("distance ratio", higher=True), _generated, lambda generated: generated.distance_ratio
            ),
            "copying": of_runs(
                measure("copying statistic", higher=True), _generated, lambda generated: generated.copying_z
            ),
            "called real": of_runs(
                measure("generated images called real", "points", 100.0, higher=True),
                _generated,
                lambda generated: 100.0 * generated.called_real["generated"],
            ),
        },
    ),
    Part(
        "frechet",
        "the Fréchet distance over the epochs",
        explained(
            "How good do they look?",
            "The lowest point is the best epoch. The dashed lines say what the numbers mean: noise, and "
            "other real images. A low distance is no proof of new images: copies have one, too.",
        ),
        _frechet_chart,
    ),
)
