"""From a data set to what a program sees: training, validation and test samples as floats."""

import numpy as np

from harness import draws
from harness.spec import Dataset, Precision, Samples, Split

VALIDATION_FRACTION = 0.1


def split_samples(dataset: Dataset, precision: Precision) -> dict[Split, Samples]:
    """The three splits, inputs divided by ``input_divisor``, as float32 (float64 for that precision).

    A tenth of the training data is held out for validation, the same samples for every seed, so
    that curves of different seeds are scored on the same thing. Test data is passed through.
    """
    count = len(dataset.train)
    shuffled = draws.permutation(count, "validation split")
    held_out = round(count * VALIDATION_FRACTION)
    dtype = np.float64 if precision == "float64" else np.float32

    def floats(samples: Samples, rows: np.ndarray | slice) -> Samples:
        inputs = np.divide(samples.inputs[rows], dataset.input_divisor, dtype=dtype)
        return Samples(inputs, np.asarray(samples.targets[rows]))

    return {
        "train": floats(dataset.train, np.sort(shuffled[held_out:])),
        "validation": floats(dataset.train, np.sort(shuffled[:held_out])),
        "test": floats(dataset.test, slice(None)),
    }
