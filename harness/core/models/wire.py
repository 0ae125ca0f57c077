"""Messages on a pipe: a head in MessagePack, then the bytes of each array, without further copies."""

import os
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from harness.core.models.messages import Reply, Request

#: Reads into the beginning of a buffer and returns the number of bytes, 0 at the end of the pipe.
ReadInto = Callable[[memoryview], int]
_ARRAY = 1
_LENGTH = struct.Struct("<Q")
_MOST_BYTES = 1 << 20
#: Length of the mark that begins each reply: the user's code may write to descriptors that it did not open.
MARK_BYTES = 16
#: Foreign bytes that may precede a reply.
_MOST_FOREIGN_BYTES = 1 << 16


class NotAReply(Exception):
    """The bytes in the pipe were not written by the side."""


def write(descriptor: int, message: Request | Reply, mark: bytes = b"") -> None:
    """Write ``message`` to the pipe ``descriptor``, after the ``mark`` that its reader expects."""
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
    """Return the next request; None at the end of the pipe."""
    request: Request | None = _read(read, Request)
    return request


def read_reply(read: ReadInto, mark: bytes = b"") -> Reply:
    """Return the next reply, which begins with ``mark``; foreign bytes before the mark are skipped."""
    _skip_to(mark, read)
    try:
        reply: Reply | None = _read(read, Reply)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise NotAReply from error
    if reply is None:
        raise EOFError
    return reply


def _skip_to(mark: bytes, read: ReadInto) -> None:
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
    """Fill ``buffer``; return False at the end of the pipe."""
    rest = memoryview(buffer)
    while rest:
        count = read(rest[:_MOST_BYTES])
        if not count:
            return False
        rest = rest[count:]
    return True
