"""Models of Keras 3 on any engine as sides of ``harness port``.

The engine is the one that the user's environment or ``keras.json`` names. Importing this module imports
neither Keras nor an engine.
"""

import sys
from collections.abc import Sequence
from typing import Any

from harness.tracing.calls import InputShape
from harness.tracing.side import AsWritten, OwnTraining, Side


def claims(built: Any) -> bool:
    """Whether this is a ``keras.Model`` or another ``keras.Layer``."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(built, keras.layers.Layer)


def prepare() -> None:
    """Make Keras and its engine compute in float64."""
    import keras

    from harness_keras.port import float64

    float64.install()
    keras.utils.set_random_seed(0)  # the same initial values each time


def make_side(built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
    """The side of a model or layer, which is built with these shapes if it is not yet."""
    from harness_keras.port.side import KerasSide

    return KerasSide(built, shapes, own)


def make_as_written(built: Any, shapes: Sequence[InputShape]) -> AsWritten:
    """See :class:`harness.tracing.side.SidePlugin`."""
    from harness_keras.port.side import as_written

    return as_written(built, shapes)
