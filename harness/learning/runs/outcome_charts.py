"""What a network made of the test samples: recall, confusions, sample predictions, forecasts."""

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.documents.charts import (
    GREY,
    HEIGHT,
    Colours,
    Row,
    Spec,
    colour_of_rows,
    field,
    figures,
    layer,
    layered,
    multiples,
    scaled,
    tips,
)
from harness.core.documents.document import Figure, Passage, Picture
from harness.core.documents.files import read_png
from harness.core.documents.numbers import counted
from harness.core.runs.page import sampling
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS
from harness.core.training.outcome_records import Example, Outcomes
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import GroupFindings
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run

_RECALL = "recall_"
_CLASS_HEIGHT, _BAR_HEIGHT = 24, 15
_COLUMNS = 4
#: Pixels of a sample prediction: its height, that of its picture, and where the texts above it end and those
#: below it begin; what is left separates it from the next one.
_TILE, _PICTURE, _ABOVE, _BELOW = 120, 58, 15, 76
_BLUE = "#0072b2"
#: Shares below this are not written into a cell.
_LEAST_SHARE = 0.5
TRUTH, NAIVE = "truth", "naive: as the last value"


def outcomes_of(configuration: ConfigurationRuns) -> tuple[Run, Outcomes] | None:
    """Return the first run whose record has outcomes, with these outcomes."""
    known = ((run, run.record.outcomes) for run in configuration.runs)
    return next(((run, seen) for run, seen in known if seen is not None), None)


def recall_chart(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw the recognised share of each class as a bar; several configurations have a panel each."""
    names = _class_names(comparison)
    means: list[Row] = []
    for summary in comparison.summaries:
        for label, values in sorted(_recalls(summary.configuration).items()):
            place: Row = {"configuration": summary.name, "class": names.get(label, str(label))}
            means.append(place | {"recall": round(float(np.mean(values)), 2), "seeds": len(values)})
    if not means:
        return None
    order = list(dict.fromkeys(str(row["class"]) for row in means))
    x = field("recall:Q", title="recall (%)", scale={"domain": [0, 100]}, axis={"values": [0, 50, 100]})
    y = field("class:N", title=None, sort=order)
    tip = tips("configuration:N", "class:N", ("recall:Q", "mean recall (%)"), "seeds:Q")
    written = {"align": "left", "dx": 3, "fontSize": 10}
    chart = layered(
        means,
        layer("bar", {"opacity": 0.75}, x=x, y=y, color=colour_of_rows(means, colours, None), tooltip=tip),
        layer("text", written, x=x, y=y, text=field("recall:Q", format=".0f")),
    )
    panels = list(dict.fromkeys(str(row["configuration"]) for row in means))
    height = _BAR_HEIGHT * len(order)
    return multiples(chart, panels, height) if len(panels) > 1 else {**chart, "height": height}


def _recalls(configuration: ConfigurationRuns) -> dict[int, list[float]]:
    """Return the recall in per cent by class, with the weights of the best epoch: a value for each run."""
    values: dict[int, list[float]] = defaultdict(list)
    for run in configuration.runs:
        for name, score in (run.record.test_at_best or {}).items():
            number = name.removeprefix(_RECALL)
            if number != name and number.isdecimal() and score is not None:
                values[int(number)].append(100 * score)
    return values


def _class_names(comparison: Comparison) -> dict[int, str]:
    known = (outcomes_of(summary.configuration) for summary in comparison.summaries)
    return next((dict(enumerate(found[1].classes)) for found in known if found is not None), {})


def confusion_chart(configuration: ConfigurationRuns) -> Spec | None:
    """Draw the share of the samples of each class that is taken for each class, over all runs."""
    seen = [outcomes for run in configuration.runs if (outcomes := run.record.outcomes) is not None]
    matrices = [np.array(each.confusion) for each in seen if each.confusion]
    if not matrices or len({matrix.shape for matrix in matrices}) > 1:
        return None
    counts = np.sum(matrices, axis=0)
    classes = seen[0].classes
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows: list[Row] = [
        {
            "class": actual,
            "taken for": taken,
            "share": round(float(shares[i, j]), 1),
            "samples": int(counts[i, j]),
        }
        for i, actual in enumerate(classes)
        for j, taken in enumerate(classes)
    ]
    x = field("taken for:N", title="taken for", sort=classes, axis={"labelAngle": -45, "labelLimit": 80})
    y = field("class:N", title="class", sort=classes, axis={"labelLimit": 80})
    shade = field("share:Q", scale={"domain": [0, 100], "range": [0.0, 0.75]}, legend=None)
    tip = tips("class:N", "taken for:N", ("share:Q", "share of the class (%)"), "samples:Q")
    written = {"field": "share", "gte": _LEAST_SHARE}
    return layered(
        rows,
        layer("rect", {"color": _BLUE}, x=x, y=y, opacity=shade, tooltip=tip),
        layer("text", {"fontSize": 11}, where=written, x=x, y=y, text=field("share:Q", format=".0f")),
        height=_CLASS_HEIGHT * len(classes),
    )


def examples_chart(run: Run, outcomes: Outcomes, folder: Path | None) -> Spec | None:
    """Draw sample predictions: mistakes first, then right answers; None where they cannot be drawn."""
    examples = outcomes.examples
    drawn = _curve_rows(examples) if all(one.values for one in examples) else _picture_rows(run, folder)
    if not examples or not drawn:
        return None
    rows: list[Row] = []
    for place, one in enumerate(examples):
        actual, predicted = (outcomes.classes[label] for label in (one.target, one.predicted))
        right = one.target == one.predicted
        sure = f"{100 * one.probability:.0f} % sure"
        above, below = (f"✓ {actual}", sure) if right else (f"✗ {predicted}", f"{sure}\nis {actual}")
        x, y = place % _COLUMNS, place // _COLUMNS
        rows.append(
            {"x": x + 0.5, "y": y, "label": above, "sure": below, "right": "right" if right else "wrong"}
        )
    lines = -(-len(examples) // _COLUMNS)
    tile: Spec = {
        "x": field("x:Q", axis=None, scale={"domain": [0, _COLUMNS], "nice": False}),
        "y": field("y:Q", axis=None, scale={"domain": [lines, 0], "nice": False}),
    }
    colour = scaled("right:N", {"wrong": "#d55e00", "right": "#009e73"}, legend=None)
    if all(one.values for one in examples):
        marks = layer("line", {"strokeWidth": 1.5}, rows=drawn, **tile, color=colour, detail="place:N")
    else:
        look = {"width": _PICTURE, "height": _PICTURE, "smooth": False}
        marks = layer("image", look, rows=drawn, **tile, url="url:N")
    fits = {"limit": {"expr": f"width / {_COLUMNS} - 4"}, "baseline": "top"}
    small = {**fits, "fontSize": 10, "dy": _BELOW, "lineBreak": "\n", "opacity": 0.8}
    return layered(
        rows,
        marks,
        layer("text", {**fits, "fontSize": 11}, **tile, text="label:N"),
        layer("text", small, **tile, text="sure:N"),
        height=_TILE * lines,
    )


def _curve_rows(examples: Sequence[Example]) -> list[Row]:
    """Return sequences as lines within their tiles."""
    return [
        {
            "x": round(place % _COLUMNS + 0.08 + 0.84 * step / max(1, len(one.values) - 1), 3),
            "y": round(place // _COLUMNS + (_ABOVE + _PICTURE * (1 - value / 255)) / _TILE, 3),
            "place": place,
            "right": "right" if one.target == one.predicted else "wrong",
        }
        for place, one in enumerate(examples)
        for step, value in enumerate(one.values)
    ]


def _picture_rows(run: Run, folder: Path | None) -> list[Row]:
    """Return pictures as data, cut from the file next to the record; empty if the file is missing."""
    name, seen = run.record.pictures.examples, run.record.outcomes
    if name is None or folder is None or seen is None or not seen.examples:
        return []
    content = read_png(folder, name)
    pictures = [] if content is None else _side_by_side(content, len(seen.examples))
    return [
        {
            "x": place % _COLUMNS + 0.5,
            "y": place // _COLUMNS + (_ABOVE + _PICTURE / 2) / _TILE,
            "url": "data:image/png;base64," + base64.b64encode(png).decode(),
        }
        for place, png in enumerate(pictures)
    ]


def _side_by_side(content: bytes, count: int) -> list[bytes]:
    """Cut ``count`` pictures of one width from one PNG; none if it is damaged or has another width."""
    from PIL import Image

    pictures = []
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as row:
            width = row.width // count
            for place in range(count if width else 0):
                file = io.BytesIO()
                row.crop((place * width, 0, (place + 1) * width, row.height)).save(file, "PNG")
                pictures.append(file.getvalue())
    except Exception:  # noqa: BLE001  Pillow raises many kinds for a damaged picture
        return []
    return pictures


def forecast_chart(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw truth, forecasts and the naive forecast of the test data, in their unit; of the first seeds."""
    known = [
        (summary.name, found[1].forecast)
        for summary in comparison.summaries
        if (found := outcomes_of(summary.configuration)) and found[1].forecast
    ]
    if not known:
        return None
    first = known[0][1]
    lines = {TRUTH: first.truth, NAIVE: first.naive}
    lines |= {name: forecast.forecast for name, forecast in known if forecast is not None}
    rows: list[Row] = [
        {
            "configuration": name,
            "kind": name if name in {TRUTH, NAIVE} else "forecast",
            "width": 4 if name == TRUTH else 2,
            first.time: first.start + place,
            "value": value,
        }
        for name, values in lines.items()
        for place, value in enumerate(values)
    ]
    shown = {TRUTH: GREY, NAIVE: GREY} | {name: colours[name] for name, _ in known}
    colour = colour_of_rows(rows, shown, "stroke")
    x = field(f"{first.time}:Q", title=first.time, axis={"format": "d"}, scale={"zero": False})
    y = field("value:Q", title=first.quantity)
    dash = scaled("kind:N", {TRUTH: [1, 0], "forecast": [1, 0], NAIVE: [2, 3]}, legend=None)
    width = field("width:O", scale=None, legend=None)
    tip = tips("configuration:N", f"{first.time}:Q", ("value:Q", first.quantity))
    return layered(
        rows,
        layer("line", x=x, y=y, color=colour, strokeDash=dash, strokeWidth=width),
        layer("circle", {"opacity": 0, "size": 40}, x=x, y=y, color=colour, tooltip=tip),
        height=HEIGHT,
    )


#: Configurations whose texts are shown.
_MOST_PASSAGES = 4


def outcome_figures(
    group: GroupFindings, prefix: str, colours: Colours, results: Path | None
) -> list[Figure]:
    """Draw recall, confusions, sample predictions and forecasts, of test samples at the best epoch."""
    comparison = group.comparison
    configurations = [summary.configuration for summary in comparison.summaries]
    first = next((each for each in configurations if outcomes_of(each)), configurations[0])
    found = outcomes_of(first)
    who = f" of {first.name}" if len(comparison.summaries) > 1 else ""
    runs = counted(len(first.runs), "run")
    charts = {
        "recall": (
            "Recall of each class",
            "Share of a class's test samples that is recognised, at the best epoch; mean over runs.",
            recall_chart(comparison, colours),
        ),
        "confusion": (
            f"Confusions{who}",
            f"Of the test samples of each class, the share (%) that is taken for each class; {runs}.",
            confusion_chart(first),
        ),
        "examples": (
            f"Sample predictions{who}",
            "Test samples: the surest mistakes (✗), then right answers (✓), and how sure the network is.",
            examples_chart(*found, results / RUNS.folder if results else None) if found else None,
        ),
        "forecast": (
            "Forecast and truth",
            "Test data; first seed of each. Dotted: the naive forecast, which repeats the last value.",
            forecast_chart(comparison, colours),
        ),
    }
    return figures(prefix, charts)


def group_pictures(group: GroupFindings, prefix: str, results: Path | None) -> list[Picture]:
    """Return generated samples of the first run of the first configuration whose files are in ``results``."""
    if results is None:
        return []
    for summary in group.comparison.summaries:
        for run in summary.configuration.runs:
            if pictures := _generated(run.record, prefix, results / RUNS.folder):
                return pictures
    return []


def sampled_passages(group: GroupFindings, prefix: str) -> list[Passage]:
    """Return texts of the first run of each configuration that has some."""
    comparison = group.comparison
    found = [outcomes_of(summary.configuration) for summary in comparison.summaries]
    sampled = [(run.record, seen.sampled) for run, seen in filter(None, found) if seen.sampled is not None]
    return [
        Passage(
            f"{prefix}-texts-{number}",
            f"{record.configuration.label}, seed {record.seed}, epoch {record.best_epoch}. "
            f"{sampling(texts)}.",
            texts.texts,
            "Sampled text",
        )
        for number, (record, texts) in enumerate(sampled[:_MOST_PASSAGES], 1)
    ]


#: What the picture of neighbours shows.
_NEIGHBOURS = (
    "the eight that look most like copies. Rows from top to bottom: generated, nearest training picture, "
    "nearest held-out picture."
)


def _generated(record: Record, prefix: str, folder: Path) -> list[Picture]:
    who = f"{record.configuration.label}, seed {record.seed}"
    course = record.pictures.course_epochs
    files = (
        (
            "samples-best",
            record.samples_file,
            "Samples of the best epoch",
            f"{who}, epoch {record.best_epoch}.",
        ),
        (
            "samples-last",
            record.pictures.last_samples,
            "Samples of the last epoch",
            f"{who}, epoch {record.epochs[-1].epoch if record.epochs else record.epochs_asked}.",
        ),
        (
            "samples-course",
            record.pictures.course if len(course) > 1 else None,
            "The same samples over the epochs",
            f"{who}. Rows from top to bottom: epochs {', '.join(map(str, course))}.",
        ),
        (
            "samples-neighbours",
            record.pictures.neighbours,
            "Generated pictures and their nearest real ones",
            f"{who}, epoch {record.best_epoch}: {_NEIGHBOURS}",
        ),
    )
    return [
        Picture(f"{prefix}-{kind}", caption, png, title)
        for kind, name, title, caption in files
        if name is not None and (png := read_png(folder, name)) is not None
    ]
