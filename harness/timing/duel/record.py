"""The record of a duel: what was asked, each block of each pair, and the results.

Times are in seconds, memory in bytes. Ratios are of the time per sample, that of a configuration over that of
the reference: above 1 is slower than the reference.
"""

from typing import Annotated, Any, Literal

import msgspec

from harness.core.audit.findings import Clock, Verification
from harness.core.certify.certificate import Certificate, Losses
from harness.core.documents.kinds import Envelope, RecordKind
from harness.core.machine.quantities import Measured
from harness.core.machine.usage import Disturbance
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import DatasetRecord, TaskRecord
from harness.core.stats.estimate import Estimate
from harness.timing.engine.steps.findings import (
    Profiles,
    Values,
    WorkComparison,
)

SCHEMA = 4

Verdict = Literal["faster", "slower", "same", "undecided"]
#: Why no verdict can rest on the pairs: disturbances took too many of them; the control's time differs
#: between the configurations; over all blocks, pauses included, the difference has the opposite sign.
Reason = Literal["pairs lost", "control moved", "contradicted"]
#: Why a duel ended: every verdict is in and precise enough; the budget or, without one, the most time of a
#: duel is spent; there are as many pairs as there can be; there is no time for as many as a verdict takes.
#: ``verdicts in``: without a budget, the time to narrow the intervals of reached verdicts is over.
StopReason = Literal["decided", "verdicts in", "budget spent", "time spent", "most pairs", "hopeless"]
ProcessEnvironment = Literal["quiet", "plain"]


class ConfigurationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as it ran."""

    label: str
    """Its name in output: backend and mode, with a letter in front if two are named alike."""
    configuration: Configuration
    framework: dict[str, str]
    """What the backend reports about itself: engine, versions, build."""
    device: str
    """The one that was used."""
    batch_size: int
    options: dict[str, bool | int | float | str]
    """Options of the task."""
    variables: dict[str, str]
    """Environment variables that its processes were started with."""
    certificate: Certificate | None
    training_flops_per_sample: int


class Difference(msgspec.Struct, frozen=True):
    """What the user asked to differ: its name, and its value for each configuration (None: not set)."""

    name: str
    values: list[str | None]


class BlockRecord(msgspec.Struct, frozen=True):
    """Steady steps of one configuration that were timed together."""

    configuration: int
    """Its index; 0 is the reference."""
    turn: int
    steps: Annotated[int, msgspec.Meta(ge=1)]
    seconds: Annotated[float, msgspec.Meta(ge=1e-12)]  # far below the resolution of any clock
    control_seconds: float
    """Time of the control, a fixed NumPy product, just before the block."""
    disturbance: Disturbance
    """CPU time that others used during the block."""
    disturbed: bool
    """The block and its turn are left out, because a burst of other work fell into it."""
    joules: float | None = None
    """Energy of the processor's packages and the GPU, if their counters can be read."""


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fresh process of a configuration."""

    import_seconds: float
    build_seconds: float
    first_step_seconds: float
    warm_up_seconds: list[float]
    """Of each block made before step times settled."""
    settled: bool
    """Step times settled before warm-up was cut off."""
    measured: Measured
    """What was measured of the process at its end: its peak memory at least."""
    first_call_steps: int = 0
    """Steps of the first call of each length after the first step, and of the first short last batch, in each
    of which a compiler may run again. No block contains them."""
    first_call_seconds: float = 0.0
    clock: Clock | None = None
    """Whether two sums over all calls of the process confirm its times."""
    first_losses: Losses = []
    """Of the first steps, which are equal in all configurations with the same batches."""
    verification: Verification | None = None
    """What was recomputed of the work of its blocks; None if this process was not chosen for it."""

    def __post_init__(self) -> None:
        """Refuse a damaged process, of which the memory is not known."""
        if "peak_memory_bytes" not in self.measured:
            raise ValueError("a process lacks its peak memory")


class PairRecord(msgspec.Struct, frozen=True):
    """A fresh process of each configuration, and their blocks in the order in which they ran."""

    processes: list[ProcessRecord]
    """One for each configuration, in their order."""
    blocks: list[BlockRecord]
    seconds: float
    """Wall time, including the start of the processes."""
    side_by_side: bool = False
    """The processes imported and built at the same time, each on its own CPUs."""

    def __post_init__(self) -> None:
        """Refuse a damaged pair, of which a turn lacks a configuration."""
        turns: dict[int, set[int]] = {}
        for block in self.blocks:
            turns.setdefault(block.turn, set()).add(block.configuration)
        if any(covered != turns[self.blocks[0].turn] for covered in turns.values()):
            raise ValueError("its turns are not of the same configurations")


class DuelResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs show about one configuration compared with the reference."""

    configuration: str
    """Its label."""
    reference: str
    """The label of the first configuration."""
    verdict: Verdict
    reason: Reason | None = None
    """Why the pairs cannot carry a verdict; None where they can, or where more of them may decide."""
    pairs: int
    """Those that were not lost to disturbances."""
    lost: int = 0
    ratio: Estimate | None
    """The geometric mean over pairs with outliers down-weighted, and its 95 % interval (from 5 pairs on)."""
    p_value: float | None
    """Of the two-sided test that the ratio is 1, valid at any number of pairs."""
    level: float | None = None
    """Configurations are called different by a ``p_value`` up to this."""
    spread: float | None
    """Of the pairs' log ratios: the standard error of their centre times the square root of the pairs."""
    weight: float | None = None
    """The effective number of pairs after down-weighting; None where there are no pairs."""
    pairs_wanted: int | None = None
    """About how many more pairs are needed to decide."""
    pairs_needed: int | None = None
    """The fewest pairs that can show a difference."""
    reached_after: int | None = None
    """The number of pairs after which the verdict was reached; later pairs only narrowed the interval."""
    uneven: bool = False
    """A few blocks are far from the others in most pairs, and ``ratio`` is over all of them."""
    contradicted: bool = False
    """Over all blocks, pauses included, but those of one pair, the difference has the opposite sign."""
    control_ratio: float | None = None
    """The same ratio of the control: 1 if the machine was the same for both configurations."""


#: What makes a prediction of a task a step of the user's own.
PREDICTION = "harness.timing.engine.steps.task_step:make_prediction"


class StepRecord(msgspec.Struct, kw_only=True):
    """A step of the user's own: one factory, or one for each configuration, with their arguments."""

    targets: list[str]
    arguments: list[dict[str, Any]]
    seed: int | None
    """Of the generators of Python, NumPy and the frameworks. None: the user's code sets its own."""
    samples: int | None = None
    """Samples of a call, if the user gave their number."""
    work: list[WorkComparison] = []
    """Whether each configuration but the reference does the same work; empty before it was compared."""


class DuelRecord(Envelope, msgspec.Struct, kw_only=True):
    """A duel of configurations on one task, or of steps of the user's own; the first is the reference."""

    schema: int = SCHEMA
    failure: str = ""
    """Why it did not end, in words."""
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
    configurations: list[ConfigurationRecord]
    differences: list[Difference] = []
    """What the user asked to differ between the configurations, apart from backend and mode."""
    inherited_variables: dict[str, str] = {}
    """The user's variables that influence speed and reach the processes unchanged."""
    missing_controls: list[str] = []
    """What this platform lacks of a quiet environment."""
    peak_flops_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Speed of a NumPy matrix product in float32 on the CPU with the reference's threads."""
    pairs: list[PairRecord] = []
    results: list[DuelResult] = []
    """One for each configuration but the reference."""
    stopped_because: StopReason | None = None
    profiles: Profiles | None = None
    """Where the time of a step goes in each configuration, if the user asked."""
    seconds: float = 0.0
    """Wall time, certification excluded."""

    @property
    def work_name(self) -> str:
        """The task, or the factories of the steps; of predictions what they are of."""
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
    def dataset_name(self) -> str:
        """The data set; empty for steps of the user's own, which have their own data."""
        return "" if self.dataset is None else self.dataset.name

    def __post_init__(self) -> None:
        """Refuse a damaged file, whose parts do not fit together."""
        indices = range(len(self.configurations))
        if self.results and len(self.results) != len(indices) - 1:
            raise ValueError(f"{len(self.results)} results of {len(indices)} configurations")
        refuse_incomplete(self.pairs, len(indices))


def refuse_incomplete(pairs: list[PairRecord], configurations: int) -> None:
    """Raise ValueError if a pair lacks a process or the blocks of a configuration."""
    for number, pair in enumerate(pairs, 1):
        covered = {block.configuration for block in pair.blocks}
        if len(pair.processes) != configurations or covered != set(range(configurations)):
            raise ValueError(f"pair {number} does not cover {configurations} configurations")


# The files of duels.

DUELS = RecordKind(
    name="duel",
    folder="duels",
    type=DuelRecord,
    schema=SCHEMA,
    mark="margin",
    row="harness.timing.duel.page:row",
    document="harness.timing.duel.page:duel_document",
)


# The record of a step of the user's own that is timed alone, and its files.

TIME_SCHEMA = 1


class TimeRecord(Envelope, msgspec.Struct, kw_only=True):
    """A step of the user's own, timed. Times are in seconds."""

    schema: int = TIME_SCHEMA
    failure: str = ""
    step: StepRecord
    inherited_variables: dict[str, str] = {}
    missing_controls: list[str] = []
    turns: int = 0
    """Blocks of each process."""
    configurations: list[ConfigurationRecord] = []
    """The one that was timed; empty before it ran."""
    pairs: list[PairRecord] = []
    """The blocks of each process, in the form of a duel's."""
    single_calls: list[list[float]] = []
    """Seconds of each call that was timed alone, for each process, after its blocks."""
    first_values: list[Values] = []
    """What the first calls returned."""
    profiles: Profiles | None = None
    """Where the time of a step goes, if the user asked."""
    is_deterministic: bool | None = None
    """Whether two processes returned equal values; None where nothing was returned."""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a damaged file, whose parts do not fit together."""
        refuse_incomplete(self.pairs, len(self.configurations))


TIMES = RecordKind(
    name="time",
    folder="times",
    type=TimeRecord,
    schema=TIME_SCHEMA,
    mark="single_calls",
    row="harness.timing.time.page:row",
    document="harness.timing.time.page:time_document",
    noun=("timing of a step", "timings of steps"),
)
