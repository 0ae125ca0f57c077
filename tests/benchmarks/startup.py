"""Startup time of ``harness --help`` and ``harness list``.

``python tests/benchmarks/startup.py [--runs N] [--against COMMAND]``. With ``--against``, an older harness
runs in turn with this one, so that the ratio holds on a busy machine too.
"""

import argparse
import shlex
import statistics
import subprocess
import sys
import time

#: Seconds on a quiet machine.
LIMITS = {"--help": 0.10, "list": 0.25}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the median and the range of each command's wall time, and its limit or the older median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--against", type=shlex.split, metavar="COMMAND", help="an older harness")
    options = parser.parse_args()
    harness = [sys.executable, "-m", "harness"]
    for argument, limit in LIMITS.items():
        samples, older = [], []
        for _ in range(options.runs + 1):  # the first warms the disk cache
            samples.append(seconds([*harness, argument]))
            if options.against:
                older.append(seconds([*options.against, argument]))
        samples, older = sorted(samples[1:]), older[1:]
        median = statistics.median(samples)
        line = f"harness {argument:7s} median {median:.3f} s, {samples[0]:.3f} to {samples[-1]:.3f} s"
        if older:
            line += f"; older {statistics.median(older):.3f} s, ratio {median / statistics.median(older):.2f}"
        verdict = "ok" if median <= limit else "TOO SLOW"
        print(f"{line} over {options.runs} runs; limit {limit:.2f} s: {verdict}")


if __name__ == "__main__":
    main()
