"""A duel: preparation, pairs until every verdict is in, and the record of what was measured."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.audit.comparison import first_difference
from harness.core.certify.certificate import Certificate
from harness.core.certify.dropout import uses_dropout
from harness.core.documents.kinds import carry_out
from harness.core.machine.arguments import duration_text
from harness.core.machine.calibration import peak_flops_per_second
from harness.core.runs.events import Phase
from harness.errors import HarnessError, WorkerTimeout
from harness.timing.duel.ending import stop_reason, time_limit
from harness.timing.duel.finishing import finish_of
from harness.timing.duel.record import DUELS, DuelRecord, DuelResult
from harness.timing.duel.request import DuelRequest, new_record
from harness.timing.duel.verdict import compare, kept, latest
from harness.timing.engine.pairs import Alternation, PairTime, steps_of, trainings_of
from harness.timing.engine.preparation import Prepared, certificates, prepare
from harness.timing.engine.record import PairRecord
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.equal_work import compare_work, refuse_different_work
from harness.timing.engine.steps.profiling import profile_sides
from harness.timing.engine.steps.timed_calls import TimedCalls
from harness.timing.engine.workloads import Workload


def refuse_unequal_work(workloads: Sequence[Workload], pair: PairRecord) -> None:
    """Compare the first losses of each workload with those of the reference.

    Losses are compared where both have the same batches and precision, and neither dropout nor DP-SGD, for
    which each framework draws its own random numbers.
    """
    if not workloads or uses_dropout(workloads[0].task) or workloads[0].task.privacy is not None:
        return
    reference, *others = workloads
    first, *processes = pair.processes
    for other, process in zip(others, processes, strict=True):
        if other.task != reference.task or other.seed != reference.seed:
            continue
        precision = reference.configuration.precision
        count = min(len(first.first_losses), len(process.first_losses))
        if other.configuration.precision != precision or not count:
            continue
        ours, theirs = first.first_losses[:count], process.first_losses[:count]
        step = first_difference(ours, theirs, precision)
        if step is not None:
            raise HarnessError(
                f"{reference.label} and {other.label} do different work on this data: the loss of step "
                f"{step + 1} is {ours[step][-1]} and {theirs[step][-1]}"
            )


#: A pair that began within the budget may exceed it by this share.
_GRACE_SHARE = 0.2


class Paired(NamedTuple):
    """A pair has ended; the results are those of all pairs so far."""

    record: DuelRecord


#: The progress of a duel.
DuelEvent = Phase | Paired


class Duel:
    """One duel and its record, which is saved after every pair."""

    def __init__(self, request: DuelRequest, folder: Path, notify: Callable[[DuelEvent], None]) -> None:
        self._request = request
        self._notify = notify
        self._start = time.monotonic()
        self._pair_time = PairTime()
        self._timed_calls = TimedCalls()
        self._reached: dict[tuple[str, bool], DuelResult | None] = {}
        self.record = new_record(request)
        self.path = folder / f"{self.record.id}.json"

    def carry_out(self) -> DuelRecord:
        """Run the duel. A failing configuration or Ctrl-C ends it; all finished pairs are kept.

        If the record cannot be written, the duel ends as failed too, and the returned record is complete.
        """
        carry_out(self.record, self._run, self._save)
        return self.record

    def _run(self) -> None:
        request, record = self._request, self.record
        proofs = self._proofs()
        alternation = Alternation(
            request.workloads,
            record.dataset_name,
            quiet=request.quiet_environment,
            deadline_seconds=self._seconds_left,
        )
        self._start = time.monotonic()  # certificates are cached, so the budget does not include them
        prepared = self._prepared(alternation, proofs)
        self._keep(prepared)
        while record.stopped_because is None:
            pair = self._pair(alternation, prepared)
            record.seconds = time.monotonic() - self._start
            if pair is not None:
                record.pairs.append(pair)
                refuse_unequal_work(trainings_of(request.workloads), pair)
                self._compare_timed_calls(alternation)
                self._pair_time.made(pair)
            record.results = self._results()
            reason = stop_reason(request, record, self._pair_time.seconds)
            record.stopped_because = reason if pair is not None or reason == "decided" else "budget spent"
            self._save()
            if pair is not None:
                self._notify(Paired(record))
        if request.profile:
            record.profiles = profile_sides(request.workloads, record.dataset_name, self._begin)

    def _begin(self, phase: str) -> None:
        self._notify(Phase(phase))

    def _proofs(self) -> list[Certificate] | None:
        """Return the certificates of a task's configurations; of own steps, compare the values."""
        request = self._request
        if self.record.step is not None:
            self._begin("comparing the values of the first calls")
            steps = steps_of(request.workloads)
            compared = self.record.step.work = compare_work(steps, request.work)
            refuse_different_work(steps, compared)
            return None
        self._begin(f"{'certifying and ' if request.certify else ''}trying each configuration once")
        if not request.certify:
            return None
        trainings = trainings_of(request.workloads)
        return certificates(trainings, lambda label: self._begin(f"certifying {label}"))

    def _compare_timed_calls(self, alternation: Alternation) -> None:
        if self.record.step is None:
            return
        steps = steps_of(self._request.workloads)
        self.record.step.work = self._timed_calls.compare(self.record.step.work, alternation.returned)
        refuse_different_work(steps, self.record.step.work)

    def _pair(self, alternation: Alternation, prepared: Prepared) -> PairRecord | None:
        """Make the next pair; None if the time is up before it ends, and there are others."""
        try:
            return alternation.pair(prepared.steps, self.record.turns)
        except ConfigurationFailed as error:
            if not _ran_out_of_time(error):
                raise
            if self.record.pairs:
                return None
            raise self._too_short(error, "the first pair") from error

    def _seconds_left(self) -> float:
        """Return the time limit of a process that starts now: the rest of the budget and some grace."""
        budget = time_limit(self._request)
        return max(0.0, budget - (time.monotonic() - self._start)) + _GRACE_SHARE * budget

    def _prepared(self, alternation: Alternation, proofs: list[Certificate] | None) -> Prepared:
        try:
            return prepare(
                alternation, proofs, self._request.turns, lambda label: self._begin(f"trying {label}")
            )
        except HarnessError as error:
            if not _ran_out_of_time(error):
                raise
            raise self._too_short(error, "one trial") from error

    def _too_short(self, error: HarnessError, what: str) -> HarnessError:
        """Return the error for a trial or first pair that did not end within the time."""
        label = f"{error.label}: " if isinstance(error, ConfigurationFailed) else ""
        budget = time_limit(self._request)
        limit = (1 + _GRACE_SHARE) * budget
        return HarnessError(
            f"{label}{what} was not done after {limit:.0f} s, so a budget of {duration_text(budget)} is too "
            "short. Use a longer --budget, or free the machine."
        )

    def _keep(self, prepared: Prepared) -> None:
        record = self.record
        record.configurations = prepared.records
        record.dataset = None if record.dataset is None else prepared.read(record.dataset)
        record.turns = prepared.turns
        if record.step is None:
            threads = self._request.workloads[0].configuration.threads
            record.peak_flops_per_second = peak_flops_per_second(threads)
        self._pair_time.prepared(prepared.pair_seconds)
        steps = " and ".join(map(str, prepared.steps))
        self._begin(f"pairs of about {prepared.pair_seconds:.0f} s: {prepared.turns} blocks of {steps} steps")

    def _results(self) -> list[DuelResult]:
        record = self.record
        labels = [configuration.label for configuration in record.configurations]
        sizes = [configuration.batch_size for configuration in record.configurations]
        others = len(labels) - 1
        made = [
            compare(record.pairs, index + 1, labels, sizes, margin=record.margin, comparisons=others)
            for index in range(others)
        ]
        for result in made:
            over = result.configuration, result.uneven
            self._reached[over] = latest(self._reached.get(over), result)
        reached = [kept(self._reached[result.configuration, result.uneven], result) for result in made]
        return [
            msgspec.structs.replace(
                result, finish=finish_of(record.pairs, index, sizes, record.training_steps)
            )
            for index, result in enumerate(reached, 1)
        ]

    def _save(self) -> None:
        DUELS.save(self.record, self.path.parent)


def _ran_out_of_time(error: HarnessError) -> bool:
    """Check that a worker was at work when the time was up, and did not hang."""
    cause = error.__cause__
    return isinstance(cause, WorkerTimeout) and not cause.silent
