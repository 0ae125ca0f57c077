"""The verdict of a benchmark and of a gate, from the measurements and from an early end."""

import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import HarnessError, NoWorkersHere, UsageError
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.own import StepRefused
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import BenchmarkRecord, Verdict

_WORST_FIRST: tuple[Verdict, ...] = ("FAIL", "INVALID", "INCONCLUSIVE", "PASS")


class Ended(HarnessError):
    """The end of a benchmark for a reason other than a fault of head; the verdict is INVALID."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def conclude(record: BenchmarkRecord, work: Callable[[], None]) -> bool:
    """Do the work that fills a record and set its verdict; return False if the work ended early."""
    start = time.monotonic()
    ended = _ended_by(work)
    record.seconds += time.monotonic() - start
    verdicts = [result.verdict for result in record.results]
    record.reasons = []
    if ended is not None:
        verdict, reason = ended
        verdicts.append(verdict)
        record.reasons.append(reason)
    record.verdict = worst_of(verdicts)
    return ended is None


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst: FAIL before INVALID before INCONCLUSIVE before PASS; INVALID without any."""
    return min(verdicts, key=_WORST_FIRST.index, default="INVALID")


def failed(error: ConfigurationFailed | StepRefused) -> tuple[Verdict, Reason]:
    """Return FAIL if head failed; INVALID if base did, which leaves nothing to compare head with."""
    text = f"{error.label} failed: {error.reason}"
    if error.label == "base":
        return "INVALID", Reason(kind="failed", text=text, command="run base")
    return "FAIL", Reason(kind="failed", text=text, command="run head")


def _ended_by(work: Callable[[], None]) -> tuple[Verdict, Reason] | None:
    """Do the work; return the verdict and reason of an early end, or None."""
    try:
        work()
    except Ended as error:
        return "PASS" if error.reason.kind == "new benchmark" else "INVALID", error.reason
    except NoWorkersHere as error:
        hint = "Run the gate on a machine that can start worker processes."
        return "INVALID", Reason(kind="not measured", text=str(error), hint=hint)
    except (ConfigurationFailed, StepRefused) as error:
        if isinstance(error, StepRefused) and error.label == "base":  # then the suite is wrong, and not head
            raise
        return failed(error)
    except UsageError:
        raise
    except HarnessError as error:  # base and head cannot be compared, as with different splits of the data
        return "FAIL", Reason(kind="not comparable", text=str(error), command="run head")
    except Exception as error:  # noqa: BLE001  an error of the harness must not cost the other benchmarks
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        text = f"an error of the harness: {type(error).__name__}: {error} ({where})"
        hint = "Please report this error together with the gate's record."
        return "INVALID", Reason(kind="harness fault", text=text, hint=hint)
    return None
