"""The process of a side: makes the user's model in float64 and answers requests until the pipe closes.

Run as ``python -P -m harness.core.models.side_process REQUEST_FD REPLY_FD``. Standard output and error belong
to the user's code.
"""

import functools
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from harness.core.machine.processes import die_with_parent_and_keep_orphans
from harness.core.models import messages, wire
from harness.core.models.arguments import Signature, signature_of
from harness.core.models.messages import Sent, outputs_of
from harness.errors import HarnessError, UsageError
from harness.tracing.side import OwnTraining, Side, SidePlugin, Updates
from harness.tracing.user_code import (
    call_user,
    described,
    split_target,
    user_callable,
    user_module,
)

#: The names of a file's own optimizer and loss.
MAKE_OPTIMIZER, MAKE_LOSS = "make_optimizer", "make_loss"


class _Claimed(NamedTuple):
    """The model that the user's callable returned, the plugin that knows it, and the user's own training."""

    built: Any
    plugin: SidePlugin
    name: str
    own: OwnTraining


def _claimed(target: str, arguments: Mapping[str, Any]) -> _Claimed:
    """Call ``target``, ``FILE.py:NAME`` or ``package.module:NAME``, and find the plugin of its model."""
    module, factory = _found(target)
    # The plugins' modules import no framework.
    entries = importlib.metadata.entry_points(group="harness.sides")
    plugins: dict[str, SidePlugin] = {entry.name: entry.load() for entry in entries}
    for framework, plugin in plugins.items():
        is_imported = framework in sys.modules or (framework == "jax" and "flax" in sys.modules)
        if is_imported:
            plugin.prepare()
    built = call_user(factory, target, arguments)
    own = OwnTraining(getattr(module, MAKE_OPTIMIZER, None), getattr(module, MAKE_LOSS, None))
    for framework, plugin in plugins.items():
        if plugin.claims(built):
            return _Claimed(built, plugin, framework, own)
    known, kind = ", ".join(sorted(plugins)), type(built)
    own_name = (
        f"a {kind.__name__}" if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    )
    raise UsageError(
        f"{target} returned {own_name}, which is no model of a known framework ({known}). Return a "
        "torch.nn.Module, a keras.Model or Layer, a flax module, or a pair of parameters and a function."
    )


@functools.cache
def _found(target: str) -> tuple[ModuleType, Callable[..., Any]]:
    """Import the module of a target, once in this process, and return it with the callable."""
    place, name = split_target(target)
    module = user_module(place)
    return module, user_callable(module, name, place)


def _signature(target: str) -> Signature:
    return signature_of(_found(target)[1])


class Answering:
    """Answers requests by the side that the first request makes."""

    def __init__(self) -> None:
        self._side: Side | None = None
        self._updates: Callable[[], Updates | None] = lambda: None
        self._sent = Sent()

    def answer(self, request: messages.Request) -> messages.Reply:
        """Return the reply to ``request``; an error of the user's code is a reply, too."""
        try:
            if isinstance(request, messages.Build):
                return self._build(request)
            if isinstance(request, messages.Inspect):
                return _signature(request.target)
            return self._of_side(request)
        except HarnessError as error:
            return messages.Failed(str(error))
        except BaseException as error:  # noqa: BLE001  whatever the user's code raises, exits included
            return messages.Failed(described(error))

    def _build(self, request: messages.Build) -> messages.Reply:
        claimed = _claimed(request.target, request.arguments)
        claimed.plugin.prepare()
        own = claimed.own
        side = self._side = claimed.plugin.make_side(claimed.built, request.inputs, own)
        self._updates = functools.cache(side.updates)
        return messages.Built(
            side.framework,
            side.versions,
            own.make_optimizer is not None,
            own.make_loss is not None,
            claimed.name,
            side.backend,
            side.draws,
            side.seeded,
        )

    def _of_side(self, request: messages.Request) -> messages.Reply:
        side = self._side
        if side is None:
            raise RuntimeError("the model has not been made")
        match request:
            case messages.Describe():
                parameters = side.parameters()
                self._sent.add(parameters)
                return messages.Description(parameters, sorted(side.trained()), self._updates())
            case messages.Load(parameters):
                side.load(parameters)
                self._sent.add(parameters)
                return messages.Loaded()
            case messages.Evaluate(inputs, training, overrides, outputs_only):
                trace = side.trace(inputs, training=training, overrides=overrides)
                return outputs_of(trace) if outputs_only else self._sent.left_out(trace)
            case messages.Differentiate(inputs, targets, loss_name, output, of_own):
                return side.gradients(inputs, targets, loss_name, output=output, own=of_own)
            case messages.Train(batches, loss_name, output, aligned, held):
                return side.train(batches, loss_name, output=output, aligned=aligned, held=held)
            case _:
                raise TypeError(type(request).__name__)


def _close_to_others(*descriptors: int) -> None:
    """Redirect ``descriptors`` to the null device, in a child that the user's code forks."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor, inheritable=False)
    os.close(nowhere)


def main() -> NoReturn:
    """Serve until the request pipe closes, then exit without waiting for a framework's threads."""
    die_with_parent_and_keep_orphans()
    requests, replies = (int(number) for number in sys.argv[1:])
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    mark = os.read(requests, wire.MARK_BYTES)
    process = os.getpid()
    os.register_at_fork(after_in_child=lambda: _close_to_others(requests, replies))
    answering, stream = Answering(), os.fdopen(requests, "rb", buffering=0)
    while (request := wire.read_request(stream.readinto)) is not None:
        reply = answering.answer(request)
        if os.getpid() != process:  # a child that the user's code forked
            os._exit(0)
        del request  # its arrays are as large as the model
        try:
            wire.write(replies, reply, mark)
        except TypeError as error:  # what a plugin returned cannot be sent
            wire.write(replies, messages.Failed(described(error)), mark)
        del reply
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
