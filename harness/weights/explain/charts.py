"""Charts of attributions: heat maps of pictures, bars of series and tables, coloured texts."""

import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from harness.core.documents.charts import Row, Spec, ends, field, interval, layer, layered, tips, zero_line
from harness.core.documents.document import Figure, Picture
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import Array
from harness.weights.explain.explained import Explained, Explanation

#: The method that charts show; pictures show all.
SHOWN = "integrated gradients"
RAISES, LOWERS = "#b2182b", "#2166ac"
#: A value is drawn in full colour from this percentile of the absolute values of its map on.
_FULL_COLOUR = 99.0
#: Pixels of a picture on the page, and between two of them.
_TILE, _GAP = 112, 6
_COLUMNS = 32
_MOST_FEATURES = 12
_FILTERS_IN_A_ROW = 16
_PICTURE_AXES = 4
COLOURS = (
    "Red raises the output that is explained, blue lowers it; the strength of a colour is relative to the "
    "strongest of its map."
)


def figures(explanation: Explanation, features: Sequence[str], name: str) -> list[Figure | Picture]:
    """Draw a figure for each sample, and figures of the network as a whole."""
    explained, arrays = explanation.explained, explanation.arrays
    inputs, tokens = arrays["inputs"], arrays["inputs"].dtype.kind == "i"
    drawn: list[Figure | Picture] = []
    for place, answer in enumerate(explained.answers):
        title, id_ = answer.text(explained.classes), f"{name}-{place}"
        values = arrays[SHOWN][place]
        if inputs.ndim == _PICTURE_AXES:
            maps = [arrays[method][place] for method in explained.methods]
            caption = (
                "" if place else f"From left to right: the picture, {', '.join(explained.methods)}. {COLOURS}"
            )
            drawn.append(Picture(id_, caption, _beside(inputs[place], maps), title))
            continue
        caption = "" if place else f"{SHOWN.capitalize()}. {COLOURS}"
        if tokens:
            chart = _text(inputs[place], values, explained.classes)
        elif inputs.ndim > 2:  # noqa: PLR2004  a series has steps and features
            chart = _series(inputs[place], values)
        else:
            chart = _table(inputs[place], values, features)
        drawn.append(Figure(id_, caption, chart, title))
    return [*drawn, *_of_the_network(explained, arrays, features, name)]


def _share(values: Array) -> Array:
    """Scale values to -1 to 1, relative to the strongest."""
    most = float(np.percentile(np.abs(values), _FULL_COLOUR)) or float(np.abs(values).max()) or 1.0
    return np.clip(values / most, -1, 1)


def _coloured(share: Array) -> Array:
    """Return shares ``(...)`` as colours ``(..., 3)`` from 0 to 1: white at 0."""
    strong = np.array([[*bytes.fromhex(colour[1:])] for colour in (LOWERS, RAISES)]) / 255
    strength = np.abs(share)[..., None]
    colours: Array = 1 - strength + strength * strong[(share > 0).astype(int)]
    return colours


def _beside(picture: Array, maps: Sequence[Array]) -> bytes:
    """Draw a picture and its maps in a row, as PNG."""
    shown = picture if picture.shape[-1] == 3 else picture.mean(axis=-1, keepdims=True).repeat(3, axis=-1)  # noqa: PLR2004
    return _row([np.clip(shown, 0, 1), *(_coloured(_share(values)) for values in maps)], _TILE)


def _row(tiles: Sequence[Array], size: int) -> bytes:
    from PIL import Image

    whole = Image.new("RGB", (len(tiles) * (size + _GAP) - _GAP, size), "white")
    for place, tile in enumerate(tiles):
        image = Image.fromarray(np.round(255 * tile).astype(np.uint8))
        whole.paste(image.resize((size, size), Image.Resampling.NEAREST), (place * (size + _GAP), 0))
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def _sign() -> Spec:
    return {"condition": {"test": "datum.relevance > 0", "value": RAISES}, "value": LOWERS}


def _series(inputs: Array, values: Array) -> Spec:
    """Draw the first feature as a line, and the contribution of each step as a bar."""
    steps = zip(inputs[:, 0].tolist(), values.tolist(), strict=True)
    rows: list[Row] = [
        {"step": step, "input": value, "relevance": relevance}
        for step, (value, relevance) in enumerate(steps)
    ]
    tooltip = tips("step:Q", "input:Q", "relevance:Q")
    bars = layer(
        "bar",
        {"width": {"band": 0.9}},
        x=field("step:O", title="step", axis={"labelOverlap": True, "labelAngle": 0}),
        y=field("relevance:Q", title="contribution"),
        color=_sign(),
        tooltip=tooltip,
    )
    line = layer(
        "line",
        {"color": "#8c8c8c", "strokeWidth": 2, "interpolate": "monotone"},
        x=field("step:O"),
        y=field("input:Q", title="input", scale={"zero": False}, axis={"grid": False}),
    )
    chart = layered(rows, bars, line, height=130)
    return {**chart, "resolve": {"scale": {"y": "independent"}}}


def _table(inputs: Array, values: Array, features: Sequence[str]) -> Spec:
    """Draw a bar for each of the features that contribute most."""
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST_FEATURES].tolist()
    rows: list[Row] = [
        {"feature": features[each], "input": float(inputs[each]), "relevance": float(values[each])}
        for each in order
    ]
    names = field("feature:N", title=None, sort=[features[each] for each in order])
    bars = layer(
        "bar",
        y=names,
        x=field("relevance:Q", title="contribution"),
        color=_sign(),
        tooltip=tips("feature:N", "input:Q", "relevance:Q"),
    )
    return layered(rows, bars, zero_line("x"), height=18 * len(rows))


def _text(tokens: npt.NDArray[np.int64], values: Array, classes: Sequence[str]) -> Spec:
    """Draw the characters in lines of equal length, each on a cell of its colour."""
    cells_of = zip(tokens.tolist(), values.tolist(), _share(values).tolist(), strict=True)
    rows: list[Row] = []
    for place, (token, value, share) in enumerate(cells_of):
        text = classes[token] if token < len(classes) else str(token)
        shown = {"\n": "⏎", "\t": "⇥", " ": "·"}.get(text, text)
        line, column = divmod(place, _COLUMNS)
        strength = {"relevance": value, "strength": abs(share)}
        rows.append({"line": line, "column": column, "token": shown, **strength})
    bare = {"axis": None, "scale": {"paddingInner": 0.05, "paddingOuter": 0}}
    x, y = field("column:O", **bare), field("line:O", **bare)
    # Never opaque: the page writes letters in its own colour, dark or light.
    opacity = field("strength:Q", scale={"domain": [0, 1], "range": [0, 0.7]}, legend=None)
    tooltip = tips("token:N", "relevance:Q")
    cells = layer("rect", x=x, y=y, color=_sign(), opacity=opacity, tooltip=tooltip)
    look = {"font": "monospace", "fontSize": 13}
    letters = layer("text", look, x=x, y=y, text=field("token:N"))
    return layered(rows, cells, letters, height=24 * -(-len(rows) // _COLUMNS))


def _of_the_network(
    explained: Explained, arrays: Mapping[str, Array], features: Sequence[str], name: str
) -> Iterator[Figure | Picture]:
    if explained.importance:
        rows: list[Row] = []
        for feature, (mean, deviation) in zip(features, explained.importance, strict=True):
            spread = Estimate(mean, mean - deviation, mean + deviation, 1)
            rows.append({"feature": feature, **ends(spread, "rise")})
        rows.sort(key=lambda row: -row["rise"])  # type: ignore[operator]
        rows = rows[:_MOST_FEATURES]
        y = field("feature:N", title=None, sort=[row["feature"] for row in rows])
        title = "rise of the test loss"
        bars = layer("bar", {"color": "#0072b2"}, y=y, x=field("rise:Q", title=title), tooltip=tips("rise:Q"))
        spreads = interval("x", "rise", y=y, color={"value": "#333333"})
        caption = (
            "How much the test loss rises where a feature is shuffled: mean and deviation over five shuffles."
        )
        chart = layered(rows, bars, spreads, height=18 * len(rows))
        yield Figure(f"{name}-importance", caption, chart, "Permutation importance")
    if "filters" in arrays:
        filters = arrays["filters"][: 2 * _FILTERS_IN_A_ROW]
        if filters.shape[-1] == 3:  # noqa: PLR2004  red, green and blue
            spans = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
            tiles = list(0.5 + filters / (2 * np.where(spans > 0, spans, 1)))
        else:
            tiles = [_coloured(_share(each.mean(axis=-1))) for each in filters]
        caption = "The kernels of the first convolution, each scaled by its own largest value; grey is 0."
        yield Picture(f"{name}-filters", caption, _row(tiles[:_FILTERS_IN_A_ROW], 32), "First-layer filters")
