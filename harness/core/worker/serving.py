"""The loop of a worker process: carries out requests from its own pipe until the pipe closes.

Standard output and error belong to the framework; nothing it prints can disturb the protocol.
"""

import os
import sys
import traceback
from typing import NoReturn

import msgspec

from harness.core.machine.encoding import encode
from harness.core.machine.processes import die_with_parent_and_keep_orphans
from harness.core.plugins.faults import bounded, explain, memory_ran_out, message_of
from harness.core.plugins.programs import UndeclaredLoss
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.spec.backend import Unsupported

#: Of a longer traceback the record has the beginning and the end.
_TRACEBACK_CHARACTERS = 20_000


def _reply(worker: Worker, line: bytes) -> bytes:
    """Encode the reply. A plugin's value that cannot be encoded is a fault like any other."""
    fault: protocol.Reply
    try:
        return encode(worker.carry_out(msgspec.json.decode(line, type=protocol.Request)))
    except Unsupported as error:
        undeclared = isinstance(error, UndeclaredLoss)
        fault = protocol.Fault(message_of(error), "", unsupported=True, undeclared_loss=undeclared)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises belongs in the record
        trace = bounded(traceback.format_exc(), _TRACEBACK_CHARACTERS)
        fault = protocol.Fault(explain(error), trace, memory_ran_out=memory_ran_out(error))
    return msgspec.json.encode(fault)


def serve(request_descriptor: int, reply_descriptor: int) -> NoReturn:
    """Serve until the request pipe closes, then exit without waiting for a framework's threads."""
    die_with_parent_and_keep_orphans()
    worker, process = Worker(), os.getpid()
    for descriptor in (request_descriptor, reply_descriptor):
        os.set_inheritable(descriptor, False)
    with os.fdopen(request_descriptor, "rb") as requests, os.fdopen(reply_descriptor, "wb", 0) as replies:
        for line in requests:
            reply = _reply(worker, line)
            if os.getpid() != process:
                # This is a child that a plugin forked; only its parent may reply.
                os._exit(1)
            replies.write(reply + b"\n")
    sys.stdout.flush()
    os._exit(0)
