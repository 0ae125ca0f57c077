"""One model of the user's own in a process: requests to the process, and its replies."""

import contextlib
import os
import secrets
import select
import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np

from harness.core.machine.cpus import cpus_of
from harness.core.machine.worker_variables import GLIBC_KEEPS_MEMORY, worker_variables
from harness.core.models import messages, wire
from harness.core.models.arguments import Signature
from harness.core.models.messages import filled_in
from harness.core.worker.process import WorkerProcess, started
from harness.core.worker.session import SILENCE_LIMIT_SECONDS, WATCHED_SECONDS
from harness.errors import UsageError
from harness.tracing.calls import InputShape, Loss, Trace
from harness.tracing.side import Batch, Gradients, Inputs, Override, Trained

_POLL_SECONDS = 0.5
#: Frameworks that read these compute on the CPU, and in float64 from their import on.
VARIABLES = {
    "JAX_ENABLE_X64": "1",
    "KERAS_FLOATX": "float64",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "KERAS_TORCH_DEVICE": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_R = TypeVar("_R", bound=messages.Reply)


class _Pipe:
    """Pipes to and from a process that inherits ``descriptors``, and the mark that begins its replies."""

    def __init__(self) -> None:
        self.mark = secrets.token_bytes(wire.MARK_BYTES)
        request_end, self.requests = os.pipe()
        self.replies, reply_end = os.pipe()
        self.descriptors = request_end, reply_end
        self._open = {"requests": True, "replies": True}
        os.write(self.requests, self.mark)  # not an argument: arguments are visible in the list of processes

    def is_inherited(self) -> None:
        """Close this end's copies of the descriptors, which the process has now."""
        for descriptor in self.descriptors:
            os.close(descriptor)

    def end_requests(self) -> None:
        """Tell the other end that no request follows."""
        if self._open.pop("requests", None):
            os.close(self.requests)

    def close(self) -> None:
        self.end_requests()
        if self._open.pop("replies", None):
            os.close(self.replies)


class RemoteSide:
    """One model in float64 in a process of its own: a context manager, which ends the process."""

    def __init__(
        self, target: str, threads: int, timeout_seconds: float | None, *, limit_each: bool = True
    ) -> None:
        """Start the process for ``target``, ``FILE.py:NAME`` or ``package.module:NAME``.

        ``timeout_seconds`` limits each request, or all requests together unless ``limit_each``; without a
        limit a side may take as long as it uses the CPU.
        """
        self.target, self._timeout_seconds = target, timeout_seconds
        together = timeout_seconds is not None and not limit_each
        self._until = time.monotonic() + (timeout_seconds or 0.0) if together else None
        self._parameters: dict[str, np.ndarray] = {}
        variables = worker_variables(threads, "cpu", os.environ) | VARIABLES
        # Nothing is timed here, so freed memory may go back to the system.
        variables = {name: value for name, value in variables.items() if name not in GLIBC_KEEPS_MEMORY}
        self._pipe = _Pipe()
        descriptors = self._pipe.descriptors
        module = "harness.core.models.side_process"
        command = [sys.executable, "-P", "-m", module, *map(str, descriptors)]
        try:
            start = started(command, cpus_of(variables), descriptors)
            self._process = WorkerProcess(command[0], start, variables)
        finally:
            self._pipe.is_inherited()

    def inspect(self) -> Signature:
        """Read the arguments of the model's callable, before it is called."""
        return self._call(messages.Inspect(self.target), Signature)

    def build(self, arguments: Mapping[str, Any], inputs: Sequence[InputShape]) -> messages.Built:
        return self._call(messages.Build(self.target, dict(arguments), list(inputs)), messages.Built)

    def describe(self) -> messages.Description:
        """Describe the model's parameters and its optimizer."""
        described = self._call(messages.Describe(), messages.Description)
        self._parameters = dict(described.parameters)
        return described

    def forget_parameters(self) -> None:
        """Free the parameters that are kept here; afterwards no trace may be asked for."""
        self._parameters = {}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._call(messages.Load(dict(parameters)), messages.Loaded)
        self._parameters |= parameters

    def trace(self, inputs: Inputs, *, training: bool, overrides: Sequence[Override] = ()) -> Trace:
        request = messages.Evaluate(list(inputs), training, list(overrides))
        return filled_in(self._call(request, Trace), self._parameters)

    def outputs(self, inputs: Inputs, *, training: bool) -> Trace:
        """Return the outputs of one evaluation, in a trace without calls."""
        return self._call(messages.Evaluate(list(inputs), training, outputs_only=True), Trace)

    def gradients(
        self, inputs: Inputs, targets: np.ndarray, loss: Loss, *, output: str, own: bool
    ) -> Gradients:
        """Return gradients of ``loss`` or, if ``own``, of the side's own loss, if it has one."""
        return self._call(messages.Differentiate(list(inputs), targets, loss, output, own), Gradients)

    def train(
        self,
        batches: Sequence[Batch],
        loss: Loss,
        *,
        output: str,
        aligned: bool = False,
        held: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Trained:
        request = messages.Train([*batches], loss, output, aligned, dict(held))
        return self._call(request, Trained)

    def _call(self, request: messages.Request, expected: type[_R]) -> _R:
        until = self._until or self._due()
        with contextlib.suppress(BrokenPipeError):  # its death is noticed while reading
            wire.write(self._pipe.requests, request)
        try:
            reply = wire.read_reply(lambda buffer: self._read_into(buffer, until), self._pipe.mark)
        except wire.NotAReply as error:
            raise UsageError(
                f"{self.target}: its code, or a process that it started, writes to a descriptor that it did "
                "not open: the pipe to harness"
            ) from error
        if isinstance(reply, messages.Failed):
            own = reply.message if self.target in reply.message else f"{self.target}: {reply.message}"
            raise UsageError(own)
        if not isinstance(reply, expected):
            raise UsageError(f"{self.target}: unexpected reply {type(reply).__name__}")
        return reply

    def _due(self) -> float:
        """Return the time at which the reply to a request that is sent now is overdue."""
        seconds = SILENCE_LIMIT_SECONDS if self._timeout_seconds is None else self._timeout_seconds
        return time.monotonic() + seconds

    def _read_into(self, buffer: memoryview, until: float) -> int:
        while True:
            if time.monotonic() > until:
                limit = self._timeout_seconds
                if limit is None and self._process.is_at_work(WATCHED_SECONDS):
                    until = self._due()
                    continue
                self._process.kill()
                if limit is None:
                    raise UsageError(f"{self.target} does not answer, and does not use the CPU")
                raise UsageError(f"{self.target} did not answer within {limit:g} s; give more: --timeout")
            ready, _, _ = select.select([self._pipe.replies], [], [], _POLL_SECONDS)
            if ready and (count := os.readv(self._pipe.replies, [buffer])):
                return count
            if ready or self._process.has_ended():
                raise self._death()

    def _death(self) -> UsageError:
        last = self._process.last_lines()[-1:]
        return UsageError(
            f"{self.target}: {self._process.cause_of_death()}" + (f" [{last[0]}]" if last else "")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pipe.end_requests()
        if kind is not None:
            self._process.kill()
        self._process.close()
        self._pipe.close()
