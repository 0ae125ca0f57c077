"""The record of a duel: what was asked, each block of each pair, and what follows from them.

Times are in seconds, memory in bytes. Ratios are of time per sample, a side's over the first side's:
above 1 is slower than the first side.
"""

from typing import Annotated, Literal

import msgspec

from harness.machine.description import Machine
from harness.machine.disturbance import Disturbance
from harness.runs.record import DatasetRecord, TaskRecord
from harness.spec.backend import Precision
from harness.testing.certificate import Certificate

SCHEMA = 1

Status = Literal["running", "ok", "failed", "interrupted"]
Word = Literal["faster", "slower", "same", "cannot tell yet"]

#: What is said of a ratio over all blocks, where otherwise it is over those in the middle.
UNEVEN = "a few blocks of most pairs are far off the others, and all count"


class ConfigurationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One side as it ran. ``settings`` are the variables its processes were started with."""

    label: str
    backend: str
    mode: str
    python: str
    framework: dict[str, str]
    device: str
    precision: Precision
    threads: int
    batch_size: int
    options: dict[str, bool | int | float | str]
    settings: dict[str, str]
    certificate: Certificate | None
    training_flops_per_sample: int
    clock_ratio: float
    """Time of a block of 2n steps over that of one of n: 2 for an honest clock."""


class BlockRecord(msgspec.Struct, frozen=True):
    """``steps`` steady steps of one side, the control's time just before them, and what disturbed them.

    ``joules`` are those of the processor's packages and the GPU, where their counters can be read.
    """

    side: int
    turn: int
    steps: Annotated[int, msgspec.Meta(ge=1)]
    seconds: Annotated[float, msgspec.Meta(gt=0)]
    control_seconds: float
    disturbance: Disturbance
    disturbed: bool
    joules: float | None = None


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fresh process of a side. ``warm_up_seconds`` are the blocks made before step times settled.

    ``first_call_steps`` are those of the first call of each length after the first step, and of the first
    short last batch: a compiler may have its say once more. No block has them.
    """

    import_seconds: float
    build_seconds: float
    first_step_seconds: float
    warm_up_seconds: list[float]
    settled: bool
    peak_memory_bytes: int
    device_peak_memory_bytes: int | None
    first_call_steps: int = 0
    first_call_seconds: float = 0.0


class PairRecord(msgspec.Struct, frozen=True):
    """A fresh process of each side, and their blocks in the order in which they were made."""

    processes: list[ProcessRecord]
    blocks: list[BlockRecord]
    seconds: float
    """Of wall time, starting the processes included."""
    side_by_side: bool = False
    """The processes imported and built at the same time, each with a CPU for itself."""


class DuelResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs say of one side against the first.

    ``ratio`` is the geometric mean over pairs, outliers cut as :mod:`harness.duel.ratios` says; ``low`` to
    ``high`` its 95 % interval (None for fewer than 5 pairs), ``p_value`` of the two-sided sign-flip test
    that it is 1.
    """

    side: str
    against: str
    verdict: Word
    reason: str = ""
    pairs: int
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    spread: float | None
    """Of the pairs' log ratios: the standard error of their centre times the root of the pairs."""
    weight: float | None = None
    """What all pairs count as together, outliers less. None in records of before they did."""
    pairs_wanted: int | None = None
    """About so many pairs more would give a verdict."""
    reached_after: int | None = None
    """The verdict was in after so many pairs; those since then only made the ratio better known."""
    uneven: bool = False
    """A few blocks are far off the others in most pairs, and ``ratio`` is over all of them."""
    turned_round: bool = False
    """Over all blocks but those of one pair, pauses included, the difference is the other way round."""
    control_ratio: float | None = None
    """What the control says that the machine did meanwhile: 1 where both sides had the same machine."""


class DuelRecord(msgspec.Struct, kw_only=True):
    """A duel of sides on one task."""

    schema: int = SCHEMA
    id: str
    status: Status = "running"
    failure: str = ""
    started_at: str
    """UTC, ISO 8601."""
    command: list[str]
    task: TaskRecord
    dataset: DatasetRecord
    machine: Machine
    environment: Literal["quiet", "plain"]
    seed: int
    margin: float
    """Sides are the same where their ratio is within this of 1, as 0.02."""
    turns: int
    sides: list[ConfigurationRecord]
    differences: list[str] = []
    """What was asked to differ between the sides."""
    inherited_settings: dict[str, str] = {}
    """Variables of the user's that reach the sides unchanged and bear on speed."""
    missing_knobs: list[str] = []
    """What of the quiet setting this platform does not offer."""
    peak_flops_per_second: float | None = None
    """What a NumPy matrix product reached here on the CPU, in float32, with the first side's threads."""
    pairs: list[PairRecord] = []
    looks: dict[int, float] = {}
    """At how many pairs that tell it was tested, and the share of the error allowed for each test."""
    comparisons: list[DuelResult] = []
    stopped_because: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a damaged file, whose parts do not fit together."""
        sides = range(len(self.sides))
        if self.comparisons and len(self.comparisons) != len(sides) - 1:
            raise ValueError(f"{len(self.comparisons)} comparisons of {len(sides)} sides")
        for number, pair in enumerate(self.pairs, 1):
            if len(pair.processes) != len(sides) or {block.side for block in pair.blocks} != set(sides):
                raise ValueError(f"pair {number} is not of {len(sides)} sides")


def encode(record: DuelRecord) -> bytes:
    """The record as JSON, a line for each level of a person's reading."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
