"""Both models as their code is, mostly in float32: whether one is far less exact than the other.

The comparison is in float64 whatever the code asks for, and does not see an autocast, or a table in bfloat16.
"""

import math
from collections.abc import Sequence

import numpy as np

from harness.port.findings import Cause, PortOptions, SideSpec
from harness.port.remote_side import RemoteSide, Sides
from harness.tracing.calls import InputShape, Trace

#: A side is off by so much, and by so many times as much as the other one. Two right models are off by what
#: their frameworks' orders of summation make, and that is seldom ten times as much on one side.
_OFF, _TIMES = 2e-4, 50.0
#: The error of rounding inputs and parameters alone.
_LEAST = 1e-8


def only_as_written(
    specs: tuple[SideSpec, SideSpec],
    exact: Sides,
    shapes: Sequence[InputShape],
    inputs: list[np.ndarray],
    wanted: tuple[Trace, Trace],
    options: PortOptions,
) -> list[Cause]:
    """The cause if one model as written is far from its outputs in float64, ``wanted``, and the other is not.

    Raises:
        UsageError: one of them cannot be made or evaluated as it is.
    """
    given = [dict(side.parameters) for side in (exact.a, exact.b)]
    with Sides(*specs, options.threads, options.timeout_seconds, exact=False) as sides:
        own = {sides.a: (specs[0], given[0]), sides.b: (specs[1], given[1])}

        def outputs(side: RemoteSide) -> Trace:
            spec, parameters = own[side]
            side.build_as_written(spec.arguments, shapes, parameters)
            return side.outputs(inputs, training=False)

        as_written = sides.both(outputs)
    error_a, error_b = (error(one, of) for one, of in zip(as_written, wanted, strict=True))
    if not is_off(error_a, error_b):
        return []
    worse = max(error_a, error_b)
    return [
        Cause(
            kind="only in float32",
            path_a="outputs",
            path_b="outputs",
            a=f"{error_a:.1e} from its own outputs in float64",
            b=f"{error_b:.1e}",
            before=worse if math.isfinite(worse) else None,
            mode="evaluation",
        )
    ]


def is_off(error_a: float, error_b: float) -> bool:
    """Whether one of two errors is far larger than the other."""
    small, large = sorted((error_a, error_b))
    return large > _OFF and large > _TIMES * max(small, _LEAST)


def error(as_written: Trace, exact: Trace) -> float:
    """The relative error of the worst output in a typical sample.

    A decision that rounding turned in one sample is no error of the model.
    """
    pairs = zip(exact.outputs, as_written.outputs, strict=False)
    return max((_typical(as_written.values[b].array, exact.values[a].array) for a, b in pairs), default=0.0)


def _typical(array: np.ndarray, wanted: np.ndarray) -> float:
    if array.shape != wanted.shape or wanted.dtype.kind != "f" or not wanted.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        gaps = np.where(array == wanted, 0.0, np.abs(array - wanted))
    gaps = np.where(np.isnan(gaps), 0.0 if np.isnan(wanted).any() else math.inf, gaps)
    scale = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)) or 1.0
    samples = gaps.reshape(len(gaps), -1).max(axis=1) if gaps.ndim else gaps
    return float(np.median(samples)) / scale
