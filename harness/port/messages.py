"""What the harness asks of a side's process, and the replies."""

from typing import Any

import msgspec

from harness.tracing.calls import Trace
from harness.tracing.side import Gradients, InputShape, Loss, Override, Trained, Update


class Build(msgspec.Struct, frozen=True, tag=True):
    """Make the model of a target, ``FILE.py:NAME`` or ``package.module:NAME``, with arguments."""

    target: str
    arguments: dict[str, Any]
    inputs: list[InputShape]


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Parameters, and what trains them."""


class Load(msgspec.Struct, frozen=True, tag=True):
    """Replace parameters."""

    parameters: dict[str, Any]


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Trace one evaluation; with ``outputs_only`` the trace that is sent has no calls."""

    inputs: list[Any]
    training: bool
    overrides: list[Override] = []
    outputs_only: bool = False


class Differentiate(msgspec.Struct, frozen=True, tag=True):
    """Gradients of a loss."""

    inputs: list[Any]
    targets: Any
    loss: Loss


class Train(msgspec.Struct, frozen=True, tag=True):
    """A step on each batch of inputs and targets."""

    batches: list[tuple[list[Any], Any]]
    loss: Loss
    learning_rate: float


Request = Build | Describe | Load | Evaluate | Differentiate | Train


class Built(msgspec.Struct, frozen=True, tag=True):
    """The model is made; ``plugin`` is the name of the plugin that knows its framework.

    ``draws`` as in :class:`harness.tracing.side.Side`.
    """

    framework: str
    versions: dict[str, str]
    own_optimizer: bool
    own_loss: bool
    plugin: str
    backend: str
    draws: bool = False


class Description(msgspec.Struct, frozen=True, tag=True):
    """See :class:`Describe`."""

    parameters: dict[str, Any]
    trained: list[str]
    update: Update | None


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The parameters are replaced."""


class Evaluated(msgspec.Struct, frozen=True, tag=True):
    """See :class:`Evaluate`; parameters that both ends know have no array."""

    trace: Trace


class Differentiated(msgspec.Struct, frozen=True, tag=True):
    """See :class:`Differentiate`."""

    gradients: Gradients


class HasTrained(msgspec.Struct, frozen=True, tag=True):
    """See :class:`Train`."""

    trained: Trained


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request raised; ``message`` is for the user."""

    message: str
    traceback: str


Reply = Built | Description | Loaded | Evaluated | Differentiated | HasTrained | Failed
