"""Models of Keras 3 on any engine as sides of ``harness port``.

The engine is the one that the user's environment or ``keras.json`` names. Importing this module imports
neither Keras nor an engine.
"""

import sys
from typing import Any

from harness.tracing.side import later


def claims(built: Any) -> bool:
    """Check that ``built`` is a ``keras.Model`` or another ``keras.Layer``."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(built, keras.layers.Layer)


prepare = later("harness_keras.port.float64", "prepare")
make_side = later("harness_keras.port.side", "KerasSide")
