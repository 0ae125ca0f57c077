"""The likely cause of deviations: the aspects of a training that only failing cases have."""

from collections.abc import Iterable, Sequence

import msgspec

from harness.core.certify.aspects import ASPECTS, Aspect, aspects
from harness.core.certify.cases import Case
from harness.core.certify.parity import Finding


def diagnosed(findings: Sequence[Finding], cases: Iterable[Case]) -> list[Finding]:
    """Add to the findings the cause that follows from comparing failed cases with those that passed.

    A cause is added only where the first case passed: it has no aspect, so its fault is in the work that all
    cases share.
    """
    by_name = {case.name: aspects(case) for case in cases}
    compared = [finding for finding in findings if finding.case in by_name]
    failed = [finding for finding in compared if not finding.passed]
    if not failed or not compared[0].passed or by_name[compared[0].case]:
        return list(findings)
    ruled_out = set().union(*(by_name[finding.case] for finding in compared if finding.passed))
    common = set.intersection(*(by_name[finding.case] for finding in failed)) - ruled_out
    return [_diagnosed(finding, common, by_name.get(finding.case, set()) - ruled_out) for finding in findings]


def _diagnosed(finding: Finding, common: set[Aspect], own: set[Aspect]) -> Finding:
    """Add a cause to a finding; its own aspects count where the failed cases have none in common."""
    suspects = common & own or own
    if finding.passed or not finding.deviation or not suspects:
        return finding
    causes = "; or ".join(aspect.cause for aspect in ASPECTS if aspect in suspects)
    reach = "only cases that have this deviate" if common else "no case that passes has this"
    return msgspec.structs.replace(finding, explanation=f"{finding.deviation}: look at {causes} ({reach})")
