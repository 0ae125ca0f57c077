"""How often gates are right: on unchanged code, and with one known fault planted in one benchmark.

Each trial is ``harness gate`` on a suite of up to four benchmarks (cnn, mlp, rnn, gan in PyTorch) on one
thread. Base and head differ in a variable only, which plants the fault in head (``planted.py``). Trials of
the given kinds are made in turn until the time is up, or until there are as many of each as asked for; each
is a line of JSON in the given file, which a later call continues. Faults of quality and of memory use a suite
of the one benchmark: the former show before anything is timed, and memory hardly differs between equal
processes. Run it by hand, alone on the machine; ``--load`` keeps cores busy meanwhile.
"""

import contextlib
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from common import harness, parser, store, stored, table, until

from harness.timing.gate.metrics import benchmark_ratios
from harness.timing.gate.record import BenchmarkRecord, GateRecord

PLUGIN = Path(__file__).parent / "planted.py"
LIMITS = """
max_slowdown = "5%"
max_memory_growth = "10%"
"""
BENCHMARKS = {
    "cnn": 'dataset = "digits"\nset = { dropout = 0.3 }',
    "mlp": "",
    "rnn": "",
    "gan": 'dataset = "digits"',
}
#: The kinds of trial, and for each fault the tasks it is planted in, one after the other.
KINDS = {
    "nothing": [""],
    "slower": ["cnn", "mlp", "rnn", "gan"],
    "slower-10": ["cnn", "mlp", "rnn", "gan"],
    "pausing": ["cnn", "mlp", "rnn", "gan"],
    "half-rate": ["cnn", "mlp", "rnn", "gan"],
    "no-bias": ["cnn", "mlp", "rnn", "gan"],
    "dropout-on": ["cnn"],
    "hungrier": ["cnn", "mlp", "rnn", "gan"],  # more memory; the name in earlier trials
}
#: Faults for which the three other benchmarks would only take time.
ALONE = {"half-rate", "no-bias", "dropout-on", "hungrier"}


def suite_of(names):
    tables = (
        f'[benchmarks.{name}]\nbackend = "planted"\ntask = "{name}"\nthreads = 1\n{BENCHMARKS[name]}\n'
        for name in names
    )
    return LIMITS + "".join(tables)


@contextlib.contextmanager
def busy(cores: int):
    """Other programs that keep so many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def trial(kind: str, task: str, names: list[str], options: list[str], load: int) -> dict:
    with busy(load), tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "gate.toml"
        suite.write_text(suite_of([task] if kind in ALONE else names))
        command = ["gate", "--base-python", sys.executable, "--suite", str(suite), "--plugin", str(PLUGIN)]
        if task:
            command += ["--head-env", f"PLANTED={task}:{kind}"]
        command += [*options, "--results", folder, "--format", "json", "--quiet"]
        done = harness(*command)
    if not done.stdout:
        return {"kind": kind, "task": task, "load": load, "failed": done.stderr.strip()[-300:]}
    record = msgspec.json.decode(done.stdout, type=GateRecord)
    return {
        "kind": kind,
        "task": task,
        "load": load,
        "exit": done.returncode,
        "verdict": record.verdict,
        "seconds": record.seconds,
        "benchmarks": {benchmark.name: outcome(benchmark) for benchmark in record.benchmarks},
    }


def outcome(benchmark: BenchmarkRecord) -> dict:
    """Verdicts and reasons; and of the step, for each stage, the log ratios of its pairs."""
    look, fresh = (
        benchmark_ratios(benchmark, "step", pairs) for pairs in (benchmark.look, benchmark.confirmation)
    )
    return {
        "verdict": benchmark.verdict,
        "reasons": msgspec.to_builtins([*benchmark.reasons, *result_reasons(benchmark)]),
        "seconds": benchmark.seconds,
        "metrics": {
            result.metric: [result.verdict, result.stage, result.ratio and result.ratio.value, result.pairs]
            for result in benchmark.metrics
        },
        "steps": [ratios.logs.tolist() for ratios in (look, fresh)],
    }


def result_reasons(benchmark: BenchmarkRecord) -> list:
    return [reason for result in benchmark.results for reason in result.reasons]


def summary(trials: list[dict]) -> str:
    rows = []
    loads = sorted({made.get("load", 0) for made in trials})
    for kind, load in itertools.product(KINDS, loads):
        gates = [
            made
            for made in trials
            if (made["kind"], made.get("load", 0)) == (kind, load) and "verdict" in made
        ]
        if not gates:
            continue
        caught = [made["benchmarks"][made["task"]]["verdict"] == "FAIL" for made in gates if made["task"]]
        others = [
            name
            for made in gates
            for name, benchmark in made["benchmarks"].items()
            if name != made["task"] and benchmark["verdict"] == "FAIL"
        ]
        undecided = [made["verdict"] in {"INCONCLUSIVE", "INVALID"} for made in gates]
        seconds = sorted(made["seconds"] for made in gates)
        rows.append(
            (
                f"{kind}, {load} of other load" if load else kind,
                len(gates),
                f"{sum(caught)} of {len(caught)}" if caught else "–",
                f"{len(others)} ({', '.join(others)})" if others else "0",
                f"{sum(undecided)} of {len(gates)}",
                f"{seconds[len(seconds) // 2]:.0f}, {seconds[-1]:.0f}",
            )
        )
    headers = (
        "planted in head",
        "gates",
        "FAIL on that benchmark",
        "FAIL on another",
        "gate undecided",
        "seconds: median, longest",
    )
    return table(headers, rows)


def main() -> None:
    """Make trials, and print the table of those in the file."""
    options = parser(__doc__, trials=True)
    options.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    options.add_argument("--benchmarks", nargs="+", default=list(BENCHMARKS), choices=list(BENCHMARKS))
    options.add_argument("--trials", type=int, help="as many of each kind, those in the file included")
    options.add_argument("--budget", help="of a gate; default: the gate's own")
    options.add_argument(
        "--turns", help="of a pair; default: the gate's own. 30 are as precise for mlp and rnn"
    )
    options.add_argument("--load", type=int, default=0, help="cores to keep busy with other work")
    given = options.parse_args()
    trials = stored(given.file)
    values = {"--budget": given.budget, "--turns": given.turns}
    words = [word for name, value in values.items() if value is not None for word in (name, value)]

    def made_of(kind: str) -> int:
        return sum(made["kind"] == kind and made.get("load", 0) == given.load for made in trials)

    for _ in until(given.minutes):
        kind = min(given.kinds, key=made_of)
        number = made_of(kind)
        if given.trials is not None and number >= given.trials:
            break
        tasks = [task for task in KINDS[kind] if task in {"", *given.benchmarks}]
        trials.append(trial(kind, tasks[number % len(tasks)], given.benchmarks, words, given.load))
        store(given.file, trials[-1])
    print(summary(trials))


if __name__ == "__main__":
    main()
