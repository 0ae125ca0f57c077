"""The messages between parent and worker: one JSON line for each request and each reply.

Times are in seconds of the worker's monotonic clock, read after the device has finished.
"""

import msgspec

from harness.core.certify.cases import Case
from harness.core.certify.certificate import Losses
from harness.core.plugins.options import Value
from harness.core.training.measures import Scores
from harness.core.training.outcome_records import Drawn, SampleScores
from harness.spec.backend import Plan, Precision
from harness.spec.data import Split
from harness.spec.task import Task

VERSION = 14
#: A worker whose reply is longer is killed. The longest are digests and scores, some 100 kB.
LONGEST_REPLY_BYTES = 64 << 20


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Import the backend's framework and describe it. The first request."""

    backend: str
    threads: int


class Described(msgspec.Struct, frozen=True, tag=True):
    """``environment`` as the backend reports it; ``import_seconds`` is the duration of the import."""

    protocol: int
    environment: dict[str, str]
    import_seconds: float


class Define(msgspec.Struct, frozen=True, tag=True):
    """Look up these names among the worker's plugins. ``assignments`` are the values of ``--set``."""

    backend: str
    task: str
    assignments: list[str]


class Defined(msgspec.Struct, frozen=True, tag=True):
    """The task with these options, and the mode: named in ``backend`` (``torch:compile``), or the default.

    ``installed`` is empty, or says which part of the framework is missing and how to install it.
    """

    task: Task
    options: dict[str, Value]
    mode: str
    installed: str


class Build(msgspec.Struct, frozen=True, tag=True):
    """Read the data set and build the program, with its initial weights loaded."""

    plan: Plan
    dataset: str


class Built(msgspec.Struct, frozen=True, tag=True):
    """A program is ready. ``samples`` counts each split."""

    device: str
    dataset_fingerprint: str
    dataset_origin: str
    samples: dict[Split, int]
    data_seconds: float
    build_seconds: float


class Examine(msgspec.Struct, frozen=True, tag=True):
    """Build programs of a certification case, beside the worker's program, and examine them.

    ``what`` is the name of one of :data:`harness.core.certify.certify.EXAMINATIONS`.
    """

    what: str
    case: Case
    mode: str
    device: str
    threads: int
    precision: Precision


class Examined(msgspec.Struct, frozen=True, tag=True):
    """The observation, encoded; its type follows from the examination."""

    observed: msgspec.Raw


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Do nothing: measure the time that any request takes."""


class Train(msgspec.Struct, frozen=True, tag=True):
    """Make the next ``steps`` training steps, in one epoch with one batch size, as one timed block."""

    steps: int


class Trained(msgspec.Struct, frozen=True, tag=True):
    """The duration of a block, and the losses of each step; if there are two, the discriminator's first."""

    seconds: float
    losses: Losses


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Score these splits in evaluation mode, on at most ``samples`` of each.

    ``drawn`` asks for the parts of a report that are drawn from test samples; ``splits`` must include these.
    """

    splits: list[Split]
    samples: int | None = None
    drawn: bool = False


class Evaluated(msgspec.Struct, frozen=True, tag=True):
    """The scores of each split, and the duration of predicting and scoring."""

    scores: dict[Split, Scores]
    seconds: float
    samples_png: bytes | None = None
    """A grid of generated samples, with the test scores of an adversarial task."""
    drawn: Drawn | None = None
    """Where the request asks for it."""
    test_samples: SampleScores | None = None
    """The scores of each test sample, where test samples were scored and have scores of their own."""


class KeepWeights(msgspec.Struct, frozen=True, tag=True):
    """Keep the current weights, in place of any kept before."""


class SaveWeights(msgspec.Struct, frozen=True, tag=True):
    """Write the current weights, or the ``kept`` ones, to a file, with the ``description``."""

    path: str
    kept: bool
    description: dict[str, str]


class LoadWeights(msgspec.Struct, frozen=True, tag=True):
    """Load the weights of a file that :class:`SaveWeights` wrote."""

    path: str


class Operate(msgspec.Struct, frozen=True, tag=True):
    """Call ``function``, ``package.module:NAME``, with the worker and these encoded arguments.

    So a feature adds an operation of its own: the worker imports the function by its name.
    """

    function: str
    arguments: msgspec.Raw


class Operated(msgspec.Struct, frozen=True, tag=True):
    """The return value of an operation, encoded; its type follows from the operation."""

    result: msgspec.Raw


class SaveState(msgspec.Struct, frozen=True, tag=True):
    """Write the weights and the training state to a file, from which a second program can continue."""

    path: str


class StateSaved(msgspec.Struct, frozen=True, tag=True):
    """The file is written; ``complete`` is False if the backend cannot hand out its training state."""

    complete: bool


class Rebuild(msgspec.Struct, frozen=True, tag=True):
    """Build the same program again on the same data, in place of the one in use, with initial weights."""


class Replay(msgspec.Struct, frozen=True, tag=True):
    """Make the steps from ``step`` on (counted from 0) in ``calls`` of these lengths, from a saved state.

    Without ``path`` the steps start from the program's present state. ``complete`` is as in
    :class:`StateSaved`. The reply is a :class:`Trained` of all calls.
    """

    step: int
    calls: list[int]
    path: str | None
    complete: bool


class RestoreWeights(msgspec.Struct, frozen=True, tag=True):
    """Load the weights that were kept."""


class Measure(msgspec.Struct, frozen=True, tag=True):
    """Ask for the quantities that are measured of a process at its end, where its data must be unchanged."""


class Measured(msgspec.Struct, frozen=True, tag=True):
    """The values so far, by the names of :data:`harness.core.machine.quantities.QUANTITIES`."""

    values: dict[str, float]


class Done(msgspec.Struct, frozen=True, tag=True):
    """The request was carried out; there is nothing to report."""


class Fault(msgspec.Struct, frozen=True, tag=True):
    """The request failed; ``unsupported`` if the backend declined it, with the reason in ``message``.

    ``undeclared_loss``: the harness declined it because the backend does not declare the task's loss.
    """

    message: str
    traceback: str
    unsupported: bool = False
    undeclared_loss: bool = False
    memory_ran_out: bool = False


Request = (
    Describe
    | Define
    | Examine
    | Build
    | Ping
    | Train
    | Evaluate
    | KeepWeights
    | SaveWeights
    | LoadWeights
    | Operate
    | SaveState
    | Rebuild
    | Replay
    | RestoreWeights
    | Measure
)
Reply = (
    Described
    | Defined
    | Examined
    | Built
    | Trained
    | Evaluated
    | Measured
    | StateSaved
    | Operated
    | Done
    | Fault
)
