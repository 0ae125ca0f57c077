"""A model of the user's own as a task needs it: its parameters, and an evaluation in each mode."""

from typing import NamedTuple

from harness.errors import UsageError
from harness.port import samples
from harness.port.messages import Built, Description
from harness.port.options import SideSpec
from harness.port.remote_side import RemoteSide
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace
from harness.tracing.side import InputShape

_BATCH = 2


class OwnModel(NamedTuple):
    """What is known of one model: how it was made, its parameters, and an evaluation in each mode."""

    spec: SideSpec
    built: Built
    described: Description
    evaluated: Trace
    trained: Trace

    @property
    def drops(self) -> bool:
        """Whether it drops values in training."""
        known = (call.does for call in self.trained.calls if isinstance(call.does, kinds.Dropout))
        return self.built.draws or any(does.active for does in known)


def read_model(spec: SideSpec, shape: InputShape, threads: int, timeout_seconds: float) -> OwnModel:
    """Make a model and evaluate it, in a process of its own.

    Raises:
        UsageError: it cannot be made or evaluated, or has more than one output.
    """
    with RemoteSide(spec.target, threads, timeout_seconds) as side:
        built = side.build(spec.arguments, [shape])
        described = side.describe()
        inputs = samples.inputs([shape], _BATCH)
        evaluated, trained = (side.trace(inputs, training=training) for training in (False, True))
        own = OwnModel(spec, built, described, evaluated, trained)
    if len(evaluated.outputs) != 1:
        raise UsageError(f"{spec.target} has {len(evaluated.outputs)} outputs; a task needs one")
    return own
