"""The verdict of a gate with ``--inconclusive``: INCONCLUSIVE alone is folded, into PASS or FAIL."""

from collections.abc import Sequence
from typing import Literal, Protocol

from harness.gate.reasons import Reason, speaks_against_head
from harness.gate.record import BenchmarkRecord, GateRecord, Verdict

#: What INCONCLUSIVE counts as. None: as itself.
Inconclusive = Literal["pass", "fail"] | None


class Judged(Protocol):
    """A benchmark, or one metric or the quality of one."""

    @property
    def verdict(self) -> Verdict: ...

    @property
    def reasons(self) -> Sequence[Reason]: ...


def forgiven(judged: Judged, inconclusive: Inconclusive) -> bool:
    """Whether ``--inconclusive pass`` makes this INCONCLUSIVE a PASS.

    INVALID never passes, nor does INCONCLUSIVE where the measurement indicates that head is worse
    (:func:`harness.gate.reasons.speaks_against_head`).
    """
    if judged.verdict != "INCONCLUSIVE" or inconclusive != "pass":
        return False
    if any(map(speaks_against_head, judged.reasons)):
        return False
    if not isinstance(judged, BenchmarkRecord):
        return True
    return all(result.verdict == "PASS" or forgiven(result, inconclusive) for result in judged.results)


def folded(record: GateRecord, inconclusive: Inconclusive) -> Verdict:
    """The verdict of a whole gate with INCONCLUSIVE folded."""
    if record.verdict != "INCONCLUSIVE" or inconclusive is None:
        return record.verdict
    if inconclusive == "fail":
        return "FAIL"
    passes = (
        benchmark.verdict == "PASS" or forgiven(benchmark, inconclusive) for benchmark in record.benchmarks
    )
    return "PASS" if record.status == "ok" and record.benchmarks and all(passes) else "INCONCLUSIVE"
