"""What a person should do about a benchmark that did not pass a gate, with the command that shows more."""

import shlex
from collections.abc import Iterator

import msgspec

from harness.gate.record import (
    LONGER_TRAININGS,
    NOT_ALONE,
    OTHER_DATA,
    OTHER_TASK,
    BenchmarkRecord,
    EnvironmentRecord,
    GateRecord,
    Metric,
    QualityResult,
)
from harness.gate.suite import Benchmark
from harness.report.escaping import one_line

_LIMIT_NAMES: dict[Metric, str] = {
    "step": "max_slowdown",
    "first step": "max_first_step_slowdown",
    "memory": "max_memory_growth",
}


def _until_base_is_new(record: GateRecord) -> str:
    """What ends a difference that is meant."""
    if record.against == "stored baseline":
        return "Where that is meant, make the baseline anew with `--save-baseline`"
    return "Where that is meant, the gate fails until base is a commit in which it is so too"


def _after_other_maths(record: GateRecord, quality: QualityResult, check: str) -> str:
    if quality.reason.startswith(OTHER_DATA):
        return f"{_until_base_is_new(record)}."
    if quality.reason.startswith(OTHER_TASK):
        return f"{_until_base_is_new(record)}, or allow it with max_accuracy_loss."
    return (
        f"`{check}` names the step or layer that deviates; where other maths are meant, allow them with "
        "max_accuracy_loss."
    )


def what_next(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """A sentence; commands in it stand between backticks."""
    side = _quoted(f"{benchmark.backend}:{benchmark.mode}" if benchmark.mode else benchmark.backend)
    task, head = _quoted(benchmark.task), _quoted(record.head.python)
    if benchmark.vanished:
        return f"Put it back into the suite. {_until_base_is_new(record)}."
    if benchmark.quality is not None and benchmark.quality.verdict == "FAIL":
        check = [f"{head} -m harness check {side} --task {task}", *_plugins(record)]
        return _after_other_maths(record, benchmark.quality, " ".join(check))
    failed = [result.metric for result in benchmark.metrics if result.verdict == "FAIL"]
    base_fell = not benchmark.metrics and benchmark.reason.startswith("side base: ")
    if not failed and benchmark.verdict == "INCONCLUSIVE" and not base_fell:
        return _how_to_know(record, benchmark)
    if record.against == "stored baseline" and (failed or base_fell):
        return (
            "Hold head against base itself where that can run (`harness gate --base REF`), which is surer; "
            f"where the {'price' if failed else 'difference'} is meant, make the baseline anew with "
            "`--save-baseline`."
        )
    if not failed:
        alone = " ".join(
            [_run_alone(record.base if base_fell else record.head, benchmark, side), *_plugins(record)]
        )
        return f"`{alone}` shows what that side does by itself."
    again = " ".join(
        [
            f"{head} -m harness duel {side} {side} --task {task}",
            *_conditions(record, benchmark),
            *_plugins(record),
        ]
    )
    limits = " and ".join(_LIMIT_NAMES[metric] for metric in failed)
    return f"`{again}` measures it again by itself; where the price is meant, raise {limits}."


def _how_to_know(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    if NOT_ALONE in benchmark.reason:
        return (
            "Run the gate again; if it is memory, give that benchmark a smaller `batch_size`, or measure "
            "each side by itself (`--save-baseline`, then `--baseline`)."
        )
    if benchmark.quality is not None and benchmark.quality.verdict == "INCONCLUSIVE":
        asks = not benchmark.quality.seeds or LONGER_TRAININGS in benchmark.quality.reason
        if benchmark.quality.unsound and asks:  # its reason says what to give
            return "As it is asked for, no training could decide it."
        return "Run the gate again with more `seeds` of that benchmark, and the time for them (`--budget`)."
    if any("max_speedup" in one.reason for one in benchmark.metrics):
        return "Neither more time nor a quieter machine would make that believed."
    ways = "with more time (`--budget`)"
    on_cpu = any(side.device == "cpu" for side in benchmark.sides)
    if benchmark.threads > 1 and on_cpu and record.against != "stored baseline":
        ways += ", on one thread (`threads = 1`)"  # they wait for one whose CPU somebody else uses
    return f"Run the gate again, {ways} or on a quieter machine, which `harness doctor --noise` judges."


def _run_alone(environment: EnvironmentRecord, benchmark: BenchmarkRecord, backend: str) -> str:
    """The command that runs one side by itself, as the gate started it."""
    words = [_quoted(f"{name}={value}") for name, value in environment.variables.items()]
    words = ["env", *words] if words else []
    words += [
        f"{_quoted(environment.python)} -m harness run --backend {backend} --task {_quoted(benchmark.task)}"
    ]
    return " ".join([*words, *_options(benchmark)])


def _options(benchmark: BenchmarkRecord) -> Iterator[str]:
    """What the gate trained, as ``run`` and ``duel`` take it."""
    yield f"--dataset {_quoted(benchmark.dataset.name)}"
    if benchmark.threads:
        yield f"--threads {benchmark.threads}"
    asked = benchmark.asked or _known_of(benchmark)
    yield f"--precision {asked.precision}"
    for name, given in (
        ("batch-size", asked.batch_size),
        ("device", asked.device if asked.device != "auto" else None),
        ("seed", asked.seed or None),
    ):
        if given is not None:
            yield f"--{name} {_quoted(str(given))}"
    for name, value in asked.options.items():
        yield f"--set {_quoted(f'{name}={value}')}"


def _plugins(record: GateRecord) -> Iterator[str]:
    """The plugin files that the gate was given, without which names mean nothing."""
    words = record.command
    for number, word in enumerate(words):
        option, sign, file = word.partition("=")
        if option == "--plugin":
            yield f"--plugin {_quoted(file if sign else words[number + 1])}"


def _known_of(benchmark: BenchmarkRecord) -> Benchmark:
    """What a record of before it kept that tells of what was asked for."""
    told = Benchmark(name=benchmark.name, backend="", task="", options=benchmark.options)
    for side in benchmark.sides[-1:]:
        told = msgspec.structs.replace(told, batch_size=side.batch_size, precision=side.precision)
    return told


def _conditions(record: GateRecord, benchmark: BenchmarkRecord) -> Iterator[str]:
    """The options that make a duel of what the gate held against each other."""
    yield from _options(benchmark)
    for letter, environment in (("a", record.base), ("b", record.head)):
        yield f"--{letter}-python {_quoted(environment.python)}"
        for name, value in environment.variables.items():
            yield f"--{letter}-env {_quoted(f'{name}={value}')}"


def _quoted(text: str) -> str:
    """One word of a shell, in one line."""
    return shlex.quote(one_line(text))
