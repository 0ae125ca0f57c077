"""Ports with planted faults, and right ones, through ``harness port``: what is said of each. Run it by hand.

``python tests/benchmarks/port_faults.py [PART OF A NAME …]``
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.planted_ports import RIGHT, SINGLE, TRIPLE, Planted

from harness.port.findings import PortRecord


def outcome(case: Planted, results: Path) -> tuple[PortRecord | None, str]:
    """The record of a case, or the error."""
    done = subprocess.run(
        ["harness", "port", *case.arguments(), "--quiet", "--results", str(results), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return msgspec.json.decode(done.stdout, type=PortRecord), ""
    except msgspec.MsgspecError:
        return None, done.stderr.strip()[-300:]


def named(case: Planted, record: PortRecord) -> int:
    """How many of the planted causes are named, at their layer."""
    found = [cause for cause in record.findings.causes if not cause.harmless]
    return sum(
        any(
            cause.kind == kind and any(part in path for path in (cause.path_b, *cause.more))
            for cause in found
        )
        for kind, part in case.causes
    )


def main() -> None:
    cases = [
        case
        for case in (*RIGHT, *SINGLE, *TRIPLE)
        if not sys.argv[1:] or any(part in case.name for part in sys.argv[1:])
    ]
    totals = dict.fromkeys(("right", "single", "triple"), 0)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            record, error = outcome(case, Path(folder))
            group = "right" if not case.faults else "single" if len(case.faults) == 1 else "triple"
            if record is None:
                print(f"ERROR {case.name}: {error}", flush=True)
                continue
            verdict = record.findings.verdict
            good = (
                verdict.startswith("equal") if group == "right" else named(case, record) == len(case.causes)
            )
            totals[group] += good
            said = "; ".join(
                f"{c.kind} @ {c.path_b} ({c.a} | {c.b})" for c in record.findings.causes if not c.harmless
            )
            print(
                f"{'ok   ' if good else 'MISS '} {case.name}: {verdict} [{record.seconds:.0f} s] {said}",
                flush=True,
            )
    print(totals)


if __name__ == "__main__":
    main()
