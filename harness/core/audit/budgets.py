"""The costs and tolerances of the audit: every share and limit of this folder, in one table."""

from typing import NamedTuple

from harness.spec.backend import Precision

#: Of the time of a training that may be missing from the reports of its worker, and of the CPU time that may
#: exceed them; what is missing must be this time, too.
MISSING_SHARE = 0.1
MISSING_SECONDS = 0.05
#: Beside other programs that are busy, so much must be missing that no delay by them explains it.
MOST_MISSING_SHARE = 2 / 3
#: The delivery of a call's messages can take so much longer than that of empty ones, whatever others do.
DELIVERY_SECONDS = 1e-4
#: A machine is quiet if other programs use less than this share of the worker's CPUs.
OTHERS_SHARE = 0.1
#: Programs that share caches, memory and cores make the same work take at most this many times the CPU time.
CONTENTION = 2.5
#: A step of a run costs at least this share of one whose samples were drawn after the run.
KNOWN_SHARE = 0.4
#: The calls of that test: their least duration and number, and how many more there are if they are slow.
NEW_ORDER_SECONDS, NEW_ORDER_CALLS, NEW_ORDER_REPETITIONS = 0.05, 2, 3
#: It is left out where it would take a larger share of the training than this, and more than this time.
NEW_ORDER_SHARE, NEW_ORDER_LEAST_SECONDS = 0.05, 0.5
#: If they stay slow, the beginning of the run is repeated in both orders in turn: about how long a call in
#: the run's order takes, how many turns there are, and in how many that order may cost as much as a new one.
TURN_SECONDS, TURNS, DEARER_TURNS = 0.02, 20, 1
#: Turns end after this time, or this share of the training.
TURNS_SECONDS, TURNS_SHARE = 60.0, 0.1

#: A worker is stopped after calls of this time in a run: stopping takes up to 20 ms.
STOPPED_AFTER_SECONDS = 0.2

#: States are read at most so often, or after this share of a training that has been shorter, and so seldom
#: that reading takes at most this share of the training, or this time; a larger share where the training has
#: taken twice as long as at the last reading.
SEGMENT_SECONDS, SEGMENT_SHARE = 0.2, 0.1
READING_SHARE, DOUBLED_READING_SHARE, LEAST_READING_SECONDS = 0.01, 0.1, 0.05
#: Whole segments between two readings that are drawn and kept, beside the newest; from all, and from those
#: whose ends were scored.
KEPT_SEGMENTS, KEPT_SCORED_SEGMENTS = 4, 2
#: In which of so many first pairs of a duel a workload is repeated is drawn; no judgement needs fewer. A
#: program that uses what another process left behind would be honest in a first one that is known to be
#: repeated.
FIRST_PAIRS = 3

#: The share of a run that its audit may take, and the steps of a segment that are repeated in any case.
AUDIT_SHARE = 0.02
FEWEST_STEPS = 3
#: Of a third-party backend the segments that prove a training are repeated in any case, and others for at
#: least this time.
LEAST_REPETITION_SECONDS = 1.0
#: About how many calls repeat a segment. Short calls take this much longer than those of the training.
REPEATED_CALLS = 24
SHORT_CALLS = 1.3
#: A program that takes longer to build repeats its own work, and one that compiles: whose first step takes
#: longer than this, and than this share of what the audit may take.
LONGEST_BUILD_SECONDS = 2.0
LONGEST_FIRST_STEP_SECONDS, FIRST_STEP_SHARE = 0.4, 0.5

#: First losses that are kept, to compare configurations with each other.
FIRST_LOSSES = 9
#: Budget of the recomputation in NumPy: seconds for the first steps, at least so many of them, and later
#: steps of a repetition; then samples of each split to score, within a limit of operations, and epochs of
#: which they are scored beside the last.
NUMPY_SECONDS, NUMPY_FEWEST_STEPS, NUMPY_LATER_STEPS = 1.0, 2, 4
SCORED_ROWS, SCORED_FLOPS, SCORED_EPOCHS = 200, 20_000_000_000, 2
#: The rounding of a program in float32 beside one in float64, in units of the distance of neighbouring
#: numbers.
NUMPY_ROUNDINGS = 32.0

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
    a few steps, ``score`` that of a sample's score.
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
#: Of the drawn samples of a split, so many may have another score than in NumPy: two classes of almost the
#: same logit, or logits so large that their rounding shows.
ROUNDED_SHARE = 0.05
#: By how much a score may differ from the mean of those of the samples.
MEAN_TOLERANCE = 1e-6
