"""Models of PyTorch as sides of ``harness port``. Importing this does not import torch."""

import sys
from typing import Any

from harness.tracing.side import later


def claims(built: Any) -> bool:
    """Check for a ``torch.nn.Module`` that is no layer of Keras, which is a module on the engine torch."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(built, torch.nn.Module):
        return False
    return not any(base.__module__.split(".")[0] == "keras" for base in type(built).__mro__)


prepare = later("harness_torch.port.exact", "prepare")
make_side = later("harness_torch.port.side", "TorchSide")
