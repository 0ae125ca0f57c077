"""The process of a side: makes the user's model and answers requests until the pipe closes.

Run as ``python -P -m harness.port.side_process REQUEST_FD REPLY_FD``. Standard output and error belong to the
user's code.
"""

import os
import sys
import traceback
from typing import NoReturn

from harness.errors import HarnessError
from harness.port import messages, wire
from harness.port.known_parameters import Sent, outputs_of
from harness.port.loading import load_side
from harness.tracing.calls import Trace
from harness.tracing.side import Side
from harness.tracing.user_code import described


class _Answering:
    """Answers requests with the side that the first one makes."""

    def __init__(self) -> None:
        self._side: Side | None = None
        self._sent = Sent()

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
                parameters = side.parameters()
                self._sent.add(parameters)
                return messages.Description(parameters, sorted(side.trained()), side.update())
            case messages.Load(parameters):
                side.load(parameters)
                self._sent.add(parameters)
                return messages.Loaded()
            case messages.Evaluate():
                return messages.Evaluated(self._trace(side, request))
            case messages.Differentiate(inputs, targets, loss_name):
                return messages.Differentiated(side.gradients(inputs, targets, loss_name))
            case messages.Train(batches, loss_name, learning_rate):
                return messages.HasTrained(side.train(batches, loss_name, learning_rate))

    def _trace(self, side: Side, request: messages.Evaluate) -> Trace:
        trace = side.trace(request.inputs, training=request.training, overrides=request.overrides)
        return outputs_of(trace) if request.outputs_only else self._sent.left_out(trace)


def main() -> NoReturn:
    """Serve until the request pipe closes, then exit without waiting for a framework's threads."""
    requests, replies = map(int, sys.argv[1:3])
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    answering, stream = _Answering(), os.fdopen(requests, "rb", buffering=0)
    while (request := wire.read_request(stream.readinto)) is not None:
        reply = answering.answer(request)
        del request  # its arrays are as large as the model
        try:
            wire.write(replies, reply)
        except TypeError as error:  # what a plugin returned cannot be sent
            wire.write(replies, messages.Failed(described(error), traceback.format_exc()))
        del reply
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
