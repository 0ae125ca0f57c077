"""What the harness asks of a side's process, and the replies; arrays travel as they are."""

import os
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from harness.tracing.calls import Trace
from harness.tracing.side import Gradients, InputShape, Loss, Override, Trained, Update

_ARRAY = 1
_LENGTH = struct.Struct("<Q")


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
    """Trace one evaluation."""

    inputs: list[Any]
    training: bool
    overrides: list[Override] = []


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
    """See :class:`Evaluate`."""

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


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    array = np.ascontiguousarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"cannot send {type(value).__name__}")
    head = f"{array.dtype.str};{','.join(map(str, np.shape(value)))};".encode()
    return msgspec.msgpack.Ext(_ARRAY, head + array.tobytes())


def _decode_array(_code: int, data: memoryview) -> np.ndarray:
    content = bytes(data)
    dtype, shape, _ = content.split(b";", 2)
    start = len(dtype) + len(shape) + 2
    sizes = [int(size) for size in shape.decode().split(",") if size]
    return np.frombuffer(content, dtype.decode(), offset=start).reshape(sizes).copy()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_array)
_REQUESTS = msgspec.msgpack.Decoder(Request, ext_hook=_decode_array)
_REPLIES = msgspec.msgpack.Decoder(Reply, ext_hook=_decode_array)


def write(descriptor: int, message: Request | Reply) -> None:
    """Write a message to a pipe, its length first."""
    content = memoryview(_ENCODER.encode(message))
    rest = memoryview(_LENGTH.pack(len(content)))
    for part in (rest, content):
        while part:
            part = part[os.write(descriptor, part[: 1 << 20]) :]  # noqa: PLW2901  what is left of it


def read_request(read: Callable[[int], bytes]) -> Request | None:
    """The next request; None at the end of the pipe."""
    head = read(_LENGTH.size)
    return _REQUESTS.decode(read(_LENGTH.unpack(head)[0])) if head else None


def read_reply(read: Callable[[int], bytes]) -> Reply:
    """The next reply; ``read`` raises at the end of the pipe."""
    reply: Reply = _REPLIES.decode(read(_LENGTH.unpack(read(_LENGTH.size))[0]))
    return reply
