"""What a step of the user's own needs of JAX: waiting for its value. Its random keys are explicit.

The process of the step executes this file once jax is imported; it may import nothing of the harness.
"""

import functools
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy


def compute_in_float64() -> None:
    """Make 64 bits the default, even for code that names ``jax.numpy.float32`` or passes NumPy arrays."""
    jax.config.update("jax_enable_x64", True)
    # The library's attention names NumPy's type; other libraries of the process, such as TensorFlow, need it.
    inspect.unwrap(jax.nn.dot_product_attention).__globals__["np"] = _WideNumPy()
    jax.numpy.float32 = jax.numpy.float64
    jax.numpy.int32 = jax.numpy.int64  # a quotient of 32-bit integers, such as a schedule's, is single
    for module, name in ((jax.numpy, "asarray"), (jax.numpy, "array"), (jax, "device_put")):
        setattr(module, name, _doubling(getattr(module, name)))


class _WideNumPy:
    """NumPy, with float64 in place of float32."""

    float32 = numpy.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(numpy, name)


def _doubling(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with double results in place of single: a convolution takes no mix of types."""

    @functools.wraps(function)
    def doubled(*args: Any, **kwargs: Any) -> Any:
        return jax.tree.map(_doubled, function(*args, **kwargs))

    return doubled


def _doubled(made: Any) -> Any:
    wider = {"float32": "float64", "int32": "int64"}.get(str(made.dtype))
    return made if wider is None else made.astype(wider)


def synchronize(value: Any) -> None:
    """Wait until the value is computed."""
    jax.block_until_ready(value)


def profile(run: Callable[[], None]) -> list[tuple[Any, str, float, float]] | None:
    """Run ``run``, and return the events of XLA's profiler: lane, operation, start and duration in seconds.

    None for versions of JAX that cannot read their own profiles.
    """
    if not hasattr(jax.profiler, "ProfileData"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (file,) = Path(folder).rglob("*.xplane.pb")
        return list(_events(jax.profiler.ProfileData.from_file(str(file))))


def _events(data: Any) -> Iterator[tuple[Any, str, float, float]]:
    for plane in data.planes:
        for line in plane.lines:
            if line.name.startswith("tf_XLA") or plane.name.startswith("/device"):
                for event in line.events:
                    yield (
                        (plane.name, line.name),
                        _operation(event.name),
                        event.start_ns / 1e9,
                        event.duration_ns / 1e9,
                    )


def _operation(name: str) -> str:
    """Return the operation of an event without its number; empty for events of the runtime itself."""
    return "" if not re.fullmatch(r"[\w.-]+", name) else re.sub(r"(\.\d+)+$", "", name)
