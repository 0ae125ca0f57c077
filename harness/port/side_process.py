"""The process of a side: makes the user's model and answers requests until the pipe closes.

Run as ``python -P -m harness.port.side_process REQUEST_FD REPLY_FD``. Standard output and error belong to the
user's code.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from harness.errors import HarnessError
from harness.port import messages
from harness.port.loading import load_side
from harness.tracing.side import Side
from harness.tracing.user_code import described


class _Answering:
    """Answers requests with the side that the first one makes."""

    def __init__(self) -> None:
        self._side: Side | None = None

    def answer(self, request: messages.Request) -> messages.Reply:
        """The reply; a fault of the user's code is one, too."""
        try:
            return self._carry_out(request)
        except HarnessError as error:
            return messages.Failed(str(error), "".join(traceback.format_exc()))
        except BaseException as error:  # noqa: BLE001  whatever the user's code raises, exits included
            return messages.Failed(described(error), traceback.format_exc())

    def _carry_out(self, request: messages.Request) -> messages.Reply:
        if isinstance(request, messages.Build):
            self._side, own, plugin = load_side(request.target, request.arguments, request.inputs)
            optimizer, loss = own.make_optimizer is not None, own.make_loss is not None
            made = self._side
            return messages.Built(
                made.framework, made.versions, optimizer, loss, plugin, made.backend, made.draws
            )
        side = self._side
        if side is None:
            raise RuntimeError("the model has not been made")
        match request:
            case messages.Describe():
                return messages.Description(side.parameters(), sorted(side.trained()), side.update())
            case messages.Load(parameters):
                side.load(parameters)
                return messages.Loaded()
            case messages.Evaluate(inputs, training, overrides):
                return messages.Evaluated(side.trace(inputs, training=training, overrides=overrides))
            case messages.Differentiate(inputs, targets, loss_name):
                return messages.Differentiated(side.gradients(inputs, targets, loss_name))
            case messages.Train(batches, loss_name, learning_rate):
                return messages.HasTrained(side.train(batches, loss_name, learning_rate))


def main() -> NoReturn:
    """Serve until the request pipe closes, then exit without waiting for a framework's threads."""
    requests, replies = map(int, sys.argv[1:3])
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    answering, read = _Answering(), functools.partial(_read, os.fdopen(requests, "rb").read)
    while (request := messages.read_request(read)) is not None:
        reply = answering.answer(request)
        try:
            messages.write(replies, reply)
        except TypeError as error:  # what a plugin returned cannot be sent
            messages.write(replies, messages.Failed(described(error), traceback.format_exc()))
    sys.stdout.flush()
    os._exit(0)


def _read(read: Callable[[int], bytes], count: int) -> bytes:
    return read(count)


if __name__ == "__main__":
    main()
