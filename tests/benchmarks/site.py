"""How long ``harness publish`` takes for many records: ``python tests/benchmarks/site.py RECORDS... --count 10000``.

RECORDS are files of runs, duels and gates, which are copied under new names and times. Printed are the seconds
of a site from nothing and of one more record, of ``harness report`` over 300 of the runs, and the largest page.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from harness.core.documents.kinds import encode_document
from harness.core.shell.features import records


def copies(paths, count):
    """Yield ``count`` paths in a folder of results with the records that they hold."""
    every = [(records().result_in(path).kind, msgspec.json.decode(path.read_bytes())) for path in paths]
    for number, (kind, record) in enumerate(itertools.islice(itertools.cycle(every), count)):
        record = {name: value for name, value in record.items() if name != "checksum"}
        seconds = number * 3600
        began = time.strftime("%Y%m%d-%H%M%S", time.gmtime(1.7e9 + seconds))
        record["id"] = f"{began}-000-{kind.name}-{number:06x}"
        record["started_at"] = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(1.7e9 + seconds))
        for side in ("base", "head"):
            if kind.name == "gate":
                record[side] = {**record[side], "commit": f"{0 if side == 'base' else number:040x}"}
        if "seed" in record and kind.name == "run":
            record["seed"] = number
        yield Path(kind.folder) / f"{record['id']}.json", encode_document(record)


def seconds_of(*arguments):
    """The time of a command of the harness."""
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)], check=False, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results, site = Path(name, "results"), Path(name, "site")
        made = list(copies(given.records, given.count + 1))
        for path, content in made[:-1]:
            (results / path).parent.mkdir(parents=True, exist_ok=True)
            (results / path).write_bytes(content)
        print(f"{given.count} records: {seconds_of('publish', site, '--results', results, '--quiet'):.1f} s")
        path, content = made[-1]
        (results / path).write_bytes(content)
        print(
            f"one more ({path.parent}): {seconds_of('publish', site, '--results', results, '--quiet'):.1f} s"
        )
        runs = sorted((results / "runs").glob("*.json"))[-300:]
        print(
            f"report over {len(runs)} runs: {seconds_of('report', *runs, '--to', Path(name, 'r.html')):.1f} s"
        )
        largest = max(site.rglob("*.html"), key=lambda page: page.stat().st_size)
        print(f"largest page: {largest.relative_to(site)}, {largest.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
