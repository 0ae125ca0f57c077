"""What goes into a model, and what it is trained for."""

from typing import Literal

import msgspec

Loss = Literal["cross-entropy", "mse"]


class InputShape(msgspec.Struct, frozen=True):
    """An input without its batch axis, channels last. Integers are from 0 to ``maximum`` exclusive."""

    shape: tuple[int, ...]
    integer: bool = False
    maximum: int = 0
