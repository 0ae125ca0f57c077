"""The next step for a benchmark that did not pass a gate, and the command that shows more."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

from harness.core.documents.circumstances import command_line, given_again, option_words, shell_line
from harness.core.plugins.options import value_text
from harness.timing.engine.asked import written
from harness.timing.gate.reasons import MORE_EVIDENCE, Command, Reason
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult

#: A gate compares head with base and asks for no certificate, so its commands work where there is none.
_NO_CERTIFICATE = "--no-certify"


def check_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """Return ``harness check`` of head, which names the step or layer that deviates."""
    words = [record.head.python, "-m", "harness", "check", _backend(benchmark)]
    return shell_line(
        [*words, *option_words({"task": benchmark.task, "plugin": given_again(record, "plugin")})]
    )


def duel_command(record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """Return ``harness duel`` of head against base; for a step, the gate, which has the checkouts."""
    if benchmark.is_step:
        return command_line(record)
    sides = [written(_backend(benchmark), side.python, side.variables) for side in (record.base, record.head)]
    words = [record.head.python, "-m", "harness", "duel", *sides, "--task", benchmark.task, _NO_CERTIFICATE]
    given = {option: given_again(record, option) for option in ("turns", "plugin")}
    return shell_line([*words, *option_words(_options(benchmark) | given)])


def run_command(label: Literal["base", "head"], record: GateRecord, benchmark: BenchmarkRecord) -> str:
    """Return ``harness run`` in base or in head alone; for a step of the user's own, ``harness time``."""
    environment = record.base if label == "base" else record.head
    if benchmark.is_step:
        asked = benchmark.asked
        options: dict[str, object] = {
            "with": [f"{name}={json.dumps(value)}" for name, value in asked.arguments.items()],
            "seed": asked.seed,
            "timeout": asked.timeout,
            "threads": benchmark.threads,
        }
        step = written(benchmark.task, environment.python, environment.variables)
        return shell_line(["harness", "time", step, *option_words(options)])
    assignments = [f"{name}={value}" for name, value in environment.variables.items()]
    words = ["env", *assignments] if assignments else []
    words += [environment.python, "-m", "harness", "run", "--backend", _backend(benchmark)]
    options = _options(benchmark) | {"plugin": given_again(record, "plugin")}
    return shell_line([*words, "--task", benchmark.task, _NO_CERTIFICATE, *option_words(options)])


def _backend(benchmark: BenchmarkRecord) -> str:
    return f"{benchmark.backend}:{benchmark.mode}" if benchmark.mode else benchmark.backend


def _options(benchmark: BenchmarkRecord) -> dict[str, object]:
    """Return the settings of the suite as ``run`` and ``duel`` take them."""
    asked = benchmark.asked
    return {
        **benchmark.dataset.options(),
        "threads": benchmark.threads,
        "precision": asked.precision,
        "batch-size": asked.batch_size,
        "device": asked.device if asked.device != "auto" else None,
        "seed": asked.seed,
        "set": [f"{name}={value_text(option)}" for name, option in asked.options.items()],
    }


#: The sentence that introduces each command, and what returns the command.
_COMMANDS: Mapping[Command, tuple[str, Callable[[GateRecord, BenchmarkRecord], str]]] = {
    "": ("", lambda *_: ""),
    "duel": ("To measure the benchmark again:", duel_command),
    "run base": ("To run base alone:", partial(run_command, "base")),
    "run head": ("To run head alone:", partial(run_command, "head")),
    "check": ("To find the step or layer that deviates:", check_command),
    "doctor": ("To check the machine:", lambda *_: "harness doctor"),
}


class Advice(NamedTuple):
    """Sentences, of which the last introduces the ``command`` where there is one."""

    text: str
    command: str = ""


def advice(record: GateRecord, benchmark: BenchmarkRecord) -> Advice:
    """Return the next step for a benchmark that did not pass, from the first reason of its worst verdict."""
    unmeasured = "The gate ended before it was measured." if record.failure else MORE_EVIDENCE
    deciding = _deciding_reasons(benchmark) or [Reason(kind="not measured", text="", hint=unmeasured)]
    first, intended = deciding[0], ""
    if first.accept:
        accept = " and ".join(dict.fromkeys(each.accept for each in deciding if each.accept))
        # Where the suite of base's commit judges, a setting of head's is not in force.
        in_force = " in the suite and give it as --base-suite" if record.base.commit else ""
        intended = f"If intended, {accept}{in_force}."
    has_command = first.command != "check" or benchmark.has_reference  # with which it would compare head
    introduction, command = _COMMANDS[first.command if has_command else "run head"]
    text = " ".join(filter(None, [first.hint, intended, introduction]))
    return Advice(text, command(record, benchmark))


def _deciding_reasons(benchmark: BenchmarkRecord) -> list[Reason]:
    """Return the reasons that the verdict comes from; quality before metrics."""
    results = sorted(benchmark.results, key=lambda result: isinstance(result, MetricResult))
    same = [each for each in results if each.verdict == benchmark.verdict]
    return [*benchmark.reasons, *(reason for each in same for reason in each.reasons)]
