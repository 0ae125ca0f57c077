"""A duel from start to end: prepare, then run pairs until the verdicts are in or the budget is spent."""

import datetime
import os
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Protocol

import msgspec

from harness.duel.lengths import FEWEST_TURNS, SHORTEST_BLOCK_SECONDS
from harness.duel.pairs import Alternation, log_ratio
from harness.duel.preparation import Prepared, certificates, prepare
from harness.duel.record import DuelRecord, DuelResult, StopReason, encode
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

#: A pair that began within the budget may exceed it by this share.
_GRACE_SHARE = 0.2


class DuelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare. The first workload is the reference."""

    workloads: list[Workload]
    dataset: DatasetRecord
    margin: float
    budget_seconds: float
    quiet_environment: bool = True
    certify: bool = True
    seed: int = 0
    turns: int | None = None


class DuelObserver(Protocol):
    """Follows a duel while it runs."""

    def preparing(self, *, certify: bool) -> None:
        """Each configuration is certified, if asked for, and tried once."""

    def measuring(self, prepared: Prepared) -> None:
        """Pairs begin."""

    def paired(self, record: DuelRecord) -> None:
        """A pair has ended; ``results`` are those of all pairs so far."""


def new_record(request: DuelRequest) -> DuelRecord:
    """The record of a duel that is about to begin."""
    reference = request.workloads[0]
    task = reference.task
    now = datetime.datetime.now(datetime.UTC)
    configurations = [workload.configuration for workload in request.workloads]
    names = "-".join(f"{configuration.backend}.{configuration.mode}" for configuration in configurations)
    replaced = reference.worker_variables(quiet=request.quiet_environment)
    return DuelRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{task.name}-{names}-{secrets.token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        command=sys.argv[1:],
        task=TaskRecord(task.name, task.version, reference.options, description_sha256(task), task),
        dataset=msgspec.structs.replace(request.dataset),
        machine=describe_machine(),
        process_environment="quiet" if request.quiet_environment else "plain",
        seed=request.seed,
        margin=request.margin,
        turns=request.turns or 0,
        configurations=[],
        differences=differences(request.workloads),
        inherited_variables=inherited_variables(os.environ, replaced),
        missing_controls=missing_controls() if request.quiet_environment else [],
    )


class Duel:
    """One duel and its record, which is saved after every pair."""

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
        """Run the duel. A failing configuration or Ctrl-C ends it; all finished pairs are kept.

        If the record cannot be written, the duel ends as failed too, and the returned record is complete.

        Raises:
            UsageError: the workloads must not be compared, or the budget is too short to find a difference.
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
        alternation = self._alternation()
        self._refuse_hopeless_budget()
        self._observer.preparing(certify=request.certify)
        proofs = certificates(request.workloads) if request.certify else None
        self._start = time.monotonic()  # certificates are cached, so the budget does not include them
        prepared = self._prepared(alternation, proofs)
        self._refuse_short_budget(prepared.pair_seconds)
        self._keep(prepared)
        while record.stopped_because is None:
            pair = alternation.pair(prepared.steps, record.turns, self._chance)
            record.pairs.append(pair)
            record.seconds = time.monotonic() - self._start
            ended = self._end()
            self._looks.come_to(self._usable_pairs(), self._progress(), last=ended is not None)
            record.looks = dict(self._looks.shares)
            record.results = self._results()
            enough = all(known_well_enough(result, record.margin) for result in record.results)
            record.stopped_because = "decided" if enough else ended
            self._save()
            self._observer.paired(record)

    def _alternation(self) -> Alternation:
        request = self._request
        quiet = request.quiet_environment
        variables = [workload.worker_variables(quiet=quiet) for workload in request.workloads]
        if quiet:
            pythons = [workload.configuration.python for workload in request.workloads]
            variables = pad_to_equal_size(variables, pythons)
        return Alternation(
            request.workloads, variables, request.dataset.name, deadline_seconds=self._seconds_left
        )

    def _seconds_left(self) -> float:
        """Time limit of a process that starts now: the rest of the budget, and some more for a begun pair."""
        budget = self._request.budget_seconds
        return max(0.0, budget - (time.monotonic() - self._start)) + _GRACE_SHARE * budget

    def _prepared(self, alternation: Alternation, proofs: list[Certificate] | None) -> Prepared:
        try:
            return prepare(alternation, proofs, self._request.turns)
        except HarnessError as error:
            cause = error.__cause__
            if not isinstance(cause, WorkerTimeout) or cause.silent:
                raise
            raise HarnessError(
                f"{error}. If it does not hang, one trial exceeds --budget "
                f"{self._request.budget_seconds:g}s; set several times that."
            ) from error

    def _keep(self, prepared: Prepared) -> None:
        record = self.record
        record.configurations, record.dataset = prepared.records, prepared.read(record.dataset)
        record.turns = prepared.turns
        threads = self._request.workloads[0].configuration.threads
        record.peak_flops_per_second = peak_flops_per_second(threads)
        self._observer.measuring(prepared)

    def _refuse_hopeless_budget(self) -> None:
        """Before anything is started: the blocks alone take longer than the budget."""
        request = self._request
        count, budget = len(request.workloads), request.budget_seconds
        fewest = fewest_pairs_for_difference(count - 1)
        turns = request.turns or FEWEST_TURNS
        pair_seconds = count * (FEWEST_SECONDS + turns * SHORTEST_BLOCK_SECONDS)
        if fewest * pair_seconds > budget:
            raise UsageError(
                f"--budget {budget:g}s is too short to find any difference: that takes {fewest} pairs of at "
                f"least {pair_seconds:.1f} s, plus the start of the processes. Set several times "
                f"{fewest * pair_seconds:.0f}s."
            )

    def _refuse_short_budget(self, pair_seconds: float) -> None:
        spent = time.monotonic() - self._start
        fewest = fewest_pairs_for_difference(len(self._request.workloads) - 1)
        needed = spent + fewest * pair_seconds
        if needed > self._request.budget_seconds:
            raise UsageError(
                f"--budget {self._request.budget_seconds:g}s is too short to find any difference: that takes "
                f"{fewest} pairs of about {pair_seconds:.0f} s here. Set --budget {needed * 1.2:.0f}s."
            )

    @property
    def _batch_sizes(self) -> list[int]:
        return [configuration.batch_size for configuration in self.record.configurations]

    def _usable_pairs(self) -> int:
        """The pairs that were not lost; turns are dropped for all configurations alike."""
        return sum(log_ratio(pair, 1, self._batch_sizes) is not None for pair in self.record.pairs)

    def _progress(self) -> float:
        """The used share of the budget, or of the most pairs."""
        record = self.record
        return max(record.seconds / self._request.budget_seconds, len(record.pairs) / MOST_PAIRS)

    def _end(self) -> StopReason | None:
        """Why no other pair will run; None if there is time for one."""
        record = self.record
        if len(record.pairs) >= MOST_PAIRS:
            return "most pairs"
        pair_seconds = max(recent.seconds for recent in record.pairs[-3:])
        return "budget spent" if record.seconds + pair_seconds > self._request.budget_seconds else None

    def _results(self) -> list[DuelResult]:
        """Each configuration compared with the reference."""
        record = self.record
        labels = [configuration.label for configuration in record.configurations]
        made = [
            compare(
                record.pairs,
                index,
                labels,
                self._batch_sizes,
                margin=record.margin,
                looks=self._looks,
                comparisons=len(labels) - 1,
            )
            for index in range(1, len(labels))
        ]
        for result in made:
            over = result.configuration, result.uneven
            self._reached[over] = latest(self._reached.get(over), result)
        return [kept(self._reached[result.configuration, result.uneven], result) for result in made]

    def _save(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, encode(self.record))
        except OSError as error:
            raise HarnessError(f"cannot write the record {self.path}: {error.strerror}") from error
