"""What a step of the user's own needs of Keras: seeds, waiting for TensorFlow, arrays.

The process of the step executes this file once keras is imported; it may import nothing of the harness.
"""

import inspect
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras


def seed(number: int) -> None:
    """Seed the generators of Python, NumPy and the engine."""
    keras.utils.set_random_seed(number)


def compute_in_float64() -> None:
    """Make float64 the type of weights and computations where the user's code names none."""
    keras.config.set_floatx("float64")
    # Apart from TensorFlow, results of float64 are cast to float32 where Keras promotes types.
    promotion = inspect.unwrap(keras.backend.result_type).__globals__
    promotion.get("BIT64_TO_BIT32_DTYPE", {}).pop("float64", None)
    if (kept := keras.backend.result_type("float64", "float64")) != "float64":
        raise RuntimeError(f"Keras {keras.__version__} casts results of float64 to {kept}")
    if (
        keras.backend.backend() == "tensorflow"
    ):  # where the scale of attention is of float32 whatever its inputs
        functions = inspect.unwrap(keras.ops.dot_product_attention).__globals__["backend"].nn
        functions.tf = _WideTensorFlow(functions.tf)


class _WideTensorFlow:
    """TensorFlow, with casts to float64 in place of float32."""

    def __init__(self, tensorflow: Any) -> None:
        self._tensorflow = tensorflow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensorflow, name)

    def cast(self, x: Any, dtype: Any, name: str | None = None) -> Any:
        """Cast as ``tensorflow.cast`` does, to float64 where float32 is asked for."""
        single = self._tensorflow.as_dtype(dtype) == self._tensorflow.float32
        return self._tensorflow.cast(x, self._tensorflow.float64 if single else dtype, name)


def synchronize(value: Any) -> None:
    """Wait until the value is computed, by reading it."""
    if hasattr(value, "numpy") and keras.backend.backend() == "tensorflow":
        value.numpy()


def array(value: Any) -> Any:
    """Convert a tensor of the engine to an array of NumPy; other values unchanged."""
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value


def profile(run: Callable[[], None]) -> list[tuple[Any, str, float, float]] | None:
    """Run ``run``, and return the events of TensorFlow's profiler.

    An event is its lane, kind of operation, start and duration in seconds. None on other engines, whose own
    profilers watch.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        try:
            run()
        finally:
            tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        return list(_events(xplane_pb2.XSpace.FromString(file.read_bytes())))


def _events(space: Any) -> Iterator[tuple[Any, str, float, float]]:
    for plane in space.planes:
        for line in plane.lines:
            start = line.timestamp_ns / 1e9
            for event in line.events:
                # Operations are called NAME:KIND; the runtime's own parts have other names.
                found = re.fullmatch(r"[\w./-]+:(\w+)", plane.event_metadata[event.metadata_id].name)
                kind = found[1] if found else ""
                lane = plane.name, line.id
                yield lane, kind, start + event.offset_ps / 1e12, event.duration_ps / 1e12
