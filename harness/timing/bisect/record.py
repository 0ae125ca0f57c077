"""The record of a bisection: the search, every measured value, and the conclusion."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import Envelope, RecordKind
from harness.core.machine.processes import ProcessMark
from harness.timing.environments.suite import Benchmark
from harness.timing.gate.metric_table import metrics

SCHEMA = 3

#: ``culprit``: one, or several that cannot be run one by one. ``undecided``: more pairs would decide.
Outcome = Literal["culprit", "no difference", "undecided"]


class Candidate(msgspec.Struct, frozen=True):
    """A commit or a set of versions: its name, and the title of a commit."""

    name: str
    title: str = ""


#: Far beyond what can be measured; the ratio is a finite number.
LogRatio = Annotated[float, msgspec.Meta(ge=-100, le=100)]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of fresh processes of a candidate and the good one.

    For candidate 0 it is a pair of two good processes. ``log_ratio`` None: lost to other work on the machine.
    """

    candidate: int
    log_ratio: LogRatio | None


class Returned(msgspec.Struct, frozen=True):
    """The comparison of the first calls of a candidate with those of the good one, and the change."""

    candidate: int
    is_same: bool
    difference: str = ""


class Skipped(msgspec.Struct, frozen=True):
    """A candidate that cannot be installed or run, and the reason."""

    candidate: int
    reason: str


class BisectRecord(Envelope, msgspec.Struct, kw_only=True):
    """A search among ``candidates``, from the good one to the bad one, each a child of the one before it."""

    schema: int = SCHEMA
    failure: str = ""
    process: ProcessMark | None = None
    """The process that searches; with it gone, a search whose status is ``running`` is lost."""
    kind: Literal["commit", "version"]
    metric: str
    """What changed: a metric of gates, or ``values``, what the first calls return."""
    benchmark: Benchmark
    same_within: Annotated[float, msgspec.Meta(ge=0)]
    """Good and bad are the same if their ratio is within this of 1."""
    probability: float
    """The probability of the culprit that ends the search."""
    candidates: list[Candidate]
    packages: list[str] = []
    """Whose versions the candidates are; of commits none."""
    installed: list[str] = []
    """The requirements that pip installs of a commit, or beside the versions."""
    file: str = ""
    """SHA-256 of the step's file in the working tree; empty where it has none."""
    own_file: bool = False
    """All commits run this file, not only those that have none."""
    steps: list[int] = []
    """Steps of a block of good, and of the other candidates."""
    turns: int = 0
    probes: list[Probe] = []
    returned: list[Returned] = []
    skipped: list[Skipped] = []
    confirmation: list[LogRatio] = []
    """Log ratios of the culprit to the candidate before it."""
    outcome: Outcome | None = None
    seconds: float = 0.0
    """Wall time, installations excluded."""

    def __post_init__(self) -> None:
        """Raise ValueError if the parts of a damaged file do not fit together."""
        if self.metric not in {*metrics(), "values"}:
            raise ValueError(f"unknown metric {self.metric}")
        numbers = range(len(self.candidates))
        used = [each.candidate for each in self.probes]
        used += [each.candidate for each in self.returned] + [each.candidate for each in self.skipped]
        if len(numbers) < 2 or any(number not in numbers for number in used):  # noqa: PLR2004  good and bad
            raise ValueError("a probe is of no candidate")

    def question(self) -> tuple[object, ...]:
        """Return the settings that let another command go on with this search."""
        where = self.candidates, self.packages, self.installed, self.file, self.own_file
        return self.kind, self.metric, self.benchmark, self.same_within, *where, self.machine.model_text


def judged(record: BisectRecord, _path: Path) -> BisectRecord:
    """Return the record with status ``lost`` instead of ``running`` where its process is gone."""
    gone = record.status == "running" and (record.process is None or record.process.has_ended())
    return msgspec.structs.replace(record, status="lost") if gone else record


BISECTIONS = RecordKind(
    name="bisection",
    folder="bisections",
    type=BisectRecord,
    schema=SCHEMA,
    mark="candidates",
    row="harness.timing.bisect.page:row",
    document="harness.timing.bisect.page:bisect_document",
    judge=judged,
    needs=lambda record: Needs([record.benchmark.step] if record.benchmark.step else []),
)
