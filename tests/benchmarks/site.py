"""How long ``harness publish`` takes for many records, beside ``harness report``.

``python tests/benchmarks/site.py RUN.json... --runs 9500 --gates 500`` copies stored runs under other names,
and adds made gates of one branch. It prints the seconds of a site from nothing, of one more record, and of a
report over 300 of the runs, and the largest page.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.made_gates import fixed_gates, save
from support.made_site import copies


def seconds_of(*arguments):
    """The time of a command of the harness."""
    start = time.monotonic()
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("originals", nargs="+", type=Path, metavar="RUN.json")
    parser.add_argument("--runs", type=int, default=9_500)
    parser.add_argument("--gates", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        top, results, site = Path(name), Path(name, "results"), Path(name, "site")
        copies(results, given.originals, given.runs)
        save(top, *fixed_gates([1.1 if 100 <= place < 300 else 1.0 for place in range(given.gates)]))
        publish = ("publish", site, "--results", results)
        print(f"{given.runs} runs and {given.gates} gates: {seconds_of(*publish):.1f} s")
        copies(results, given.originals, 1, first=given.runs)
        print(f"one more run: {seconds_of(*publish):.1f} s")
        runs = sorted((results / "runs").glob("*.json"))[-300:]
        print(f"report over 300 runs: {seconds_of('report', *runs, '--to', top / 'report.html'):.1f} s")
        largest = max(site.rglob("*.html"), key=lambda page: page.stat().st_size)
        print(f"largest page: {largest.relative_to(site)}, {largest.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
