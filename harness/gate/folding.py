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

    @property
    def against(self) -> bool: ...


def forgiven(judged: Judged, inconclusive: Inconclusive) -> bool:
    """Whether an INCONCLUSIVE passes: more time or a quieter machine would decide it, and that was asked for.

    Where nothing was measured, or what was measured cannot be believed or speaks against head, it never does.
    """
    undecided = judged.verdict == "INCONCLUSIVE" and inconclusive == "pass"
    return undecided and not judged.unsound and not judged.against


def folded(record: GateRecord, inconclusive: Inconclusive) -> Verdict:
    """The verdict of a whole gate."""
    if record.verdict != "INCONCLUSIVE" or inconclusive is None:
        return record.verdict
    if inconclusive == "fail":
        return "FAIL"
    if record.status != "ok":
        return record.verdict
    passes = [one.verdict == "PASS" or forgiven(one, inconclusive) for one in record.benchmarks]
    return "PASS" if passes and all(passes) else record.verdict
