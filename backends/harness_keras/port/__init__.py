"""Models of Keras 3 on any engine as sides of ``harness port``.

The engine is the one that the user's environment or ``keras.json`` names. Importing this module imports
neither Keras nor an engine.
"""

import sys
from collections.abc import Sequence
from typing import Any

from harness.tracing.side import InputShape, OwnTraining, Side


def variables() -> dict[str, str]:
    """What the environment must hold before the framework is imported: float64 in JAX, and the CPU alone."""
    return {
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_ENABLE_X64": "1",
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }


def claims(built: Any) -> bool:
    """Whether this is a ``keras.Model`` or another ``keras.Layer``."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(built, keras.layers.Layer)


def prepare() -> None:
    """Make Keras and its engine compute in float64."""
    from harness_keras.port import float64

    float64.install()


def make_side(built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
    """The side of a model or layer, which is built with these shapes if it is not yet."""
    from harness_keras.port.side import KerasSide

    return KerasSide(built, shapes, own)
