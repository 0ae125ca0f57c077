"""The record of one run: the request, the machine and the results. Raw samples, no summaries.

Times are in seconds, memory in bytes. What a failed run did not reach is None or empty.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

import msgspec
from msgspec import Meta

from harness.core.audit.findings import Verification
from harness.core.certify.certificate import Certificate, Losses
from harness.core.documents.kinds import Envelope
from harness.core.machine.processes import ProcessMark
from harness.core.machine.quantities import Measured
from harness.core.machine.usage import Interference
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.kept_data import DataFile
from harness.core.stats.settling import steady_part
from harness.core.training.measures import Scores
from harness.core.training.outcome_records import Outcomes, SampleScores
from harness.spec.data import Split
from harness.spec.task import Adversarial, Task

SCHEMA = 5
_T = TypeVar("_T")


class Failure(msgspec.Struct, frozen=True):
    """The reason why a run is not ``ok``, and the last output of its worker."""

    message: str
    exit_code: int | None = None
    signal: str | None = None
    traceback: str = ""
    last_lines: list[str] = []


class LostAttempt(msgspec.Struct, frozen=True):
    """An earlier attempt at a run, which ended with its node after ``epochs`` scored epochs."""

    node: str
    reason: str
    epochs: int


class TaskRecord(msgspec.Struct, frozen=True):
    """The task of the run: the values of its ``options``, and its description with the ``sha256`` of it."""

    name: str
    version: int
    options: dict[str, bool | int | float | str]
    sha256: str
    description: Task

    def __post_init__(self) -> None:
        """Refuse a damaged description, whose networks do not fit together."""
        _refuse_broken_networks(msgspec.json.encode(self.description))


@functools.lru_cache(maxsize=1024)  # of many records with few tasks
def _refuse_broken_networks(description: bytes) -> None:
    task = msgspec.json.decode(description, type=Task)
    for name in ("generator", "discriminator") if isinstance(task.objective, Adversarial) else ("model",):
        if name not in task.networks:
            raise ValueError(f"the task has no network {name}")
    for network in task.networks.values():
        network.placed()


class DatasetRecord(msgspec.Struct):
    """The data set, with the ``fingerprint`` of its canonical arrays.

    If it replaces the task's own data set, ``stands_in_for`` names the task's own and ``reason`` says why.
    ``file`` is the user's file that it was made of.
    """

    name: str
    fingerprint: str | None = None
    origin: str | None = None
    samples: dict[Split, int] = {}
    stands_in_for: str | None = None
    reason: str | None = None
    file: DataFile | None = None

    def options(self) -> dict[str, object]:
        """Return the options that name the data set on the command line, by name."""
        return {"dataset": self.name} if self.file is None else self.file.options()


class Block(msgspec.Struct, frozen=True):
    """``steps`` training steps of one batch size, timed together. ``epoch`` counts from 1."""

    epoch: Annotated[int, Meta(ge=1, lt=2**53)]
    steps: Annotated[int, Meta(ge=1)]
    batch_size: int
    seconds: Annotated[float, Meta(ge=1e-12)]  # far below the resolution of any clock


class Epoch(msgspec.Struct, frozen=True):
    """State after a scored epoch. ``steps`` and ``training_seconds`` count from the start of training.

    ``training_loss`` is the mean of the losses minimised in the epoch, in training mode, penalty included;
    for an adversarial task the generator's, with the discriminator's in ``discriminator_loss``. ``train`` and
    ``validation`` are scored in evaluation mode with the weights at the end of the epoch. ``scored_at`` is in
    UTC, ISO 8601.
    """

    epoch: Annotated[int, Meta(ge=1, lt=2**53)]
    steps: int
    training_seconds: float
    training_loss: float
    train: Scores
    validation: Scores
    discriminator_loss: float | None = None
    scored_at: str | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """The epochs after which a run is scored, and the number of samples.

    ``every_epochs`` is None where nothing is scored, not even the test data. Otherwise the last epoch is
    always scored. ``samples`` limits the training and the validation samples, not the test samples. Without a
    limit all validation samples are scored, and as many of the training samples.
    """

    every_epochs: Annotated[int, Meta(ge=1)] | None = 1
    samples: Annotated[int, Meta(ge=1)] | None = None

    def includes(self, epoch: int, *, last: bool) -> bool:
        """Check whether an ``epoch``, counted from 1, is scored."""
        return self.every_epochs is not None and (last or epoch % self.every_epochs == 0)


class Pictures(msgspec.Struct):
    """Files next to the record, as PNG.

    ``last_samples`` are generated with the last weights, ``course`` has a row of the same samples for each of
    ``course_epochs``. ``examples`` are the test pictures of ``outcomes.examples``, side by side.
    ``neighbours`` has the eight generated pictures that look most like copies, above their nearest training
    pictures and their nearest held-out pictures, with the weights of the best epoch.
    """

    last_samples: str | None = None
    course: str | None = None
    course_epochs: list[int] = []
    examples: str | None = None
    neighbours: str | None = None


class KeptFile(msgspec.Struct, frozen=True):
    """A file next to the record, of weights or losses, and the sha256 of its content."""

    name: str
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Self:
        """Return the entry for a file of this ``content``."""
        return cls(name, hashlib.sha256(content).hexdigest())


class SavedWeights(msgspec.Struct):
    """The weights that were kept: after the last step, and of the best epoch unless it is the last one."""

    last: KeptFile
    best: KeptFile | None = None

    def file(self, *, best: bool) -> KeptFile:
        """Return the file of the best epoch, which may be the last one, or of the last epoch."""
        return (best and self.best) or self.last


class Phases(msgspec.Struct):
    """Durations. ``training_seconds`` includes the first step, but no evaluation."""

    import_seconds: float | None = None
    data_seconds: float | None = None
    build_seconds: float | None = None
    first_step_seconds: float | None = None
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0

    @property
    def spent(self) -> tuple[float | None, ...]:
        """The seconds from the import to the last score, by phase; None where one is not known."""
        before = (self.import_seconds, self.data_seconds, self.build_seconds)
        return (*before, self.training_seconds, self.evaluation_seconds)


class Making(msgspec.Struct, frozen=True):
    """How a run was made whose times are not judged: its memory and times belong in no verdict or ranking."""

    process: Literal["forked", "fresh"]
    """``forked`` from a process that has imported the framework, or started anew."""
    jobs: int = 1
    """Runs that shared the machine."""
    repeated: Literal["equal", "not repeatable"] | None = None
    """Set in one drawn run of a command, whose training was repeated in a fresh process: losses and scores
    were equal bit for bit, or already two fresh processes part."""


class Extension(msgspec.Struct, frozen=True):
    """The ``result`` of a feature's work after the training, or the reason of its ``failure``.

    The type of the result is that of the feature; see :meth:`Record.extension`.
    """

    result: Any = None
    failure: str = ""


class Record(Envelope, msgspec.Struct, kw_only=True):
    """One run of one task by one backend with one seed."""

    schema: int = SCHEMA
    failure: Failure | None = None
    task: TaskRecord
    dataset: DatasetRecord
    configuration: Configuration
    seed: int
    framework: dict[str, str] = {}
    """What the backend reports about itself: ``engine``, versions, build."""
    worker_variables: dict[str, str]
    """Environment variables set for the worker: threads, allocator, visible devices."""
    inherited_variables: dict[str, str] = {}
    """The user's variables that influence speed or results and reached the worker unchanged."""
    device: str | None = None
    """The device that was used."""
    batch_size: int
    epochs_asked: int
    max_steps: int | None = None
    evaluation: Evaluation = Evaluation()
    parameters: int
    forward_flops_per_sample: int
    epochs: list[Epoch] = []
    blocks: list[Block] = []
    first_losses: Losses = []
    """The losses of the first steps, by which configurations are compared that should do the same work."""
    losses: KeptFile | None = None
    """The file with the losses of all steps; None if the run ended before its last step."""
    certificate: Certificate | None = None
    best_epoch: int | None = None
    """The scored epoch with the lowest validation loss; for an adversarial task, Fréchet distance."""
    test_at_last: Scores | None = None
    test_at_best: Scores | None = None
    test_samples_at_last: SampleScores | None = None
    """The scores of each test sample; None in an adversarial task, and in records of earlier versions."""
    test_samples_at_best: SampleScores | None = None
    """None where the best epoch is the last one, too."""
    phases: Phases = msgspec.field(default_factory=Phases)
    samples_file: str | None = None
    """The file, next to the record, with a grid of pictures generated with the weights of the best epoch."""
    pictures: Pictures = msgspec.field(default_factory=Pictures)
    weights: SavedWeights | None = None
    """The files that ``--save-weights`` asks for; they are written before the record names them."""
    outcomes: Outcomes | None = None
    """The outputs of the best epoch's network for the test samples; None where nothing was scored."""
    extensions: dict[str, Extension] = {}
    """The results of work after the training, by its name, such as ``privacy``."""
    measured: Measured = {}
    """The quantities that were measured of the worker process at its end."""
    verification: Verification | None = None
    """The result of recomputing a drawn segment; None if the run ended before."""
    identity: dict[str, str] = {}
    """All that the result depends on, by name; a run that agrees in it, on the same data, is not repeated."""
    process: ProcessMark | None = None
    """The process that writes the record; once it is gone, a run whose status is ``running`` is lost."""
    lost_attempts: list[LostAttempt] = []
    """The nodes of a cluster that were lost while they executed this run, oldest first."""
    interference: Interference | None = None
    """None if the run ended before it was measured, or the system does not report it."""
    making: Making | None = None
    """None if times are judged: the run had a fresh process and the machine for itself."""

    def __post_init__(self) -> None:
        """Refuse a damaged file, whose parts do not fit together."""
        scored = [scores for epoch in self.epochs for scores in (epoch.train, epoch.validation)]
        scored += [scores for scores in (self.test_at_last, self.test_at_best) if scores is not None]
        if any("loss" not in scores for scores in scored):
            raise ValueError("scores lack the loss")

    def test_scores(self, *, best: bool) -> Scores:
        """Return the test scores after the last epoch, or with the weights of the best one."""
        return (self.test_at_best if best else self.test_at_last) or {}

    def test_samples(self, *, best: bool) -> SampleScores | None:
        """Return the scores of each test sample, with the same weights as :meth:`test_scores`."""
        best_is_last = bool(self.epochs) and self.best_epoch == self.epochs[-1].epoch
        return self.test_samples_at_best if best and not best_is_last else self.test_samples_at_last

    def extension(self, name: str, kind: type[_T]) -> _T | None:
        """Return the result of the work ``name`` after the training, as a ``kind``.

        None if the work was not done or has failed, or if another version of the feature wrote the result.
        """
        entry = self.extensions.get(name)
        if entry is None or entry.result is None:
            return None
        try:
            return msgspec.convert(entry.result, kind)
        except msgspec.ValidationError:
            return None

    @property
    def batch_text(self) -> str:
        """The samples of a step: ``32``; with clients, the samples of a client's step and of a round."""
        size, federated = self.task.description.batch_size, self.task.description.federated
        if federated is None:
            return f"{self.batch_size:,}"
        return f"{'all' if size is None else f'{size:,}'} in a client, {self.batch_size:,} in a round"

    @property
    def identity_key(self) -> str:
        """See :func:`identity_key`."""
        return identity_key(self.identity)

    @property
    def judged_seconds(self) -> Phases | None:
        """The durations of the run, which verdicts and rankings may use; None where times are not judged."""
        return self.phases if self.making is None else None

    @property
    def disturbed(self) -> bool | None:
        """True if other programs used the machine, so that times are unreliable; None if not known."""
        return None if self.interference is None else self.interference.disturbs


def identity_key(identity: Mapping[str, str]) -> str:
    """Return a sha256 that is equal if all ingredients are equal; empty without ingredients."""
    if not identity:
        return ""
    return hashlib.sha256(msgspec.json.encode(sorted(identity.items()))).hexdigest()


class SteadySteps(NamedTuple):
    """Seconds per step of each steady block, in order, and whether the warm-up had ended before them."""

    seconds: list[float]
    settled: bool


def steady_steps(record: Record) -> SteadySteps:
    """Return the blocks of full batches after the first step and the warm-up, by the rule of duels.

    A run is not settled if it is too short for this rule, or if its steps do not settle: its steps are those
    of the later half, or those after the longest warm-up.
    """
    if record.making is not None:
        return SteadySteps([], settled=False)
    size = record.batch_size
    blocks = [block for block in record.blocks[1:] if block.batch_size == size]
    step_seconds = [block.seconds / block.steps for block in blocks]
    first, settled = steady_part([block.seconds for block in blocks], step_seconds)
    return SteadySteps(step_seconds[first:], settled)


def step_time(record: Record) -> float | None:
    """Return the median seconds per step over the steady blocks; None if the run has no such block."""
    import statistics  # imported here: lists of records do without it

    samples = steady_steps(record).seconds
    return statistics.median(samples) if samples else None


def generalization_gap(record: Record) -> float | None:
    """Return training minus validation accuracy after the last epoch; None without classification."""
    if not record.epochs:
        return None
    last = record.epochs[-1]
    train, validation = last.train.get("accuracy"), last.validation.get("accuracy")
    return None if train is None or validation is None else train - validation
