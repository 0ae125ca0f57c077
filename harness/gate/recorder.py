"""The record of a gate in progress: saved after every benchmark, whole whatever ends the gate."""

import datetime
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HarnessError, UsageError
from harness.gate.benchmark import worst_of
from harness.gate.record import BenchmarkRecord, GateRecord, Stage, encode
from harness.machine.description import describe_machine
from harness.machine.files import replace_file


class GateObserver(Protocol):
    """Is told how a gate goes while it goes."""

    def phase(self, benchmark: str, what: str) -> None:
        """Something begins."""

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """A benchmark has been through a stage."""


class GateRecorder:
    """Keeps one gate's record in ``folder``. ``facts`` are the fields of the record that the caller knows."""

    def __init__(self, folder: Path, observer: GateObserver, **facts: Any) -> None:
        self._observer = observer
        self._start = time.monotonic()
        now = datetime.datetime.now(datetime.UTC)
        self.record = GateRecord(
            id=f"{now:%Y%m%d-%H%M%S}-gate-{secrets.token_hex(2)}",
            started_at=now.isoformat(timespec="seconds"),
            command=sys.argv[1:],
            machine=describe_machine(),
            **facts,
        )
        self.path = folder / f"{self.record.id}.json"

    def deadline(self, budget_seconds: float) -> float:
        """The moment, of :func:`time.monotonic`, at which so long has passed since the start."""
        return self._start + budget_seconds

    def carried_out(self, work: Callable[[], None]) -> GateRecord:
        """Do the work. A Ctrl-C ends it with what was measured till then kept.

        So does what else stops it, such as a record that cannot be written: what this gives back tells of
        it, and is whole all the same.

        Raises:
            UsageError: the work must not be done.
        """
        record = self.record
        try:
            work()
            record.status = "ok"
        except UsageError:
            raise
        except HarnessError as error:
            record.status, record.failure = "failed", str(error)
        except KeyboardInterrupt:
            record.status, record.failure = "interrupted", "interrupted by the user"
        self._conclude()
        try:
            self.save()
        except HarnessError as error:
            if record.status == "ok":
                record.status, record.failure = "failed", str(error)
            self._conclude()
        return record

    def _conclude(self) -> None:
        """The verdict of all benchmarks. What did not come to its end has not passed."""
        record = self.record
        verdicts = [benchmark.verdict for benchmark in record.benchmarks]
        record.verdict = worst_of(verdicts if record.status == "ok" else [*verdicts, "INVALID"])

    def phase(self, benchmark: str, what: str) -> None:
        """Tell the observer that something begins."""
        self._observer.phase(benchmark, what)

    def judged(self, benchmark: BenchmarkRecord, stage: Stage) -> None:
        """Save, and tell the observer."""
        self.save()
        self._observer.judged(benchmark, stage)

    def save(self) -> None:
        """Write the record as it is now; raises HarnessError where that cannot be done."""
        record = self.record
        record.seconds = time.monotonic() - self._start
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, encode(record))
        except OSError as error:
            raise HarnessError(f"the record {self.path} cannot be written: {error.strerror}") from error
