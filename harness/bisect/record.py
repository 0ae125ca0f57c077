"""The record of a bisection: what was searched, every value that was measured, and what follows from them."""

import math
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from harness.bisect.search import Search, exact_search
from harness.duel.ratios import Ratios
from harness.duel.verdict import DIFFERENCE_LEVEL, SAME_LEVEL
from harness.gate.suite import Benchmark
from harness.machine.processes import ProcessMark
from harness.runs.documents import Envelope, RecordKind
from harness.stats.estimate import Estimate
from harness.stats.evidence import MOST_PAIRS, bootstrap_interval

SCHEMA = 1

#: What changed: the time of a step, of the first one, peak memory, or what the first calls return.
BisectMetric = Literal["step", "first step", "memory", "values"]
#: ``culprit``: one, or several that cannot be run one by one. ``undecided``: more pairs would decide.
Outcome = Literal["culprit", "no difference", "undecided"]


class Candidate(msgspec.Struct, frozen=True):
    """A commit or a set of versions: its name, and what its author called it."""

    name: str
    title: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of fresh processes of a candidate and the good one.

    Of candidate 0 it is a pair of two good processes. ``log_ratio`` None: lost to other work on the machine.
    """

    candidate: int
    log_ratio: float | None


class Returned(msgspec.Struct, frozen=True):
    """Whether the first calls of a candidate return what those of the good one return; if not, the change."""

    candidate: int
    is_same: bool
    difference: str = ""


class Skipped(msgspec.Struct, frozen=True):
    """A candidate that cannot be installed or run, and why."""

    candidate: int
    reason: str


class BisectRecord(Envelope, msgspec.Struct, kw_only=True):
    """A search among ``candidates``, from the good one to the bad one, each a child of the one before it."""

    schema: int = SCHEMA
    failure: str = ""
    process: ProcessMark | None = None
    """The process that searches; with it gone, a search whose status is ``running`` is lost."""
    kind: Literal["commit", "version"]
    metric: BisectMetric
    benchmark: Benchmark
    same_within: float
    """Good and bad are the same if their ratio is within this of 1."""
    probability: float
    """That ends the search."""
    candidates: list[Candidate]
    packages: list[str] = []
    """Whose versions the candidates are; of commits none."""
    installed: list[str] = []
    """What pip installs of a commit, or beside the versions."""
    file: str | None = ""
    """SHA-256 of the step's file, which all commits run; None: each runs its own."""
    steps: list[int] = []
    """Of a block: of good, of the others."""
    turns: int = 0
    probes: list[Probe] = []
    returned: list[Returned] = []
    skipped: list[Skipped] = []
    confirmation: list[float] = []
    """Log ratios of the culprit to the candidate before it."""
    outcome: Outcome | None = None
    seconds: float = 0.0
    """Wall time, installations excluded."""

    def __post_init__(self) -> None:
        """Refuse a damaged file, whose parts do not fit together."""
        numbers = range(len(self.candidates))
        used = [each.candidate for each in self.probes]
        used += [each.candidate for each in self.returned] + [each.candidate for each in self.skipped]
        if len(numbers) < 2 or any(number not in numbers for number in used):  # noqa: PLR2004  good and bad
            raise ValueError("a probe is of no candidate")

    def question(self) -> tuple[object, ...]:
        """What makes another command go on with this search: its values would be of the same."""
        where = self.candidates, self.packages, self.installed, self.file, self.machine.model_text
        return self.kind, self.metric, self.benchmark, self.same_within, *where


def judged(record: BisectRecord, _path: Path) -> BisectRecord:
    """The record in a file, with status ``lost`` instead of ``running`` where its process is gone."""
    gone = record.status == "running" and (record.process is None or record.process.has_ended())
    return msgspec.structs.replace(record, status="lost") if gone else record


BISECTIONS = RecordKind("bisection", "bisections", BisectRecord, SCHEMA, "candidates", judged)


# What the values of a bisection show: the state of its search, and the difference of good and bad.

#: Pairs of good and bad that show a difference worth searching, or hardly ever will.
_MANY = 20


def search_of(record: BisectRecord) -> Search:
    """The search with all values of the record."""
    search = Search(len(record.candidates) - 1)
    for probe in record.probes:
        if probe.log_ratio is not None:
            search.add(probe.candidate, [probe.log_ratio])
    for skipped in record.skipped:
        search.skip(skipped.candidate)
    return search


def culprits_of(record: BisectRecord) -> tuple[range, float]:
    """The candidates among which the culprit is, and the probability that it is."""
    if record.metric == "values":
        same = {each.candidate: each.is_same for each in record.returned}
        skipped = {each.candidate for each in record.skipped}
        return exact_search(same, len(record.candidates) - 1, skipped)[0], 1.0
    return search_of(record).culprits


def difference(record: BisectRecord) -> Ratios:
    """The pairs of good and bad."""
    return Ratios(np.array(_logs(record, len(record.candidates) - 1)), fenced=record.metric == "step")


def first_verdict(pairs: Ratios, margin: float) -> Outcome | None:
    """What the pairs of good and bad show: ``culprit`` if they differ, so that there is one; None: not yet.

    Proof that they are the same takes many pairs on a busy machine. Where there is neither proof after
    :data:`_MANY` pairs, an interval that holds 0 and reaches no farther than twice the margin ends it too.
    """
    within, made = math.log1p(margin), len(pairs.logs)
    if not made:
        return None
    if pairs.difference_p_value(within) <= DIFFERENCE_LEVEL:
        return "culprit"
    if pairs.same_p_value(within) <= SAME_LEVEL:
        return "no difference"
    interval = bootstrap_interval(pairs.values)
    low, high = interval.low, interval.high
    if made >= _MANY and low is not None and high is not None and -2 * within < low <= 0 <= high < 2 * within:
        return "no difference"
    return "undecided" if made >= MOST_PAIRS else None


def is_confirmed(record: BisectRecord) -> bool:
    """Whether the pairs of the culprit and the candidate before it show a difference."""
    made = Ratios(np.array(record.confirmation))
    return len(made.logs) > 0 and made.difference_p_value(math.log1p(record.same_within)) <= DIFFERENCE_LEVEL


def ratio_of(record: BisectRecord, candidate: int) -> Estimate | None:
    """A candidate's ratio to good, with its 95 % interval; None where it was not measured."""
    logs = _logs(record, candidate)
    return bootstrap_interval(np.array(logs)).exp() if logs else None


def _logs(record: BisectRecord, candidate: int) -> list[float]:
    made = [probe.log_ratio for probe in record.probes if probe.candidate == candidate]
    return [log for log in made if log is not None]
