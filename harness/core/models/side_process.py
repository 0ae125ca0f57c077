"""The process of a side: makes the user's model in float64 and answers requests until the pipe closes.

Run as ``python -P -m harness.core.models.side_process TARGET REQUEST_FD REPLY_FD REQUEST_FD REPLY_FD``. After
importing the frameworks that the target's file imports first, the process forks: the child makes the model as
its code is written, and answers at the second pipe. So frameworks, which take longer to import than small
models to compare, are imported once. Standard output and error belong to the user's code.
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
from harness.tracing.side import AsWritten, OwnTraining, Side, SidePlugin, Updates
from harness.tracing.user_code import (
    call_user,
    described,
    import_first,
    split_target,
    user_callable,
    user_module,
)

#: Frameworks that read these compute in float64 from their import on.
FLOAT64 = {"JAX_ENABLE_X64": "1", "KERAS_FLOATX": "float64"}
#: The names of a file's own optimizer and loss.
MAKE_OPTIMIZER, MAKE_LOSS = "make_optimizer", "make_loss"


class _Claimed(NamedTuple):
    """The model that the user's callable returned, the plugin that knows it, and the user's own training."""

    built: Any
    plugin: SidePlugin
    name: str
    own: OwnTraining


def _claimed(target: str, arguments: Mapping[str, Any], *, exact: bool) -> _Claimed:
    """Call ``target``, ``FILE.py:NAME`` or ``package.module:NAME``, and find the plugin of its model.

    Raises:
        UsageError: there is no such callable, it needs other arguments, it raised, or it did not return a
            model of a known framework.
    """
    module, factory = _found(target)
    # The plugins' modules import no framework.
    entries = importlib.metadata.entry_points(group="harness.sides")
    plugins: dict[str, SidePlugin] = {entry.name: entry.load() for entry in entries}
    for framework, plugin in plugins.items():
        is_imported = framework in sys.modules or (framework == "jax" and "flax" in sys.modules)
        if exact and is_imported:
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
        self._as_written: AsWritten | None = None
        self._updates: Callable[[], Updates | None] = lambda: None
        self._sent = Sent()

    def answer(self, request: messages.Request) -> messages.Reply:
        """Return the reply to ``request``; an error of the user's code is a reply, too."""
        try:
            if isinstance(request, messages.Build):
                return self._build(request)
            if isinstance(request, messages.Inspect):
                return _signature(request.target)
            if self._as_written is not None:
                return self._of_written(self._as_written, request)
            return self._of_side(request)
        except HarnessError as error:
            return messages.Failed(str(error))
        except BaseException as error:  # noqa: BLE001  whatever the user's code raises, exits included
            return messages.Failed(described(error))

    def _build(self, request: messages.Build) -> messages.Reply:
        claimed = _claimed(request.target, request.arguments, exact=request.exact)
        if not request.exact:
            self._as_written = claimed.plugin.make_as_written(claimed.built, request.inputs)
            return messages.Loaded()
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
            case messages.Train(batches, loss_name, learning_rate, output, aligned, held):
                return side.train(
                    batches, loss_name, learning_rate, output=output, aligned=aligned, held=held
                )
            case _:
                raise TypeError(type(request).__name__)

    def _of_written(self, written: AsWritten, request: messages.Request) -> messages.Reply:
        """Return the reply of the model as its code is written."""
        match request:
            case messages.Load(parameters):
                written.load(parameters)
                return messages.Loaded()
            case messages.Evaluate(inputs, outputs_only=outputs_only):
                return written.outputs(inputs) if outputs_only else written.trace(inputs)
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
    target, *numbers = sys.argv[1:]
    descriptors = [int(number) for number in numbers]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    exact, written = descriptors[:2], descriptors[2:]
    if sys.platform == "linux":  # elsewhere system libraries do not survive a fork
        import_first(target)
    sys.stdout.flush()
    sys.stderr.flush()
    is_exact = os.fork() != 0
    own, others = (exact, written) if is_exact else (written, exact)
    for descriptor in others:
        os.close(descriptor)
    if is_exact:
        _compute_in_float64()
    else:
        die_with_parent_and_keep_orphans()
    _serve(*own)


def _compute_in_float64() -> None:
    """Set float64 for code that runs when the user's module is imported, such as a layer at its top."""
    os.environ.update(FLOAT64)
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_floatx("float64")
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)


def _serve(requests: int, replies: int) -> NoReturn:
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
