"""The record of a gate in progress: saved after each stage, and whole whatever ends the gate."""

import datetime
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HarnessError, UsageError, interruption
from harness.gate.conclusion import worst_of
from harness.gate.outlook import Outlook
from harness.gate.record import BenchmarkRecord, GateRecord, Stage, encode
from harness.machine.description import describe_machine
from harness.machine.files import replace_result, with_checksum


class GateObserver(Protocol):
    """Follows a gate while it runs."""

    def phase(self, benchmark: str, activity: str) -> None:
        """``activity`` begins."""

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """A stage of a benchmark has ended."""

    def confirming(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        """The confirmation of a benchmark begins."""

    def paired(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        """The confirmation of a benchmark has one more pair and is not over."""


class GateRecorder:
    """Keeps the record of one gate in ``folder``. ``fields`` of the record are the caller's."""

    def __init__(self, folder: Path, observer: GateObserver, **fields: Any) -> None:
        self._observer = observer
        self._start = time.monotonic()
        now = datetime.datetime.now(datetime.UTC)
        self.record = GateRecord(
            id=f"{now:%Y%m%d-%H%M%S}-gate-{secrets.token_hex(2)}",
            started_at=now.isoformat(timespec="seconds"),
            command=sys.argv[1:],
            machine=describe_machine(),
            **fields,
        )
        self.path = folder / f"{self.record.id}.json"

    def deadline(self, budget_seconds: float) -> float:
        """The moment of :func:`time.monotonic` at which the budget ends; it begins with the gate."""
        return self._start + budget_seconds

    def carry_out(self, work: Callable[[], None]) -> GateRecord:
        """Do the work. After Ctrl-C or an error, the record holds what was measured until then.

        An error such as a full disk ends the work; the record returned states it in ``failure``.

        Raises:
            UsageError: the work was refused.
        """
        record = self.record
        try:
            self._work_to_the_end(work)
        except KeyboardInterrupt as interrupt:
            # Whenever it comes, the last record is whole: further signals wait, see harness.cli.signals.
            if record.status == "running":
                record.status, record.failure = "interrupted", interruption(interrupt)
            self._save_last()
        return record

    def _work_to_the_end(self, work: Callable[[], None]) -> None:
        record = self.record
        try:
            work()
            record.status = "ok"
        except UsageError:
            raise
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
        self._save_last()

    def _save_last(self) -> None:
        record = self.record
        self._conclude()
        try:
            self.save()
        except HarnessError as error:
            if record.status == "ok":
                record.status, record.failure = "failed", str(error)
            self._conclude()

    def _conclude(self) -> None:
        """Set the verdict. A gate that did not end has not passed."""
        record = self.record
        verdicts = [benchmark.verdict for benchmark in record.benchmarks]
        record.verdict = worst_of(verdicts if record.status == "ok" else [*verdicts, "INVALID"])

    def phase(self, benchmark: str, activity: str) -> None:
        """Report to the observer that ``activity`` begins."""
        self._observer.phase(benchmark, activity)

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """Save, and report to the observer that a stage has ended."""
        self.save()
        self._observer.judged(benchmark, stage)

    def confirming(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        """Report to the observer that the confirmation of a benchmark begins."""
        self._observer.confirming(benchmark, outlook)

    def paired(self, benchmark: BenchmarkRecord, outlook: Outlook) -> None:
        """Report to the observer that there is one more pair."""
        self._observer.paired(benchmark, outlook)

    def save(self) -> None:
        """Write the record; raises HarnessError if that fails."""
        record = self.record
        record.seconds = time.monotonic() - self._start
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_result(self.path, with_checksum(encode(record)))
        except OSError as error:
            raise HarnessError(f"cannot write the record {self.path}: {error.strerror}") from error
