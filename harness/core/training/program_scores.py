"""The scores of a program: of its predictions, and of the images that it generates."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.core.training import draws
from harness.core.training.gan_quality import COMPARED, Judge, Neighbours, chosen
from harness.core.training.initial import initial_weights
from harness.core.training.outcome_records import (
    Calibration,
    Drawn,
    Example,
    Forecast,
    Generated,
    Outcomes,
    SampledTexts,
)
from harness.core.training.scoring import Predict, Scored, area_under_curve, generate, score, softmax
from harness.core.training.splits import at_most
from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AnyLayer,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    PositionEmbedding,
    SelfAttention,
    Unembedding,
)
from harness.network import Network
from harness.spec.backend import Program
from harness.spec.data import Samples, Series, Split
from harness.spec.task import Adversarial, BinaryClassification, Classification, Regression, Task

# Computes :mod:`harness.core.training.outcome_records` from a network's outputs.

#: Half of the samples were classified wrongly, half rightly, as far as there are so many.
MOST_EXAMPLES = 16
#: More classes make no readable matrix.
_MOST_CLASSES = 32
_MOST_VALUES = 64
_MOST_YEARS = 400


def outcomes(
    task: Task, outputs: np.ndarray, test: Samples, classes: tuple[str, ...], series: Series | None
) -> Outcomes | None:
    """Describe the outputs ``(n, …)`` of the test samples; None for tasks without a description."""
    match task.objective:
        case Classification() if not task.predicts_positions():
            return _classified(outputs, test, classes)
        case BinaryClassification():
            # The sigmoid of a logit is the softmax of 0 and the logit.
            return _classified(np.concatenate([np.zeros_like(outputs), outputs], axis=1), test, classes)
        case Regression() if series is not None:
            return Outcomes(forecast=_forecast(outputs, test, series))
        case _:
            return None


def _classified(logits: np.ndarray, test: Samples, classes: tuple[str, ...]) -> Outcomes:
    values = logits.astype(np.float64)
    predicted = values.argmax(axis=1)
    count = max(len(classes), values.shape[1])
    names = [*classes, *map(str, range(len(classes), count))]
    confusion: list[list[int]] = []
    if count <= _MOST_CLASSES:
        cells = np.bincount(test.targets * count + predicted, minlength=count**2)
        confusion = cells.reshape(count, count).tolist()
    sure = softmax(values).max(axis=1)
    return Outcomes(
        names,
        confusion,
        _examples(sure, predicted, test),
        calibration=calibration(sure, predicted == test.targets),
    )


def calibration(confidences: np.ndarray, right: np.ndarray, bins: int = 15) -> Calibration | None:
    """Measure the calibration of predictions from ``confidences`` and ``right``, both ``(n,)``.

    None without samples, or where a confidence is not finite.
    """
    if not len(confidences) or not np.isfinite(confidences).all():
        return None
    places = np.clip(np.ceil(bins * confidences).astype(int) - 1, 0, bins - 1)
    counts, sure, correct = (
        np.bincount(places, weights, bins) for weights in (None, confidences, right.astype(np.float64))
    )

    def means(sums: np.ndarray) -> list[float | None]:
        pairs = zip(sums.tolist(), counts.tolist(), strict=True)
        return [round(total / count, 6) if count else None for total, count in pairs]

    error = float(np.abs(sure - correct).sum() / len(confidences))
    return Calibration([int(count) for count in counts], means(sure), means(correct), error)


def _examples(sure: np.ndarray, predicted: np.ndarray, test: Samples) -> list[Example]:
    """Choose the most confident mistakes, then right answers: the first of each class, then the next."""
    right = predicted == test.targets
    half = MOST_EXAMPLES // 2
    wrong = np.flatnonzero(~right & np.isfinite(sure))
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:half].tolist()
    turns: dict[int, int] = {}
    ordered = []
    for row in np.flatnonzero(right).tolist():
        label = int(test.targets[row])
        turns[label] = turns.get(label, -1) + 1
        ordered.append((turns[label], row))
    chosen += [row for _, row in sorted(ordered)[:half]]
    return [
        Example(
            row,
            int(test.targets[row]),
            int(predicted[row]),
            round(float(sure[row]), 4),
            _eight_bits(test.inputs[row]),
        )
        for row in chosen
    ]


def _eight_bits(values: np.ndarray) -> list[int]:
    """Scale a sequence ``(steps, 1)`` to 0 to 255; empty for other samples."""
    if values.ndim != 2 or values.shape[1] != 1:  # noqa: PLR2004  (steps, features)
        return []
    curve = values[:: -(-len(values) // _MOST_VALUES), 0].astype(np.float64)
    span = float(np.ptp(curve)) or 1.0
    scaled: list[int] = np.round(255 * (curve - curve.min()) / span).astype(int).tolist()
    return scaled


def _forecast(outputs: np.ndarray, test: Samples, series: Series) -> Forecast:
    columns = (test.targets[:, 0], outputs[:, 0], test.inputs[:, -1, 0])
    truth, forecast, naive = (
        np.round(column[:_MOST_YEARS].astype(np.float64) * series.scale + series.offset, 2).tolist()
        for column in columns
    )
    return Forecast(truth, forecast, naive, series.quantity, series.time, series.test_start)


# Generated images beside the real ones.


def generated(
    neighbours: Neighbours,
    called_real: dict[Literal["generated", "held_out", "train"], float],
    references: tuple[float, float] | None,
) -> Generated:
    """Summarize the distances of generated images to their nearest real images."""
    ours, theirs = neighbours.generated_to_train.distances, neighbours.held_out_to_train.distances
    median = float(np.median(theirs))
    of_noise, of_training_images = references or (None, None)
    return Generated(
        _percentiles(ours),
        _percentiles(neighbours.generated_to_held_out.distances),
        _percentiles(theirs),
        distance_ratio=float(np.median(ours)) / median if median else None,
        copying_z=_standardized_ranks(ours, theirs),
        called_real=called_real,
        frechet_of_noise=of_noise,
        frechet_of_training_images=of_training_images,
    )


def _percentiles(distances: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in np.percentile(distances, range(101))]


def _standardized_ranks(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Compute Mann and Whitney's statistic, normally approximated; negative where ``ours`` are smaller."""
    first, second = len(ours), len(theirs)
    belongs = np.repeat([1, 0], [first, second])
    larger = area_under_curve(np.concatenate([ours, theirs]), belongs)
    assert larger is not None  # noqa: S101  there are samples of both, and all are finite
    return float((larger - 0.5) * np.sqrt(12.0 * first * second / (first + second + 1)))


# Texts drawn from a language model, by the same random numbers for every framework.

TEMPERATURE = 0.8
#: All texts are continued by one call of the network for each token, so their number costs less than their
#: length: compiled backends fill up a call of fewer samples.
TEXTS, TOKENS = 4, 100
_START = "\n"


def sampled_texts(task: Task, predict: Predict, classes: tuple[str, ...], seed: int) -> SampledTexts | None:
    """Sample texts that the network ``model`` continues from a line end; ``classes`` are the tokens as texts.

    Without a line end among the tokens, texts start with the first token. None if the network is no causal
    language model of these tokens, or if its outputs are not finite.
    """
    network = task.networks.get("model")
    if network is None or not task.predicts_positions() or not _continues(network, len(classes)):
        return None
    start = _START if _START in classes else classes[0]
    (context,) = network.input_shape
    uniform = draws.uniform((TOKENS, TEXTS), seed, "sampled texts")
    tokens = np.zeros((TEXTS, 1 + TOKENS), np.int64)
    tokens[:, 0] = classes.index(start)
    for place in range(1, 1 + TOKENS):
        # The inputs have one shape, or some frameworks would compile again: behind the last token follow
        # zeros, which a causal network does not see.
        first = max(0, place - context)
        window = np.zeros((TEXTS, context), np.int64)
        window[:, : place - first] = tokens[:, first:place]
        logits = predict(window, "model")[:, place - first - 1]
        if not np.isfinite(logits).all():
            return None
        tokens[:, place] = drawn_tokens(logits, uniform[place - 1])
    separator = "" if all(len(token) == 1 for token in classes) else " "
    texts = [separator.join(classes[token] for token in row[1:]) for row in tokens.tolist()]
    return SampledTexts(texts, start, TEMPERATURE)


def drawn_tokens(logits: npt.NDArray[np.floating], uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Draw a token for each row of logits ``(n, classes)``, by a number from [0, 1) each ``(n,)``."""
    values = logits.astype(np.float64) / TEMPERATURE
    shares = np.cumsum(np.exp(values - values.max(axis=1, keepdims=True)), axis=1)
    drawn = (shares <= uniform[:, None] * shares[:, -1:]).sum(axis=1)
    tokens: npt.NDArray[np.int64] = np.minimum(drawn, logits.shape[1] - 1).astype(np.int64)
    return tokens


def _continues(network: Network, tokens: int) -> bool:
    """Check that each output predicts the next of these tokens, and depends on no later input."""
    vocabulary, shape = network.vocabulary(), network.output_shape()
    fits = vocabulary == tokens and shape == (*network.input_shape, tokens)
    return fits and all(_is_causal(place.layer) for place in network.leaves())


def _is_causal(layer: AnyLayer) -> bool:
    match layer:
        case SelfAttention(causal=causal):
            return causal
        case GRU(bidirectional=bidirectional) | LSTM(bidirectional=bidirectional):
            return not bidirectional
        case _:
            return isinstance(layer, _POSITIONWISE)


_POSITIONWISE = (Activation, Dense, Dropout, Embedding, LayerNorm, PositionEmbedding, Unembedding)


# Grids of images, as PNG: generated samples, the same samples epoch by epoch, classified samples.

_GRID = 8
_SHOWN_CHANNELS = (1, 3)
#: Rows of a grid of samples over the epochs.
_MOST_ROWS = 10


def sample_grid(fakes: np.ndarray) -> bytes | None:
    """Draw the first 64 images ``(n, height, width, channels)`` in [0, 1] as one PNG, eight a row, doubled.

    Grey lines separate them. One channel is shown as grey, three as red, green and blue; None for other
    numbers.
    """
    return _lined(fakes[: _GRID**2])


def first_samples(fakes: np.ndarray) -> np.ndarray:
    """Return the eight images that show the course of a training, with eight bits."""
    images: np.ndarray = np.round(255 * np.clip(fakes[:_GRID], 0.0, 1.0)).astype(np.uint8)
    return images


def shown_epochs(count: int) -> list[int]:
    """Choose the places of at most ten of ``count`` scored epochs, evenly, with the first and the last."""
    return sorted(set(np.linspace(0, count - 1, min(count, _MOST_ROWS)).round().astype(int).tolist()))


def epochs_grid(rows: Sequence[np.ndarray]) -> bytes | None:
    """Draw a row of eight images, of :func:`first_samples`, for each of these epochs."""
    return _lined(np.concatenate(rows) / 255.0) if rows else None


def image_row(images: np.ndarray) -> bytes | None:
    """Draw images ``(n, height, width, channels)`` of a data set side by side; None if they are no images.

    Values of another type than uint8 are from 0 to 1.
    """
    if not _is_shown(images):
        return None
    values = images / 255.0 if images.dtype == np.uint8 else images
    return _png(values, 1, len(images))


def neighbours_grid(
    fakes: np.ndarray, train: np.ndarray, held_out: np.ndarray, found: Neighbours
) -> bytes | None:
    """Draw the eight generated images that look most like copies, above their nearest real images.

    Generated images are chosen whose nearest training image is nearest, relative to the nearest held-out
    image. The first row is generated, below are the training images, then the held-out images.
    """
    to_train, to_held_out = found.generated_to_train, found.generated_to_held_out
    ratios = to_train.distances / np.maximum(to_held_out.distances, np.finfo(np.float64).tiny)
    shown = np.argsort(ratios, kind="stable")[:_GRID]
    rows = [fakes[shown], train[to_train.places[shown]], held_out[to_held_out.places[shown]]]
    return _lined(np.concatenate(rows), len(shown))


def _lined(images: np.ndarray, columns: int = _GRID) -> bytes | None:
    """Draw images in rows, doubled, with grey lines between them."""
    if not _is_shown(images):
        return None
    return _png(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5), 2, columns)


def _is_shown(images: np.ndarray) -> bool:
    return images.ndim == 4 and images.shape[-1] in _SHOWN_CHANNELS and len(images) > 0  # noqa: PLR2004


def _png(shown: np.ndarray, zoom: int, columns: int = _GRID) -> bytes:
    from PIL import Image

    count, height, width, channels = shown.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels))
    canvas[:count] = np.clip(shown, 0.0, 1.0)
    table = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    pixels = np.round(255 * table.reshape(rows * height, columns * width, channels)).astype(np.uint8)
    if channels == 1:
        pixels = pixels.repeat(3, axis=2)
    file = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((zoom, zoom, 1), np.uint8))).save(file, "PNG")
    return file.getvalue()


def current_weights(program: Program) -> dict[str, np.ndarray]:
    """Copy the weights for :meth:`Program.load`: float64, in memory of their own."""
    return {name: np.array(value, np.float64, order="C") for name, value in program.weights().items()}


class Scorer:
    """Scores programs of one task on these splits; ``seed`` is that of their initial weights.

    ``classes`` and ``series`` are those of the data set, for what a report draws.
    """

    def __init__(
        self,
        task: Task,
        splits: dict[Split, Samples],
        seed: int,
        classes: tuple[str, ...] = (),
        series: Series | None = None,
    ) -> None:
        self._task = task
        self._classes, self._series = classes, series
        self._outputs: np.ndarray | None = None
        self._course: list[np.ndarray] = []
        self._splits = splits
        self._chosen: dict[tuple[Split, int | None], Samples] = {}
        self._seed = seed
        self._judge: Judge | None = None
        self._fakes: np.ndarray | None = None
        self._validated: np.ndarray | None = None
        #: A grid of generated images as PNG, of the test scores of an adversarial task.
        self.samples_png: bytes | None = None

    def scores(self, program: Program, split: Split, most: int | None = None) -> Scored:
        """Score a split, or ``most`` of its samples.

        For the training split the same samples are scored each time, by default as many as there are for
        validation. Generated images of the test split are compared with baselines too.
        """
        real, objective = self.samples(split, most), self._task.objective
        scored = score(self._task, program.predict, real)
        if split == "test":
            self._outputs = scored.outputs
        scored = scored._replace(outputs=None)  # of many samples; whoever keeps the scores needs none
        if not isinstance(objective, Adversarial):
            return scored
        self._judge = self._judge or Judge(self._splits["train"])
        fakes = generate(objective, program.predict, real)
        if split == "validation":
            self._course.append(first_samples(fakes))
            self._validated = real.inputs
        if split != "test":
            return Scored(scored.scores | self._judge.distance(real.inputs, fakes))
        scores = scored.scores | self._judge.verdict(real.inputs, fakes)
        self.samples_png, self._fakes = sample_grid(fakes), fakes
        return Scored(scores | self._judge.baselines(real.inputs, self._untrained(program, objective, real)))

    def samples(self, split: Split, most: int | None = None) -> Samples:
        """Return the samples of a split that :meth:`scores` scores, the same at every call."""
        if split == "train":
            count = len(self._splits["validation"])
            part_per_epoch = self._task.samples_per_epoch is not None
            most = count if most is None else min(most, count) if part_per_epoch else most
        if (split, most) not in self._chosen:
            self._chosen[split, most] = at_most(self._splits[split], most)
        return self._chosen[split, most]

    def drawn(self, program: Program) -> Drawn:
        """Draw the test samples that were scored last, and a generator's course, for a report.

        For a language model, the program predicts texts.
        """
        if texts := sampled_texts(self._task, program.predict, self._classes, self._seed):
            return Drawn(Outcomes(sampled=texts))
        if self._outputs is None:
            return self._drawn_images(program)
        test = self._splits["test"]
        seen = outcomes(self._task, self._outputs, test, self._classes, self._series)
        rows = [one.index for one in seen.examples] if seen is not None else []
        return Drawn(seen, image_row(test.inputs[rows]) if rows else None)

    def _drawn_images(self, program: Program) -> Drawn:
        shown = shown_epochs(len(self._course))
        course = epochs_grid([self._course[place] for place in shown])
        if self._judge is None or self._fakes is None or not np.isfinite(self._fakes).all():
            return Drawn(course_png=course, course_places=shown)
        train, held_out = self._splits["train"].inputs, self._splits["test"].inputs
        found = self._judge.neighbours(held_out, self._fakes)
        images: dict[Literal["generated", "held_out", "train"], np.ndarray] = {
            "generated": self._fakes,
            "held_out": held_out,
            "train": train,
        }
        called_real = {
            name: float((program.predict(chosen(each, COMPARED), "discriminator") > 0).mean())
            for name, each in images.items()
        }
        references = None if self._validated is None else self._judge.references(self._validated)
        return Drawn(
            Outcomes(generated=generated(found, called_real, references)),
            course_png=course,
            course_places=shown,
            neighbours_png=neighbours_grid(self._fakes, train, held_out, found),
        )

    def _untrained(self, program: Program, objective: Adversarial, real: Samples) -> np.ndarray:
        """Make images by the generator with its initial weights."""
        trained = current_weights(program)
        program.load(initial_weights(self._task, self._seed))
        fakes = generate(objective, program.predict, real)
        program.load(trained)
        return fakes
