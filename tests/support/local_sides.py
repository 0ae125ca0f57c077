"""Both sides of a comparison in this process, for many pairs after one import of the frameworks."""

import contextlib
import os

from harness.core.models import messages, remote_side
from harness.core.models.reading import SideSpec
from harness.core.models.side_process import Answering
from harness.errors import UsageError
from harness.port import comparison
from harness.port.record import PortOptions
from harness.tracing.calls import InputShape

# What a side's process starts with, before any framework is imported.
os.environ.update(remote_side.VARIABLES)


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


def checked(pair, steps=3):
    """The findings about a planted pair."""
    shape = InputShape(pair.inputs, integer=pair.maximum > 0, maximum=pair.maximum)
    sides = SideSpec(pair.a, pair.arguments_a), SideSpec(pair.b, pair.arguments_b)
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, comparison, "Sides", comparison.Sides)
        comparison.Sides = LocalSides
        return comparison.check_models(*sides, [shape], PortOptions(steps=steps, loss="mse"))
