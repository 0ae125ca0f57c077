"""What ``--inconclusive`` makes of a verdict: which INCONCLUSIVE may pass, and which must never."""

from typing import Literal, Protocol

from harness.gate.record import GateRecord, Verdict

#: What INCONCLUSIVE is folded into; None: into nothing.
Inconclusive = Literal["pass", "fail"] | None


class Judged(Protocol):
    """A benchmark, or one metric or the quality of one."""

    @property
    def verdict(self) -> Verdict: ...

    @property
    def unsound(self) -> bool: ...


def forgiven(judged: Judged, inconclusive: Inconclusive) -> bool:
    """Whether an INCONCLUSIVE passes: more time or a quieter machine would decide it, and that was asked for.

    Where nothing was measured, or what was measured cannot be believed, it never does.
    """
    return judged.verdict == "INCONCLUSIVE" and inconclusive == "pass" and not judged.unsound


def folded(record: GateRecord, inconclusive: Inconclusive) -> Verdict:
    """The verdict of a whole gate."""
    if record.verdict != "INCONCLUSIVE" or inconclusive is None:
        return record.verdict
    if inconclusive == "fail":
        return "FAIL"
    passes = [one.verdict == "PASS" or forgiven(one, inconclusive) for one in record.benchmarks]
    return "PASS" if passes and all(passes) else record.verdict
