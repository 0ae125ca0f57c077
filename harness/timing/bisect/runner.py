"""A bisection from start to end: good against bad first, then the search, then the culprit and its parent."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from harness.core.documents.kinds import carry_out
from harness.core.machine.processes import this_process
from harness.errors import HarnessError, UsageError
from harness.timing.bisect.findings import (
    FEWEST_FOR_FORECAST,
    difference,
    evident_culprits,
    first_verdict,
    is_confirmed,
    is_hopeless,
    search_of,
)
from harness.timing.bisect.record import BISECTIONS, BisectRecord, Outcome, Probe, Returned, Skipped
from harness.timing.bisect.search import exact_search
from harness.timing.engine.pairs import Alternation, Program, steps_of
from harness.timing.engine.preparation import prepare
from harness.timing.engine.record import PairRecord
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.equal_work import WorkRequest, compare_work
from harness.timing.engine.steps.findings import difference_text
from harness.timing.gate.metrics import metric_ratios

#: Pairs of the culprit and the candidate before it; fewer if they show the difference.
_MOST_CONFIRMING = 8
_FEWEST_TURNS = 2


class Places(Protocol):
    """The places where candidates run."""

    def workload(self, candidate: int, label: str) -> Program:
        """Return the benchmark as a candidate runs it."""


class BisectObserver(Protocol):
    """An observer of a bisection."""

    def doing(self, activity: str) -> None:
        """Follow the beginning of ``activity``."""

    def probed(self, record: BisectRecord, candidate: int) -> None:
        """Follow a measured value of a candidate, or a skipped candidate."""


@dataclass(eq=False)
class Bisection:
    """One bisection and its record, which is saved after every pair.

    ``record`` may hold values of an earlier command, with which the search goes on.
    """

    record: BisectRecord
    places: Places
    folder: Path
    observer: BisectObserver
    budget_seconds: float

    def __post_init__(self) -> None:
        self.path, self._earlier_seconds = self.folder / f"{self.record.id}.json", self.record.seconds
        self._start, self._not_measuring = time.monotonic(), 0.0
        self._pair_seconds = 0.0
        self._workloads: dict[int, Program] = {}

    def carry_out(self) -> BisectRecord:
        """Search. After Ctrl-C or an error, the record holds all measurements until then."""
        record = self.record
        record.status, record.failure, record.process = "running", "", this_process()
        carry_out(record, self._run, self._save)
        return record

    def _run(self) -> None:
        if self.record.metric == "values":
            self.record.outcome = self._searched_values()
        else:
            self.record.outcome = self._difference_of_good_and_bad() or self._search()

    # The values of the first calls, which need no statistics.

    def _searched_values(self) -> Outcome:
        record, last = self.record, len(self.record.candidates) - 1
        while True:
            same = {each.candidate: each.is_same for each in record.returned}
            if same.get(last):
                return "no difference"
            probe: int | None = last  # bad before anything is searched
            if last in same:
                _, probe = exact_search(same, last, {each.candidate for each in record.skipped})
            if probe is None:
                return "culprit"
            if self._is_spent():
                return "undecided"
            if returned := self._returned(probe):
                record.returned.append(returned)
            self.observer.probed(record, probe)
            self._save()

    def _returned(self, candidate: int) -> Returned | None:
        """Compare the values of a candidate with those of good; None if it was skipped."""
        self.observer.doing(f"comparing the values of {self._name(candidate)} with those of good")
        try:
            own = steps_of([self._workload(0), self._workload(candidate)])  # all of them: see the command
            asked = self.record.benchmark
            request = WorkRequest(calls=asked.compare_calls, tolerance=asked.tolerance)
            (work,) = compare_work(own, request)
        except (ConfigurationFailed, UsageError) as error:
            self._skip(candidate, error)
            return None
        if work.outcome in {"not returned", "not deterministic", "not finite"}:
            raise UsageError(f"the values of the step are {work.outcome}, so they cannot be searched")
        text = "" if work.difference is None else difference_text(work.difference)
        return Returned(candidate, work.difference is None, text)

    # Times and memory.

    def _difference_of_good_and_bad(self) -> Outcome | None:
        """Measure good, good again and bad. None: they differ, so there is a culprit."""
        record, last = self.record, len(self.record.candidates) - 1
        workloads = [self._workload(0), self._workload(0, "good again"), self._workload(last)]
        if not record.steps:
            self.observer.doing("trying good and bad once")
            prepared = prepare(self._alternation(workloads), None, record.turns or None)
            record.steps = [prepared.steps[0], prepared.steps[2]]
            record.turns, self._pair_seconds = prepared.turns, prepared.pair_seconds
        already = len(difference(record).logs)
        while True:
            found = first_verdict(record)
            if found is not None:
                return None if found == "culprit" else found
            # Whoever repeats the command wants more pairs nevertheless.
            pairs = difference(record)
            is_enough = len(pairs.logs) - already >= FEWEST_FOR_FORECAST
            if self._is_spent() or (is_enough and is_hopeless(pairs, record.same_within)):
                return "undecided"
            self.observer.doing("a pair of good, good again and bad")
            pair = self._pair(workloads, [record.steps[0], *record.steps])
            record.probes += [
                Probe(candidate=number, log_ratio=log)
                for number, log in zip((0, last), self._logs(pair, workloads), strict=True)
            ]
            self._save()
            self.observer.probed(record, last)

    def _search(self) -> Outcome:
        record = self.record
        while True:
            search = search_of(record)
            culprits, probability = search.culprits
            if probability >= record.probability and evident_culprits(record) is not None:
                return self._confirmed(culprits)
            probe = search.next_probe()
            if probe is None or self._is_spent():
                return "undecided"
            self.observer.doing(f"a pair of good and {self._name(probe)}")
            try:
                workloads = [self._workload(0), self._workload(probe)]
                pair = self._pair(workloads, record.steps)
            except (ConfigurationFailed, UsageError) as error:
                self._skip(probe, error)
            else:
                (log,) = self._logs(pair, workloads)
                record.probes.append(Probe(candidate=probe, log_ratio=log))
            self._save()
            self.observer.probed(record, probe)

    def _confirmed(self, culprits: range) -> Outcome:
        """Compare the culprit with the candidate before it, which no pair did until now."""
        record, last = self.record, culprits[-1]
        before = culprits[0] - 1
        try:
            workloads = [self._workload(before), self._workload(last)]
            while len(record.confirmation) < _MOST_CONFIRMING and not self._is_spent():
                if is_confirmed(record):
                    break
                self.observer.doing(f"a pair of {self._name(before)} and {self._name(last)} to confirm")
                (log,) = self._logs(self._pair(workloads, record.steps), workloads)
                if log is not None:
                    record.confirmation.append(log)
                self._save()
        except (ConfigurationFailed, UsageError) as error:  # the search stands
            self.observer.doing(f"not confirmed: {error}")
        return "culprit"

    def _logs(self, pair: PairRecord, workloads: Sequence[Program]) -> list[float | None]:
        """Return the log ratio of each workload but the first to the first; None for a lost pair."""
        metric = self.record.metric
        assert metric != "values"  # noqa: S101
        sizes = [1] * len(workloads)
        every = [metric_ratios([pair], metric, sizes, index).logs for index in range(1, len(workloads))]
        return [float(logs[0]) if len(logs) else None for logs in every]

    def _pair(self, workloads: Sequence[Program], steps: Sequence[int]) -> PairRecord:
        start = time.monotonic()
        turns = self.record.turns
        if self.record.metric == "first step":  # which is over when the turns begin
            turns = min(_FEWEST_TURNS, turns)
        pair = self._alternation(workloads).pair(steps, turns)
        self._pair_seconds = time.monotonic() - start
        return pair

    def _alternation(self, workloads: Sequence[Program]) -> Alternation:
        return Alternation(workloads, self.record.benchmark.dataset or "")

    def _workload(self, candidate: int, label: str = "") -> Program:
        """Return the workload of a candidate; its installation is not part of the budget."""
        label = label or self._name(candidate)
        if candidate not in self._workloads:
            start = time.monotonic()
            try:
                self._workloads[candidate] = self.places.workload(candidate, label)
            except (ConfigurationFailed, UsageError):
                raise
            except HarnessError as error:
                raise ConfigurationFailed(label, str(error)) from error
            finally:
                self._not_measuring += time.monotonic() - start
        return msgspec.structs.replace(self._workloads[candidate], label=label)

    def _skip(self, candidate: int, error: HarnessError) -> None:
        """Leave a candidate out; raise the error if it is good or bad, without which there is no search.

        Wrong input of a command, such as a missing module, is a fault of one commit here.
        """
        failed = error.__cause__ if isinstance(error, UsageError) else error
        between = 0 < candidate < len(self.record.candidates) - 1
        if not (
            between and isinstance(failed, ConfigurationFailed) and failed.label == self._name(candidate)
        ):
            raise error
        self.record.skipped.append(Skipped(candidate, failed.reason))

    def _name(self, candidate: int) -> str:
        names = {0: "good", len(self.record.candidates) - 1: "bad"}
        return names.get(candidate, self.record.candidates[candidate].name)

    def _is_spent(self) -> bool:
        return self._seconds() + self._pair_seconds > self.budget_seconds

    def _seconds(self) -> float:
        return time.monotonic() - self._start - self._not_measuring

    def _save(self) -> None:
        self.record.seconds = self._earlier_seconds + self._seconds()
        BISECTIONS.save(self.record, self.folder)


def unfinished(folder: Path, new: BisectRecord) -> BisectRecord | None:
    """Return the latest search for the same culprit that did not come to its end."""
    found = None
    for read in BISECTIONS.read_each(BISECTIONS.paths(folder.parent)):
        if isinstance(read, BisectRecord) and read.question() == new.question():
            found = read
    if found is not None and found.status == "running":
        assert found.process is not None  # noqa: S101  or it is lost
        raise UsageError(
            f"process {found.process.pid} on {found.process.host} is searching the same ({found.id}): wait "
            "for it or end it, or begin another search with --again"
        )
    ended = found is None or (found.status == "ok" and found.outcome != "undecided")
    return None if ended else found
