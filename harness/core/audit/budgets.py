"""The costs and tolerances of the audit: every share and limit of this folder, in one table."""

from typing import NamedTuple

from harness.spec.backend import Precision

#: States are read at most so often, or after this share of a training that has been shorter, and so seldom
#: that reading takes at most this share of the training, or this time; a larger share where the training has
#: taken twice as long as at the last reading.
SEGMENT_SECONDS, SEGMENT_SHARE = 0.2, 0.1
READING_SHARE, DOUBLED_READING_SHARE, LEAST_READING_SECONDS = 0.01, 0.1, 0.05

#: The share of a run that its audit may take, the least time for which a segment is repeated, and the steps
#: of it that are repeated in any case.
AUDIT_SHARE = 0.02
LEAST_REPETITION_SECONDS = 1.0
FEWEST_STEPS = 3
#: About how many calls repeat a segment. Short calls take this much longer than those of the training.
REPEATED_CALLS = 24
SHORT_CALLS = 1.3
#: First losses that are kept, to compare configurations with each other.
FIRST_LOSSES = 9
#: A deviation counts if it is larger than how far rounding sets two repetitions apart, times this.
LOSS_FACTOR, WEIGHTS_FACTOR = 100.0, 10.0
#: Where a deviation would have to exceed this share of a loss, or of the distance that the weights have
#: moved, rounding has separated the two.
SEPARATED, WEIGHTS_SEPARATED = 0.1, 0.5
#: The rounding of each step adds to that of the start: so many times its size over all steps.
ROUNDINGS = 30.0


class Rounding(NamedTuple):
    """The relative distance of neighbouring numbers, and deviations that rounding explains in any training.

    ``loss`` is relative to the size of losses at equal weights, ``updated_loss`` after a step from them:
    under Adam a gradient that is nothing but rounding moves a weight, which changed losses of a GAN by 7e-5.
    ``weights`` is relative to the way that they have moved. ``first_losses`` is that of two frameworks after
    a few steps, ``score`` that of a score.
    """

    epsilon: float
    loss: float
    updated_loss: float
    weights: float
    first_losses: float
    score: float


ROUNDING: dict[Precision, Rounding] = {
    "float64": Rounding(2.0**-52, 1e-9, 1e-8, 1e-6, 1e-6, 1e-3),
    "float32": Rounding(2.0**-23, 1e-5, 1e-4, 1e-3, 1e-3, 1e-3),
    "bfloat16": Rounding(2.0**-8, 0.02, 0.02, 0.05, 0.1, 0.1),
}
#: Losses below this are compared as if they were as large: the rounding of logits does not shrink with them.
LEAST_LOSS = 0.05
