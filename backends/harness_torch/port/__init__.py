"""Models of PyTorch as sides of ``harness port``. Importing this does not import torch."""

import sys
from collections.abc import Sequence
from typing import Any

from harness.tracing.calls import InputShape
from harness.tracing.side import AsWritten, OwnTraining, Side


def claims(built: Any) -> bool:
    """Whether it is a ``torch.nn.Module``, but no layer of Keras, which is one too on the engine torch."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(built, torch.nn.Module):
        return False
    return not any(base.__module__.split(".")[0] == "keras" for base in type(built).__mro__)


def prepare() -> None:
    """Make torch compute in float64, by functions rather than by fused paths and compiled code."""
    from harness_torch.port.exact import prepare_torch

    prepare_torch()


def make_side(built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
    """The side of a module.

    Raises:
        UsageError: the module cannot be evaluated with inputs of these shapes.
    """
    from harness_torch.port.side import TorchSide

    return TorchSide(built, shapes, own)


def make_as_written(built: Any, shapes: Sequence[InputShape]) -> AsWritten:
    """See :class:`harness.tracing.side.SidePlugin`.

    Raises:
        UsageError: the module cannot be evaluated with inputs of these shapes.
    """
    from harness_torch.port.side import as_written

    return as_written(built, shapes)
