"""The record of a duel: the request, each block of each pair, and the results.

Times are in seconds, memory in bytes. Ratios are of the time per sample, that of a configuration over that of
the reference: above 1 is slower than the reference.
"""

from typing import Annotated, Any, Literal

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import Envelope, RecordKind
from harness.core.plugins.sources import models_of
from harness.core.runs.record import DatasetRecord, TaskRecord
from harness.core.stats.estimate import Estimate
from harness.core.training.counts import steps_of_training
from harness.timing.engine.record import (
    ConfigurationRecord,
    Difference,
    PairRecord,
    StepRecord,
    refuse_incomplete,
)
from harness.timing.engine.steps.profiles import Profiles
from harness.timing.engine.steps.task_step import PREDICTION

SCHEMA = 5

Verdict = Literal["faster", "slower", "same", "undecided"]
#: The reason why no verdict can rest on the pairs: disturbances took too many of them; the time of the
#: control differs between the configurations; over all blocks, pauses included, the difference has the
#: opposite sign.
Reason = Literal["pairs lost", "control moved", "contradicted"]
#: The reason why a duel ended: every verdict is in and precise enough; without a budget, the time to narrow
#: the intervals of reached verdicts is over; the budget is spent; the most pairs are made.
StopReason = Literal["decided", "verdicts in", "budget spent", "most pairs"]
ProcessEnvironment = Literal["quiet", "plain"]


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """Which of two configurations finishes a training first, start-up and compilation included.

    Reading data and scoring are not. A step is of the samples of a step of the reference.
    """

    steps: int
    """The steps of the training as configured."""
    ratio: Estimate | None
    """The whole time over that of the reference, after ``steps``."""
    seconds: list[float]
    """The median whole times: of the configuration, and of the reference."""


class DuelResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the pairs about one configuration compared with the reference."""

    configuration: str
    """Its label."""
    reference: str
    """The label of the first configuration."""
    verdict: Verdict
    reason: Reason | None = None
    """The reason why the pairs cannot carry a verdict; None where they can, or more may decide."""
    pairs: int
    """Pairs that were not lost to disturbances."""
    lost: int = 0
    ratio: Estimate | None
    """The geometric mean over pairs with outliers down-weighted, and its 95 % interval (from 5 pairs on)."""
    p_value: float | None
    """p-value of the two-sided test that the ratio is 1, valid at any number of pairs."""
    level: float | None = None
    """Configurations are called different by a ``p_value`` up to this."""
    spread: float | None
    """Spread of the pairs' log ratios: the standard error of their centre times the root of the pairs."""
    weight: float | None = None
    """The effective number of pairs after down-weighting; None where there are no pairs."""
    pairs_wanted: int | None = None
    """About how many more pairs are needed to decide."""
    reached_after: int | None = None
    """The number of pairs after which the verdict was reached; later pairs only narrowed the interval."""
    uneven: bool = False
    """A few blocks are far from the others in most pairs, and ``ratio`` is over all of them."""
    contradicted: bool = False
    """Over all blocks, pauses included, but those of one pair, the difference has the opposite sign."""
    finish: Finish | None = None
    """Which finishes first; None without pairs, or where the number of steps is not known."""
    control_ratio: float | None = None
    """The same ratio of the control: 1 if the machine was the same for both configurations."""


class DuelRecord(Envelope, msgspec.Struct, kw_only=True):
    """A duel of configurations on one task, or of steps of the user's own; the first is the reference."""

    schema: int = SCHEMA
    failure: str = ""
    """The reason why it did not end, in words."""
    task: TaskRecord | None = None
    dataset: DatasetRecord | None = None
    step: StepRecord | None = None
    """In place of a task and its data."""
    process_environment: ProcessEnvironment
    """``quiet``: variables were set so that times vary less; ``plain``: they are the user's."""
    seed: int
    margin: float
    """Configurations are the same if their ratio is within this of 1, such as 0.02."""
    turns: int
    """Blocks of each configuration in a pair."""
    max_steps: int | None = None
    """The most steps of the training for which the configurations are compared as a whole."""
    configurations: list[ConfigurationRecord]
    differences: list[Difference] = []
    """Requested differences between the configurations, apart from backend and mode."""
    inherited_variables: dict[str, str] = {}
    """The user's variables that influence speed and reach the processes unchanged."""
    missing_controls: list[str] = []
    """Parts of a quiet environment that this platform lacks."""
    peak_flops_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Speed of a NumPy matrix product in float32 on the CPU with the reference's threads."""
    pairs: list[PairRecord] = []
    results: list[DuelResult] = []
    """One for each configuration but the reference."""
    stopped_because: StopReason | None = None
    profiles: Profiles | None = None
    """Profiles of a step in each configuration, if the user asked."""
    seconds: float = 0.0
    """Wall time, certification excluded."""

    @property
    def work_name(self) -> str:
        """The task, or the factories of the steps; of predictions, the task with a note."""
        if self.step is not None and set(self.step.targets) == {PREDICTION}:
            return f"predictions of {self.step.arguments[0].get('task', 'a task')}"
        if self.step is not None:
            return " and ".join(dict.fromkeys(self.step.targets))
        return "" if self.task is None else self.task.name

    @property
    def options(self) -> dict[str, Any]:
        """Options of the task, or arguments that all steps have in common."""
        if self.step is not None:
            first, *others = self.step.arguments
            return {n: v for n, v in first.items() if all(n in each and each[n] == v for each in others)}
        return {} if self.task is None else dict(self.task.options)

    @property
    def training_steps(self) -> int | None:
        """The steps of the whole training as configured, of the reference's batch size; None if not known."""
        samples = {} if self.dataset is None else self.dataset.samples
        if self.task is None or "train" not in samples:
            return self.max_steps
        return steps_of_training(self.task.description, samples["train"], self.max_steps)

    @property
    def dataset_name(self) -> str:
        """The data set; empty for steps of the user's own, which have their own data."""
        return "" if self.dataset is None else self.dataset.name

    def __post_init__(self) -> None:
        """Raise ValueError if the parts of a damaged file do not fit together."""
        indices = range(len(self.configurations))
        if self.results and len(self.results) != len(indices) - 1:
            raise ValueError(f"{len(self.results)} results of {len(indices)} configurations")
        refuse_incomplete(self.pairs, len(indices))


def needs(record: DuelRecord) -> Needs:
    """Return the user's own code and the backends of a duel."""
    targets = [] if record.task is None else models_of(record.task.description)
    steps = [] if record.step is None else record.step.targets
    return Needs([*targets, *steps], [own.configuration.backend for own in record.configurations])


DUELS = RecordKind(
    name="duel",
    folder="duels",
    type=DuelRecord,
    schema=SCHEMA,
    mark="margin",
    row="harness.timing.duel.page:row",
    document="harness.timing.duel.page:duel_document",
    needs=needs,
)
