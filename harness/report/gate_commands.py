"""The commands that look into one benchmark of a gate: the same work once more, as the gate ran it."""

import shlex
from collections.abc import Iterator

import msgspec

from harness.gate.record import BenchmarkRecord, EnvironmentRecord, GateRecord
from harness.gate.suite import Benchmark
from harness.report.escaping import one_line
from harness.runs.identity import value_text

#: A gate compares head with base and asks for no certificate, so its commands work where there is none.
_NO_CERTIFICATE = "--no-certify"


def check_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness check`` of head, which names the step or layer that deviates."""
    words = [_quoted(record.head.python), "-m harness check", _backend(benchmark)]
    return " ".join([*words, "--task", _quoted(benchmark.task), *_given(record, "--plugin")])


def duel_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """``harness duel`` of head against base."""
    backend = _backend(benchmark)
    words = [_quoted(record.head.python), "-m harness duel", backend, backend]
    words += ["--task", _quoted(benchmark.task), _NO_CERTIFICATE, *_options(benchmark)]
    for letter, environment in (("a", record.base), ("b", record.head)):
        words.append(f"--{letter}-python {_quoted(environment.python)}")
        words += [f"--{letter}-env {word}" for word in _assignments(environment)]
    return " ".join([*words, *_given(record, "--turns"), *_given(record, "--plugin")])


def run_command(record: GateRecord, benchmark: BenchmarkRecord, environment: EnvironmentRecord) -> str:
    """``harness run`` in base or in head alone."""
    variables = _assignments(environment)
    words = ["env", *variables] if variables else []
    words += [_quoted(environment.python), "-m harness run --backend", _backend(benchmark)]
    words += ["--task", _quoted(benchmark.task), _NO_CERTIFICATE, *_options(benchmark)]
    return " ".join([*words, *_given(record, "--plugin")])


def _backend(benchmark: BenchmarkRecord) -> str:
    return _quoted(f"{benchmark.backend}:{benchmark.mode}" if benchmark.mode else benchmark.backend)


def _assignments(environment: EnvironmentRecord) -> list[str]:
    return [_quoted(f"{name}={value}") for name, value in environment.variables.items()]


def _options(benchmark: BenchmarkRecord) -> Iterator[str]:
    """What the suite asks for, as ``run`` and ``duel`` take it."""
    yield f"--dataset {_quoted(benchmark.dataset.name)}"
    if benchmark.threads:
        yield f"--threads {benchmark.threads}"
    asked = benchmark.asked or _from_record(benchmark)
    yield f"--precision {asked.precision}"
    given = {
        "batch-size": asked.batch_size,
        "device": asked.device if asked.device != "auto" else None,
        "seed": asked.seed or None,
    }
    for name, value in given.items():
        if value is not None:
            yield f"--{name} {_quoted(str(value))}"
    for name, option in asked.options.items():
        yield f"--set {_quoted(f'{name}={value_text(option)}')}"


def _from_record(benchmark: BenchmarkRecord) -> Benchmark:
    """An approximation for records that do not hold what the suite asked for."""
    asked = Benchmark(name=benchmark.name, backend="", task="", options=benchmark.options)
    for head in benchmark.configurations[-1:]:
        asked = msgspec.structs.replace(asked, batch_size=head.batch_size, precision=head.precision)
    return asked


def _given(record: GateRecord, name: str) -> Iterator[str]:
    """An option as the gate was given it: plugin files, which define the names in the command, or turns."""
    words = record.command
    for number, word in enumerate(words):
        option, sign, value = word.partition("=")
        if option == name:
            yield f"{name} {_quoted(value if sign else words[number + 1])}"


def _quoted(text: str) -> str:
    """One word of a shell command, in one line."""
    return shlex.quote(one_line(text))
