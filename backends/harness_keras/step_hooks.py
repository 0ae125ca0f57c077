"""What a step of the user's own needs of Keras: seeds, waiting for TensorFlow, arrays.

The process of the step executes this file once keras is imported; it may import nothing of the harness.
"""

from typing import Any

import keras


def seed(number: int) -> None:
    """Seed the generators of Python, NumPy and the engine."""
    keras.utils.set_random_seed(number)


def synchronize(value: Any) -> None:
    """Wait until the value is computed, which reading it does."""
    if hasattr(value, "numpy") and keras.backend.backend() == "tensorflow":
        value.numpy()


def array(value: Any) -> Any:
    """A tensor of the engine as an array of NumPy; other values unchanged."""
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
