"""What ``harness port`` says of the planted pairs.

``python tests/benchmarks/port_pairs.py OUT.jsonl [PATTERN]`` writes a line for each pair: the verdict,
whether the cause was named, the causes, and the seconds. Right pairs must be EQUAL, wrong ones DIFFERENT.
Pairs that are in the file already are left out. All run in one process, so that the frameworks are imported
once.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "port" / "pairs"))

from support.local_sides import checked
from table import pairs

from harness.port.page import described


def judged(pair):
    """What was said of a pair."""
    started = time.perf_counter()
    try:
        found = checked(pair)
    except Exception as error:  # noqa: BLE001  a crash is a result, too
        verdict, lines = "crashed", [f"{type(error).__name__}: {error}"]
    else:
        verdict = found.verdict
        lines = [described(cause) for cause in found.causes if not cause.harmless] + found.notes
    seconds = round(time.perf_counter() - started, 1)
    if pair.named is None:
        outcome = "right" if verdict.startswith("equal") else "ACCUSED" if verdict == "different" else verdict
    elif verdict.startswith("equal"):
        outcome = "MISSED"
    else:
        outcome = "named" if verdict == "different" and pair.is_named(lines) else f"not named ({verdict})"
    return {"pair": pair.name, "outcome": outcome, "verdict": verdict, "seconds": seconds, "causes": lines}


def main(out, pattern=""):
    """Judge all pairs whose name fits; then count the outcomes."""
    file = Path(out)
    done = {json.loads(line)["pair"] for line in file.read_text().splitlines()} if file.exists() else set()
    with tempfile.TemporaryDirectory() as folder:
        for pair in pairs(Path(folder)):
            if pair.name in done or not re.search(pattern, pair.name):
                continue
            result = judged(pair)
            with file.open("a") as lines:
                lines.write(json.dumps(result) + "\n")
            print(f"{result['outcome']:24}{result['seconds']:6.1f} s  {pair.name}")
            for cause in result["causes"]:
                print(f"{'':34}{cause}")
    results = [json.loads(line) for line in file.read_text().splitlines()]
    outcomes = [each["outcome"] for each in results]
    print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", metavar="OUT.jsonl")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="")
    arguments = parser.parse_args()
    main(arguments.out, arguments.pattern)
