"""What the harness asks of a side's process, and the replies."""

import os
import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from harness.tracing.calls import InputShape, Loss, Trace, Value
from harness.tracing.side import Gradients, Override, Trained, Update


class Build(msgspec.Struct, frozen=True, tag=True):
    """Make the model of a target, ``FILE.py:NAME`` or ``package.module:NAME``, with arguments.

    Unless ``exact`` it is as its code is, in float32 where that names no other type. It can then only be
    loaded, and evaluated in evaluation mode.
    """

    target: str
    arguments: dict[str, Any]
    inputs: list[InputShape]
    exact: bool = True


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Parameters, and what trains them."""


class Load(msgspec.Struct, frozen=True, tag=True):
    """Replace parameters."""

    parameters: dict[str, Any]


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Trace one evaluation; with ``outputs_only`` the trace that is sent has no calls.

    Parameters that both ends know have no array in the reply.
    """

    inputs: list[Any]
    training: bool
    overrides: list[Override] = []
    outputs_only: bool = False


class Differentiate(msgspec.Struct, frozen=True, tag=True):
    """Gradients of a loss of the output of this name, or of the side's ``own`` loss if it gives one."""

    inputs: list[Any]
    targets: Any
    loss: Loss
    output: str
    own: bool


class Train(msgspec.Struct, frozen=True, tag=True):
    """A step on each batch of inputs and targets."""

    batches: list[tuple[list[Any], Any]]
    loss: Loss
    learning_rate: float
    output: str


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


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request raised; ``message`` is for the user."""

    message: str


#: To a request to trace, differentiate or train the reply is what the side returns.
Reply = Built | Description | Loaded | Trace | Gradients | Trained | Failed


# Messages on a pipe: a head in MessagePack, then the numbers of each array, without further copies.

#: Reads into the beginning of a buffer and says how many bytes; none at the end of the pipe.
ReadInto = Callable[[memoryview], int]

_ARRAY = 1
_LENGTH = struct.Struct("<Q")
_MOST_BYTES = 1 << 20


#: What each reply begins with: the user's code may write to descriptors that it did not open.
MARK_BYTES = 16
#: So much that is no reply may come before one.
_MOST_FOREIGN_BYTES = 1 << 16


class NotAReply(Exception):
    """What comes through the pipe was written by others than the side."""


def write(descriptor: int, message: Request | Reply, mark: bytes = b"") -> None:
    """Write a message to a pipe, after the mark that its reader expects.

    Raises:
        TypeError: something in it cannot be sent; nothing is written then.
    """
    arrays: list[np.ndarray] = []

    def place(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"cannot send {type(value).__name__}")
        arrays.append(array)
        head = f"{array.dtype.str};{','.join(map(str, np.shape(value)))}"
        return msgspec.msgpack.Ext(_ARRAY, head.encode())

    head = msgspec.msgpack.encode(message, enc_hook=place)
    start = memoryview(mark + _LENGTH.pack(len(head)) + head)
    for rest in (start, *map(_bytes_of, arrays)):
        while rest:
            rest = rest[os.write(descriptor, rest[:_MOST_BYTES]) :]  # noqa: PLW2901  what is left of it


def read_request(read: ReadInto) -> Request | None:
    """The next request; None at the end of the pipe."""
    request: Request | None = _read(read, Request)
    return request


def read_reply(read: ReadInto, mark: bytes = b"") -> Reply:
    """The next reply, which begins with the mark; what others wrote before it is left out.

    Raises:
        EOFError: the pipe has ended.
        NotAReply: others wrote into it, or too much before it.
    """
    _skip_to(mark, read)
    try:
        reply: Reply | None = _read(read, Reply)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise NotAReply from error
    if reply is None:
        raise EOFError
    return reply


def _skip_to(mark: bytes, read: ReadInto) -> None:
    """Read as far as the end of the mark."""
    window = bytearray(len(mark))
    if mark and not _fill(window, read):
        raise EOFError
    foreign = 0
    while window != mark:
        foreign += 1
        following = bytearray(1)
        if foreign > _MOST_FOREIGN_BYTES:
            raise NotAReply
        if not _fill(following, read):
            raise EOFError
        window = window[1:] + following


def _read(read: ReadInto, kind: Any) -> Any:
    length = bytearray(_LENGTH.size)
    if not _fill(length, read):
        return None
    head = bytearray(_LENGTH.unpack(length)[0])
    _fill(head, read)
    arrays: list[np.ndarray] = []

    def empty(_code: int, data: memoryview) -> np.ndarray:
        dtype, _, shape = bytes(data).decode().partition(";")
        arrays.append(np.empty([int(size) for size in shape.split(",") if size], dtype))
        return arrays[-1]

    message = msgspec.msgpack.Decoder(kind, ext_hook=empty).decode(head)
    for array in arrays:
        _fill(_bytes_of(array), read)
    return message


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _fill(buffer: bytearray | memoryview, read: ReadInto) -> bool:
    """Read as many bytes as the buffer has; False at the end of the pipe."""
    rest = memoryview(buffer)
    while rest:
        count = read(rest[:_MOST_BYTES])
        if not count:
            return False
        rest = rest[count:]
    return True


# Parameters of a side that both ends of its pipe know, and that need not travel with each trace.


class Sent:
    """At the side's end: how to recognise the parameters that the harness has."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[str, tuple[int, ...], bytes]] = {}

    def add(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._marks |= {name: _mark(array) for name, array in parameters.items()}

    def left_out(self, trace: Trace) -> Trace:
        """The trace without the arrays of parameters that are as the harness knows them."""
        for value in trace.values:
            if value.source == "parameter" and self._marks.get(value.name) == _mark(value.array):
                value.array = None
        return trace


def _mark(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and norm: a model that changes its own parameters, as to limit them, changes the norm."""
    flat = np.ascontiguousarray(array).reshape(-1)
    norm = np.vdot(flat, flat) if flat.dtype.kind == "f" else flat
    return array.dtype.str, array.shape, norm.tobytes()


def filled_in(trace: Trace, parameters: Mapping[str, np.ndarray]) -> Trace:
    """At the harness's end: the trace with the arrays that were left out."""
    for value in trace.values:
        if value.array is None:
            value.array = parameters[value.name]
    return trace


def outputs_of(trace: Trace) -> Trace:
    """A trace of the outputs alone."""
    outputs = [trace.values[place] for place in trace.outputs]
    return Trace([Value("call", each.array, each.name) for each in outputs], [], [], [*range(len(outputs))])
