"""The record of a gate: what was asked, what was measured, and what follows for each benchmark.

Times are in seconds, memory in bytes. Ratios are head's over base's: above 1 is worse.
"""

from typing import Literal

import msgspec

from harness.duel.record import ConfigurationRecord, PairRecord
from harness.gate.suite import Benchmark, Limits
from harness.machine.description import Machine
from harness.runs.record import DatasetRecord

SCHEMA = 1

Status = Literal["running", "ok", "failed", "interrupted"]
Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
#: How a quality's reason begins where the first steps agree, and yet the whole training would not.
OTHER_TASK = "head's task is another"
#: How it begins where the two learn from other bytes, so that no figure of theirs can be compared.
OTHER_DATA = "head reads other data"
#: What the reason asks for where trainings so short cannot tell of the steps to a target.
LONGER_TRAININGS = 'give more epochs, or max_extra_steps = "off"'
#: How the reason ends where head failed beside base and not by itself.
NOT_ALONE = (
    "by itself it did the same work: it fails now and then, or the two do not fit into memory together"
)

Metric = Literal["step", "first step", "memory"]


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two sides: its interpreter, and what was found in it.

    ``commit`` is that of the source it was made from, where the harness made it; ``cautions`` are what a
    reader must know of how, each a clause.
    """

    python: str
    harness: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """What pairs of processes say of one metric, ``low`` to ``high`` being a 95 % interval of the ratio.

    ``base`` and ``head`` are medians over processes. ``limit`` is the share allowed, as 0.05. ``p_value``
    is of the one-sided test that head is no worse than base, by the fresh pairs of stage ``confirmation``;
    the ``look`` before it gives none, for it only chooses what is confirmed. ``pairs`` tells how many the
    verdict rests on: in the confirmation, of a FAIL the fresh ones alone, else those of the look too.
    """

    metric: Metric
    verdict: Verdict
    reason: str = ""
    unsound: bool = False
    """Of INCONCLUSIVE: the pairs cannot be believed, however many there were."""
    against: bool = False
    """Of INCONCLUSIVE: the pairs can be believed, and their whole interval is beyond the limit."""
    stage: Literal["look", "confirmation"]
    limit: float
    base: float
    head: float
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    pairs: int
    unpaired: bool = False
    """``pairs`` are processes of head, held against those of a stored baseline."""
    weight: float | None = None
    """What these pairs count as together, outliers less. None in records of before they did."""
    uneven: bool = False
    """Of a step: a few blocks are far off the others in most pairs, and ``ratio`` is over all blocks."""
    looks: dict[Literal["within", "worse"], dict[int, float]] = {}
    """Of the confirmation: at how many pairs it was tested for being within the limit (all pairs) and for a
    loss (the fresh ones), and the share of the error allowed for each test."""


class SeedScores(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed came to on both sides: validation scores at the best epoch, and steps to the target.

    None: a loss was not finite, or no score was; the target was not reached. ``head_steps`` are those of the
    whole training, ``first_steps`` those to the first scores of base and head, before which no target is seen
    to be reached.
    """

    seed: int
    base: float | None
    head: float | None
    base_steps_to_target: int | None
    head_steps_to_target: int | None
    head_steps: int = 0
    first_steps: tuple[int, int] = (0, 0)


class QualityResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether head learns what base learns.

    ``worst`` is the largest relative deviation of head's first losses from base's, in float64 where the
    backend has it.
    Where that is more than rounding and the suite allows another quality, ``seeds`` were trained on both.
    """

    verdict: Verdict
    reason: str = ""
    unsound: bool = False
    """Of INCONCLUSIVE: nothing was compared that a verdict could rest on."""
    against: bool = False
    """As of a :class:`MetricResult`."""
    worst: float | None = None
    measure: str = ""
    seeds: list[SeedScores] = []
    frameworks: list[dict[str, str]] = []
    """What the first losses of base and of head were computed with."""


class BenchmarkRecord(msgspec.Struct, kw_only=True):
    """One benchmark of a suite: its two sides, the pairs of both stages, and the verdict."""

    name: str
    backend: str
    mode: str
    task: str
    options: dict[str, bool | int | float | str]
    asked: Benchmark | None = msgspec.field(default=None, name="benchmark")
    """What the suite gives; all else is left to the task and to the machine. None where that is not known."""
    dataset: DatasetRecord
    threads: int
    limits: Limits
    vanished: bool = False
    """It is base's alone: head's suite no longer has it, or has other work under its name."""
    turns: int = 0
    sides: list[ConfigurationRecord] = []
    """Base, head."""
    look: list[PairRecord] = []
    confirmation: list[PairRecord] = []
    quality: QualityResult | None = None
    metrics: list[MetricResult] = []
    verdict: Verdict = "INCONCLUSIVE"
    reason: str = ""
    """Of a verdict other than PASS, in one sentence."""
    unsound: bool = False
    """Of INCONCLUSIVE: nothing was measured, or it cannot be believed. Such a verdict is never folded into
    PASS; one for which more time or a quieter machine would do may be."""
    against: bool = False
    """Of INCONCLUSIVE: what was measured says that head is worse. It is never folded into PASS either."""
    seconds: float = 0.0


class GateRecord(msgspec.Struct, kw_only=True):
    """A gate: a suite of benchmarks on base and head."""

    schema: int = SCHEMA
    id: str
    status: Status = "running"
    failure: str = ""
    started_at: str
    """UTC, ISO 8601."""
    command: list[str]
    machine: Machine
    suite: str
    """The file that the suite was read from."""
    base: EnvironmentRecord
    head: EnvironmentRecord
    against: Literal["environment", "stored baseline"] = "environment"
    """Base as it ran beside head, or as a file remembers it: the weaker way."""
    false_alarms: float
    """The chance, over the whole suite, that unchanged code fails."""
    unwatched: str = ""
    """Why nothing tells whether a benchmark of base's has vanished; empty where something does."""
    benchmarks: list[BenchmarkRecord] = []
    verdict: Verdict = "INCONCLUSIVE"
    seconds: float = 0.0


def encode(record: GateRecord) -> bytes:
    """The record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
