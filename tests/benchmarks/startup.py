"""How long the commands take that only look: ``python tests/benchmarks/startup.py [RUNS]``."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {"--help": 0.15, "list": 0.30}


def main() -> None:
    """Run each command in turn and print the spread of its wall time against its limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    harness = str(Path(sys.executable).with_name("harness"))
    seconds: dict[str, list[float]] = {command: [] for command in COMMANDS}
    for _ in range(runs + 1):
        for command, samples in seconds.items():
            start = time.perf_counter()
            subprocess.run([harness, command], stdout=subprocess.DEVNULL, check=True)
            samples.append(time.perf_counter() - start)
    for command, limit in COMMANDS.items():
        samples = sorted(seconds[command][1:])  # the first warmed the disk cache
        median = statistics.median(samples)
        verdict = "ok" if median <= limit else "TOO SLOW"
        print(
            f"harness {command:7s} median {median:.3f} s, {samples[0]:.3f} to {samples[-1]:.3f} s "
            f"over {runs} runs; limit {limit:.2f} s: {verdict}"
        )


if __name__ == "__main__":
    main()
