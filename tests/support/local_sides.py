"""Both sides of a comparison in this process, for many pairs after one import of the frameworks."""

import contextlib
import os

from harness.core.models import messages, remote_side
from harness.core.models.reading import SideSpec
from harness.core.models.side_process import FLOAT64, Answering
from harness.errors import UsageError
from harness.port import comparison
from harness.port.record import PortOptions
from harness.tracing.calls import InputShape

VARIABLES = {**remote_side.VARIABLES, **FLOAT64}
# What a side's process starts with, before any framework is imported.
os.environ.update(VARIABLES)


class LocalSide(remote_side.RemoteSide):
    """Answers requests itself."""

    def __init__(self, target):
        self.target, self._parameters, self._answering = target, {}, Answering()

    def _call(self, request, expected):
        reply = self._answering.answer(request)
        if isinstance(reply, messages.Failed):
            raise UsageError(reply.message)
        assert isinstance(reply, expected)
        return reply


class LocalSides:
    """Two sides, one after the other."""

    def __init__(self, a, b, *_):
        self.a, self.b = LocalSide(a.target), LocalSide(b.target)

    def both(self, call):
        return call(self.a), call(self.b)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class NotWritten:
    """In the place of the models as written, which take processes of their own."""

    def __init__(self, *_):
        pass

    def begin(self, *_):
        pass

    def causes(self, *_):
        return []


def checked(pair, steps=3):
    """The findings about a planted pair; the code as written is not compared, which takes processes."""
    shape = InputShape(pair.inputs, integer=pair.maximum > 0, maximum=pair.maximum)
    sides = SideSpec(pair.a, pair.arguments_a), SideSpec(pair.b, pair.arguments_b)
    with contextlib.ExitStack() as stack:
        for name, value in (("Sides", LocalSides), ("AsWritten", NotWritten)):
            stack.callback(setattr, comparison, name, getattr(comparison, name))
            setattr(comparison, name, value)
        return comparison.check_models(*sides, [shape], PortOptions(steps=steps, loss="mse"))
