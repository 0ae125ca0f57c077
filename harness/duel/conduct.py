"""A duel from start to end: prepare, then run pairs until the verdicts are in or no more time is left."""

import random
import secrets
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.certify.certificate import Certificate
from harness.duel import ending
from harness.duel.equal_work import refuse_unequal_work
from harness.duel.log_ratios import log_ratio
from harness.duel.pair_time import PairTime
from harness.duel.pairs import Alternation
from harness.duel.preparation import Prepared, certificates, prepare
from harness.duel.record import DuelRecord, DuelResult, PairRecord, encode
from harness.duel.request import DuelRequest, new_record
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.verdict import compare, fewest_pairs_for_difference, kept, latest
from harness.duel.workloads import pad_to_equal_size
from harness.errors import HarnessError, UsageError, interruption
from harness.machine.calibration import peak_flops_per_second
from harness.machine.durations import duration_text
from harness.machine.files import replace_result, with_checksum
from harness.stats.evidence import MOST_PAIRS, Looks
from harness.worker.errors import WorkerTimeout

#: A pair that began within the budget may exceed it by this share.
_GRACE_SHARE = 0.2
#: The budget to suggest where a single trial exceeds it: this many times as much.
_LARGER_BUDGET = 5


class Outlook(NamedTuple):
    """A verdict takes at least ``fewest_pairs`` of ``pair_seconds``; there is time for ``pairs_left``.

    With what was spent before the first pair, a verdict takes at least ``seconds_needed``.
    """

    fewest_pairs: int
    pair_seconds: float
    pairs_left: int
    seconds_needed: float


class DuelObserver(Protocol):
    """Follows a duel while it runs."""

    def preparing(self, *, certify: bool) -> None:
        """Each configuration is certified, if asked for, and tried once."""

    def certifying(self, label: str) -> None:
        """A configuration is certified, or its certificate is read from the cache."""

    def trying(self, label: str) -> None:
        """A configuration is tried."""

    def measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """Pairs begin."""

    def paired(self, record: DuelRecord, seconds_left: float) -> None:
        """A pair has ended; ``results`` are those of all pairs so far. About so much time is left."""


class Duel:
    """One duel and its record, which is saved after every pair."""

    def __init__(self, request: DuelRequest, folder: Path, observer: DuelObserver) -> None:
        self._request = request
        self._observer = observer
        self._start = time.monotonic()
        self._chance = random.Random(secrets.randbits(64))  # noqa: S311  who goes first must not follow a seed
        self._looks = Looks()
        self._pair_time = PairTime()
        self._reached: dict[tuple[str, bool], DuelResult | None] = {}
        self.record = new_record(request)
        self.failed_label: str | None = None
        """The workload whose failure ended the duel, if one did."""
        self.path = folder / f"{self.record.id}.json"

    def carry_out(self) -> DuelRecord:
        """Run the duel. A failing configuration or Ctrl-C ends it; all finished pairs are kept.

        If the record cannot be written, the duel ends as failed too, and the returned record is complete.

        Raises:
            UsageError: the workloads must not be compared.
        """
        record = self.record
        try:
            self._run_to_the_end()
        except KeyboardInterrupt as interrupt:
            # Whenever it comes, the last record is whole: further signals wait, see harness.cli.signals.
            if record.status == "running":
                record.status, record.failure = "interrupted", interruption(interrupt)
            self._save_last()
        return record

    def _run_to_the_end(self) -> None:
        record = self.record
        try:
            self._run_pairs()
            record.status = "ok"
        except UsageError:
            raise
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
            self.failed_label = error.label if isinstance(error, ConfigurationFailed) else None
        self._save_last()

    def _save_last(self) -> None:
        record = self.record
        try:
            self._save()
        except HarnessError as error:
            causes = [record.failure, str(error)] if record.failure else [str(error)]
            record.status, record.failure = "failed", "; ".join(causes)

    def _run_pairs(self) -> None:
        request, record = self._request, self.record
        alternation = self._alternation()
        self._observer.preparing(certify=request.certify)
        proofs = certificates(request.workloads, self._observer.certifying) if request.certify else None
        self._start = time.monotonic()  # certificates are cached, so the budget does not include them
        prepared = self._prepared(alternation, proofs)
        self._keep(prepared)
        while record.stopped_because is None:
            pair = self._pair(alternation, prepared)
            record.seconds = time.monotonic() - self._start
            if pair is None:
                record.stopped_because = (
                    "budget spent" if request.budget_seconds is not None else "time spent"
                )
            else:
                record.pairs.append(pair)
                refuse_unequal_work(request.workloads, pair)
                self._pair_time.made(pair)
                record.stopped_because = ending.out_of_time(request, record, self._pair_time.seconds)
            self._judge()
            self._save()
            if pair is not None:
                left = ending.seconds_left(request, record, self._pair_time.seconds)
                self._observer.paired(record, left)

    def _pair(self, alternation: Alternation, prepared: Prepared) -> PairRecord | None:
        """The next pair; None if the time is up before it ends, and there are others."""
        try:
            return alternation.pair(prepared.steps, self.record.turns, self._chance)
        except ConfigurationFailed as error:
            if not _ran_out_of_time(error):
                raise
            if self.record.pairs:
                return None
            raise self._too_short(error, "the first pair") from error

    def _judge(self) -> None:
        """Judge all pairs so far; if ``stopped_because`` is set already, it is the last time."""
        record, request = self.record, self._request
        self._looks.come_to(self._usable_pairs(), self._progress(), last=record.stopped_because is not None)
        record.looks = dict(self._looks.shares)
        record.results = self._results()
        enough = ending.no_longer_needed(request, record, self._pair_time.seconds)
        record.stopped_because = "decided" if enough == "decided" else record.stopped_because or enough

    def _alternation(self) -> Alternation:
        request = self._request
        quiet = request.quiet_environment
        variables = [workload.worker_variables(quiet=quiet) for workload in request.workloads]
        if quiet:
            pythons = [workload.configuration.python for workload in request.workloads]
            variables = pad_to_equal_size(variables, pythons)
        return Alternation(
            request.workloads,
            variables,
            request.dataset.name,
            deadline_seconds=self._seconds_left,
            certified=request.certify,
        )

    def _seconds_left(self) -> float:
        """Time limit of a process that starts now: the rest of the budget, and some more for a begun pair."""
        budget = ending.time_limit(self._request)
        return max(0.0, budget - (time.monotonic() - self._start)) + _GRACE_SHARE * budget

    def _prepared(self, alternation: Alternation, proofs: list[Certificate] | None) -> Prepared:
        try:
            return prepare(alternation, proofs, self._request.turns, self._observer.trying)
        except HarnessError as error:
            if not _ran_out_of_time(error):
                raise
            raise self._too_short(error, "one trial") from error

    def _too_short(self, error: HarnessError, what: str) -> HarnessError:
        """What to say if a trial or the first pair did not end within the time."""
        label = f"{error.label}: " if isinstance(error, ConfigurationFailed) else ""
        budget = ending.time_limit(self._request)
        limit, larger = (1 + _GRACE_SHARE) * budget, duration_text(_LARGER_BUDGET * budget)
        return HarnessError(
            f"{label}{what} was not done after {limit:.0f} s, so a budget of {duration_text(budget)} is too "
            f"short. Use --budget {larger} or more, or free the machine."
        )

    def _keep(self, prepared: Prepared) -> None:
        record = self.record
        record.configurations, record.dataset = prepared.records, prepared.read(record.dataset)
        record.turns = prepared.turns
        threads = self._request.workloads[0].configuration.threads
        record.peak_flops_per_second = peak_flops_per_second(threads)
        self._pair_time.prepared(prepared.pair_seconds)
        seconds, spent = prepared.pair_seconds, time.monotonic() - self._start
        fewest = fewest_pairs_for_difference(len(self._request.workloads) - 1)
        fits = max(0, int((ending.time_limit(self._request) - spent) / seconds))
        self._observer.measuring(prepared, Outlook(fewest, seconds, fits, spent + fewest * seconds))

    @property
    def _batch_sizes(self) -> list[int]:
        return [configuration.batch_size for configuration in self.record.configurations]

    def _usable_pairs(self) -> int:
        """The pairs that were not lost; turns are dropped for all configurations alike."""
        return sum(log_ratio(pair, 1, self._batch_sizes) is not None for pair in self.record.pairs)

    def _progress(self) -> float:
        """The used share of the time, or of the most pairs."""
        record = self.record
        return max(record.seconds / ending.time_limit(self._request), len(record.pairs) / MOST_PAIRS)

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
            replace_result(self.path, with_checksum(encode(self.record)))
        except OSError as error:
            raise HarnessError(f"cannot write the record {self.path}: {error.strerror}") from error


def _ran_out_of_time(error: HarnessError) -> bool:
    """Whether a worker was at work when the time was up, and did not hang."""
    cause = error.__cause__
    return isinstance(cause, WorkerTimeout) and not cause.silent
