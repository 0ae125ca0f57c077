"""What a network made of the test samples: their scores, a confusion matrix, sample predictions, its texts.

Small enough to be part of a record: two bytes and a bit for the scores of a sample; 16 images, values of
eight bits. Without NumPy, which the commands that list records do not need.
"""

from typing import Literal

import msgspec


class Example(msgspec.Struct, frozen=True):
    """A test sample: its row, its class, and the class that the network gives it with which probability.

    ``values`` are those of a sequence of one feature, from 0 to 255; an image has none, it is in a file.
    """

    index: int
    target: int
    predicted: int
    probability: float
    values: list[int] = []


class Calibration(msgspec.Struct, frozen=True):
    """How far the confidence of a classifier is from its accuracy, in bins of equal width (Guo et al. 2017).

    The confidence of a test sample is the largest probability of a class: of the softmax, or of the sigmoid,
    whichever loss was trained. Bin ``m`` of ``M``, counted from 1, has the samples with a confidence above
    ``(m - 1) / M`` and up to ``m / M``. Of each bin there are the number of its samples in ``counts``, their
    mean confidence and their accuracy, None in an empty bin. ``expected_error`` is the expected calibration
    error (equation 3): the mean over all samples of the difference of both in their bin.
    """

    counts: list[int]
    confidences: list[float | None]
    accuracies: list[float | None]
    expected_error: float


class Forecast(msgspec.Struct, frozen=True):
    """The first value after each test window: the truth, the forecast, and the last value before.

    They are in the unit of ``quantity``, one for each ``time`` from ``start`` on.
    """

    truth: list[float]
    forecast: list[float]
    naive: list[float]
    quantity: str
    time: str
    start: float


class SampledTexts(msgspec.Struct, frozen=True):
    """``texts`` that a language model continued from ``start``, which they do not repeat.

    Each token was drawn from the softmax of the logits divided by ``temperature``, by random numbers of the
    harness's, the same in every framework.
    """

    texts: list[str]
    start: str
    temperature: float


class Generated(msgspec.Struct, frozen=True):
    """How near generated images are to training images, and what the discriminator makes of them.

    Distances are Euclidean, in the features of the Fréchet distance: principal components of the training
    images. In pixels the noise of generated images would add to every distance and hide copies. The three
    lists hold the percentiles 0 to 100 of the distances of images to the nearest one of another set:
    generated test images to all training images and to all held-out (test) images, and held-out images to all
    training images.

    ``distance_ratio`` is the median of ``generated_to_train`` divided by that of ``held_out_to_train``: about
    1 for a generator of new images, below 1 for one that copies, None where held-out images are copies.
    ``copying_z`` is the statistic of Meehan et al. (2020): that of Mann and Whitney for the same two
    samples of distances, standardised. Below about -3 generated images are nearer to training images than new
    ones are. Blurred images are near to all others: with them ``generated_to_held_out`` is small too.

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
    """With the weights of the best epoch. ``confusion`` counts ``[class][predicted class]``.

    ``generated``, of a generator, is with those of the last epoch too.
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
    """The scores of each of ``count`` test samples, in their order.

    ``losses`` are in units of ``loss_unit``, as float16. ``right`` has a bit for each sample, the first one
    the highest of the first byte; ``right_shares``, in its place where a sample has several positions, the
    share of them that is right, as float16. Both are empty for a regression. All are little-endian;
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
    """What a report draws. ``examples_png`` are the images of the examples, side by side.

    ``course_png`` has a row of a generator's samples for each of the scored epochs at ``course_places``,
    counted from 0. ``neighbours_png`` has three rows: generated images, their nearest training images, and
    their nearest held-out images.
    """

    outcomes: Outcomes | None = None
    examples_png: bytes | None = None
    course_png: bytes | None = None
    course_places: list[int] = []
    neighbours_png: bytes | None = None
