"""The outcomes of a network on test samples: scores, a confusion matrix, sample predictions, its texts.

Small enough to be part of a record: two bytes and a bit for the scores of a sample; 16 images, values of
eight bits. Without NumPy, which the commands that list records do not need.
"""

from typing import Literal

import msgspec


class Example(msgspec.Struct, frozen=True):
    """A test sample: its row, its class, and the predicted class with its probability.

    ``values`` are those of a sequence of one feature, from 0 to 255; an image has none, because it is in a
    file.
    """

    index: int
    target: int
    predicted: int
    probability: float
    values: list[int] = []


class Calibration(msgspec.Struct, frozen=True):
    """The calibration of a classifier: confidence and accuracy in bins of equal width (Guo et al. 2017).

    The confidence of a test sample is the largest probability of a class: of the softmax, or of the sigmoid,
    whichever loss was trained. Bin ``m`` of ``M``, counted from 1, has the samples with a confidence above
    ``(m - 1) / M`` and up to ``m / M``. For each bin, ``counts`` has the number of samples; their mean
    confidence and their accuracy are None in an empty bin. ``expected_error`` is the expected calibration
    error (equation 3): the mean over all samples of the difference between confidence and accuracy in the
    sample's bin.
    """

    counts: list[int]
    confidences: list[float | None]
    accuracies: list[float | None]
    expected_error: float


class Forecast(msgspec.Struct, frozen=True):
    """The first value after each test window: the truth, the forecast, and the last value before.

    Values are in the unit of ``quantity``, one for each ``time`` from ``start`` on.
    """

    truth: list[float]
    forecast: list[float]
    naive: list[float]
    quantity: str
    time: str
    start: float


class SampledTexts(msgspec.Struct, frozen=True):
    """Texts that a language model sampled after the prompt ``start`` (not included).

    Each token was drawn from the softmax of the logits divided by ``temperature``, by the harness's own
    random numbers, the same in every framework.
    """

    texts: list[str]
    start: str
    temperature: float


class Generated(msgspec.Struct, frozen=True):
    """The distances of generated images to training images, and the verdict of the discriminator.

    Distances are Euclidean, in the features of the Fréchet distance: principal components of the training
    images. In pixels the noise of generated images would add to every distance and hide copies. The three
    lists hold the percentiles 0 to 100 of the distances of images to the nearest one of another set:
    generated test images to all training images and to all held-out (test) images, and held-out images to all
    training images.

    ``distance_ratio`` is the median of ``generated_to_train`` divided by the median of
    ``held_out_to_train``: about 1 for a generator of new images, below 1 for a generator that copies, None if
    held-out images are copies. ``copying_z`` is the statistic of Meehan et al. (2020): the standardised
    Mann-Whitney statistic of the same two samples of distances. Below about -3 generated images are nearer to
    training images than new images are. Blurred images are near to all images: ``generated_to_held_out`` is
    then small, too.

    ``called_real`` are the shares of generated, held-out and training images whose logit is above 0.
    ``frechet_of_noise`` and ``frechet_of_training_images`` are Fréchet distances to the validation images:
    reference lines for those of the epochs.
    """

    generated_to_train: list[float]
    generated_to_held_out: list[float]
    held_out_to_train: list[float]
    distance_ratio: float | None
    copying_z: float
    called_real: dict[Literal["generated", "held_out", "train"], float]
    frechet_of_noise: float | None = None
    frechet_of_training_images: float | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """The outcomes with the weights of the best epoch. ``confusion`` counts ``[class][predicted class]``.

    A generator's images are judged with the weights of the last epoch, too: ``generated_at_last``.
    """

    classes: list[str] = []
    confusion: list[list[int]] = []
    examples: list[Example] = []
    forecast: Forecast | None = None
    sampled: SampledTexts | None = None
    calibration: Calibration | None = None
    generated: Generated | None = None
    generated_at_last: Generated | None = None

    def __post_init__(self) -> None:
        """Refuse a damaged record, in which a class has no name."""
        count = len(self.classes)
        labels = [label for one in self.examples for label in (one.target, one.predicted)]
        sizes = [len(self.confusion), *map(len, self.confusion)] if self.confusion else []
        if any(not 0 <= label < count for label in labels) or any(size != count for size in sizes):
            raise ValueError("outcomes name classes that the record does not list")


class SampleScores(msgspec.Struct, frozen=True):
    """The scores of each of ``count`` samples, in order.

    ``losses`` are in units of ``loss_unit``, as float16. ``right`` has a bit for each sample, the highest bit
    of the first byte for the first sample. Where a sample has several positions, ``right_shares`` takes its
    place: the share of right positions, as float16. Both are empty for a regression. All are little-endian;
    :func:`harness.core.training.scoring.unpacked` reads them.
    """

    count: int
    loss_unit: float
    losses: bytes
    right: bytes = b""
    right_shares: bytes = b""

    def __post_init__(self) -> None:
        """Refuse a damaged record, whose parts have other lengths."""
        lengths = {
            "losses": (len(self.losses), [2 * self.count]),
            "right": (len(self.right), [0, -(-self.count // 8)]),
            "right_shares": (len(self.right_shares), [0, 2 * self.count]),
        }
        if wrong := [name for name, (length, right) in lengths.items() if length not in right]:
            raise ValueError(f"{wrong[0]} of the samples have another length than {self.count} samples")


class Drawn(msgspec.Struct, frozen=True):
    """The pictures of a report. ``examples_png`` are the images of the examples, side by side.

    ``course_png`` has a row of a generator's samples for each of the scored epochs at ``course_places``,
    counted from 0. ``neighbours_png`` has three rows: generated images, their nearest training images, and
    their nearest held-out images.
    """

    outcomes: Outcomes | None = None
    examples_png: bytes | None = None
    course_png: bytes | None = None
    course_places: list[int] = []
    neighbours_png: bytes | None = None
