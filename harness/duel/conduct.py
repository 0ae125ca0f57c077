"""A duel from end to end: prepare, then pair after pair until the verdicts are in or the budget is spent."""

import datetime
import os
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from harness.duel.lengths import FEWEST_TURNS, SHORTEST_BLOCK_SECONDS
from harness.duel.pairs import Alternation, log_ratio
from harness.duel.preparation import Prepared, certificates, prepare
from harness.duel.record import DuelRecord, DuelResult, encode
from harness.duel.settling import FEWEST_SECONDS
from harness.duel.verdict import compare, fewest_pairs_for_difference, kept, known_well_enough, latest
from harness.duel.workloads import Workload, differences, pad_to_equal_size
from harness.errors import HarnessError, UsageError
from harness.machine.description import describe_machine
from harness.machine.files import replace_file
from harness.machine.peak import peak_flops_per_second
from harness.machine.worker_variables import inherited_variables, missing_controls
from harness.runs.record import DatasetRecord, TaskRecord
from harness.spec.description import description_sha256
from harness.stats.looks import MOST_PAIRS, Looks
from harness.testing.certificate import Certificate
from harness.worker.errors import WorkerTimeout

#: By this share of the budget a pair may outlast it that was begun in time.
_GRACE_SHARE = 0.2


class DuelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare. The first side is the one that the others are held against."""

    sides: list[Workload]
    dataset: DatasetRecord
    margin: float
    budget_seconds: float
    quiet_environment: bool = True
    certify: bool = True
    seed: int = 0
    turns: int | None = None


class DuelObserver(Protocol):
    """Is told how a duel goes while it goes."""

    def phase(self, name: str) -> None:
        """Something other than a pair begins."""

    def paired(self, record: DuelRecord) -> None:
        """A pair has ended; ``comparisons`` say what all pairs so far come to."""


def new_record(request: DuelRequest) -> DuelRecord:
    """The record of a duel that is about to begin."""
    first = request.sides[0]
    task = first.plan.task
    now = datetime.datetime.now(datetime.UTC)
    names = "-".join(f"{side.backend}.{side.plan.mode}" for side in request.sides)
    environment: Literal["quiet", "plain"] = "quiet" if request.quiet_environment else "plain"
    return DuelRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{task.name}-{names}-{secrets.token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        task=TaskRecord(task.name, task.version, first.options, description_sha256(task), task),
        dataset=msgspec.structs.replace(request.dataset),
        machine=describe_machine(),
        environment=environment,
        seed=request.seed,
        margin=request.margin,
        turns=request.turns or 0,
        sides=[],
        differences=differences(request.sides),
        inherited_settings=inherited_variables(os.environ, first.settings(quiet=request.quiet_environment)),
        missing_knobs=missing_controls() if request.quiet_environment else [],
    )


class Duel:
    """One duel and its record, saved after every pair."""

    def __init__(self, request: DuelRequest, folder: Path, observer: DuelObserver) -> None:
        self._request = request
        self._observer = observer
        self._start = time.monotonic()
        self._chance = random.Random(secrets.randbits(64))  # noqa: S311  who goes first must not follow a seed
        self._looks = Looks()
        self._reached: dict[tuple[str, bool], DuelResult | None] = {}
        self.record = new_record(request)
        self.path = folder / f"{self.record.id}.json"

    def carry_out(self) -> DuelRecord:
        """Run it. A side that fails, and a Ctrl-C, end it with what was measured till then kept.

        So does a record that cannot be written; what this gives back is whole all the same.

        Raises:
            UsageError: the sides must not be compared, or the budget is too short to find a difference.
        """
        record = self.record
        try:
            self._run_pairs()
            record.status = "ok"
        except UsageError:
            raise
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
        except KeyboardInterrupt:
            record.status, record.failure = "interrupted", "interrupted by the user"
        try:
            self._save()
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
        return record

    def _run_pairs(self) -> None:
        request, record = self._request, self.record
        settings = [side.settings(quiet=request.quiet_environment) for side in request.sides]
        if request.quiet_environment:
            settings = pad_to_equal_size(settings, [side.python for side in request.sides])
        ring = Alternation(request.sides, settings, request.dataset.name, deadline_seconds=self._seconds_left)
        self._refuse_hopeless_budget()
        self._observer.phase("certifying and trying each side once")
        proofs = certificates(request.sides) if request.certify else None
        self._start = time.monotonic()  # certificates are cached: the budget is for the duel
        prepared = self._prepared(ring, proofs)
        self._refuse_short_budget(prepared.pair_seconds)
        self._keep(prepared)
        while not record.stopped_because:
            pair = ring.pair(prepared.steps, record.turns, self._chance)
            record.pairs.append(pair)
            record.seconds = time.monotonic() - self._start
            ended = self._why_no_more_will_come()
            self._looks.come_to(self._telling_pairs(), self._progress(), last=bool(ended))
            record.looks = dict(self._looks.shares)
            record.comparisons = self._comparisons()
            enough = all(known_well_enough(one, record.margin) for one in record.comparisons)
            record.stopped_because = "every verdict is in and precise enough" if enough else ended
            self._save()
            self._observer.paired(record)

    def _seconds_left(self) -> float:
        """What a process may take that starts now: what is left, and a while for a pair that has begun."""
        budget = self._request.budget_seconds
        return max(0.0, budget - (time.monotonic() - self._start)) + _GRACE_SHARE * budget

    def _prepared(self, ring: Alternation, proofs: list[Certificate] | None) -> Prepared:
        try:
            return prepare(ring, proofs, self._request.turns)
        except HarnessError as error:
            cause = error.__cause__
            if not isinstance(cause, WorkerTimeout) or cause.silent:
                raise
            raise HarnessError(
                f"{error}. If it does not hang, trying it once takes longer than --budget "
                f"{self._request.budget_seconds:g}: give several times that"
            ) from error

    def _keep(self, prepared: Prepared) -> None:
        record = self.record
        record.sides, record.dataset = prepared.records, prepared.read(record.dataset)
        record.turns = prepared.turns
        record.peak_flops_per_second = peak_flops_per_second(self._request.sides[0].plan.threads)
        steps = " and ".join(map(str, prepared.steps))
        self._observer.phase(
            f"{prepared.turns} blocks of {steps} steps, about {prepared.pair_seconds:.0f} s a pair"
        )

    def _refuse_hopeless_budget(self) -> None:
        """Before anything is started: blocks alone, were there nothing else, would take longer."""
        request = self._request
        sides, budget = len(request.sides), request.budget_seconds
        fewest = fewest_pairs_for_difference(sides - 1)
        turns = request.turns or FEWEST_TURNS
        pair_seconds = sides * (FEWEST_SECONDS + turns * SHORTEST_BLOCK_SECONDS)
        if fewest * pair_seconds > budget:
            raise UsageError(
                f"--budget {budget:g} is too short to find any difference: it takes {fewest} pairs of at "
                f"least {pair_seconds:.1f} s, and processes take time to start. Give several times that."
            )

    def _refuse_short_budget(self, pair_seconds: float) -> None:
        spent = time.monotonic() - self._start
        fewest = fewest_pairs_for_difference(len(self._request.sides) - 1)
        needed = spent + fewest * pair_seconds
        if needed > self._request.budget_seconds:
            raise UsageError(
                f"--budget {self._request.budget_seconds:g} is too short to find any difference: it takes "
                f"{fewest} pairs of about {pair_seconds:.0f} s here. Give --budget {needed * 1.2:.0f}."
            )

    @property
    def _batch_sizes(self) -> list[int]:
        return [side.batch_size for side in self.record.sides]

    def _telling_pairs(self) -> int:
        """Those that were not lost; a turn is lost for all sides alike, so any side will do."""
        return sum(log_ratio(pair, 1, self._batch_sizes) is not None for pair in self.record.pairs)

    def _progress(self) -> float:
        """The share of what this duel may take, in time or in pairs."""
        record = self.record
        return max(record.seconds / self._request.budget_seconds, len(record.pairs) / MOST_PAIRS)

    def _why_no_more_will_come(self) -> str:
        """Empty where another pair would still be in time."""
        record = self.record
        if len(record.pairs) >= MOST_PAIRS:
            return f"{MOST_PAIRS} pairs were made, as many as a duel makes"
        pair_seconds = max(recent.seconds for recent in record.pairs[-3:])
        if record.seconds + pair_seconds > self._request.budget_seconds:
            return "the budget is spent"
        return ""

    def _comparisons(self) -> list[DuelResult]:
        """Each side against the first."""
        record = self.record
        labels = [side.label for side in record.sides]
        made = [
            compare(
                record.pairs,
                side,
                labels,
                self._batch_sizes,
                margin=record.margin,
                looks=self._looks,
                comparisons=len(record.sides) - 1,
            )
            for side in range(1, len(record.sides))
        ]
        for one in made:
            over = one.side, one.uneven
            self._reached[over] = latest(self._reached.get(over), one)
        return [kept(self._reached[one.side, one.uneven], one) for one in made]

    def _save(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, encode(self.record))
        except OSError as error:
            raise HarnessError(f"the record {self.path} cannot be written: {error.strerror}") from error
