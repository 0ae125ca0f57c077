"""The next step for a benchmark that did not pass a gate, and the command that shows more."""

import json
from typing import NamedTuple

from harness.core.documents.circumstances import command_line, given_again, option_words, shell_line
from harness.core.plugins.options import value_text
from harness.timing.engine.asked import written
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.reasons import Check, Reason, Remedy, Step
from harness.timing.gate.record import BenchmarkRecord, GateRecord

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


def run_command(record: GateRecord, benchmark: BenchmarkRecord, environment: EnvironmentRecord) -> str:
    """Return ``harness run`` in base or in head alone; for a step of the user's own, ``harness time``."""
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


class Advice(NamedTuple):
    """Sentences, of which the last introduces the ``command`` where there is one."""

    text: str
    command: str = ""


def advice(record: GateRecord, benchmark: BenchmarkRecord) -> Advice:
    """Return the next step for a benchmark that did not pass, from the first reason of its worst verdict."""
    deciding = _deciding_reasons(benchmark)
    unmeasured: Remedy = "The gate ended before it was measured." if record.failure else Step.MORE_EVIDENCE
    remedy = deciding[0].remedy_for(benchmark.verdict) if deciding else unmeasured
    match remedy:
        case str():
            return Advice(remedy)
        case Check(accept):
            return _check(record, benchmark, accept and accept + _in_force(record))
        case Step.MORE_EVIDENCE:
            return _more_evidence(benchmark)
        case Step.MEASURE_AGAIN:
            failed = [each.metric for each in benchmark.metrics if each.verdict == "FAIL"]
            limits = " and ".join(metrics()[metric].key for metric in failed)
            text = f"If intended, raise {limits}{_in_force(record)}. To measure the benchmark again:"
            return Advice(text, duel_command(record, benchmark))
        case Step.SHOW_VALUES:
            accepting = f'set values = "differ" or a tolerance{_in_force(record)}'
            text = f"If this is intended, {accepting}. To see the values of head:"
            return Advice(text, run_command(record, benchmark, record.head))
        case Step.RUN_BASE | Step.RUN_HEAD:
            label, side = ("base", record.base) if remedy is Step.RUN_BASE else ("head", record.head)
            return Advice(f"To run {label} alone:", run_command(record, benchmark, side))


def _in_force(record: GateRecord) -> str:
    """Say how a setting of head's suite is put in force where the suite of base's commit judges."""
    return " in the suite and give it as --base-suite" if record.base.commit else ""


def _deciding_reasons(benchmark: BenchmarkRecord) -> list[Reason]:
    """Return the reasons that the verdict comes from; quality before metrics."""
    results = reversed(benchmark.results)
    same = [each for each in results if each.verdict == benchmark.verdict]
    return [*benchmark.reasons, *(reason for each in same for reason in each.reasons)]


def _more_evidence(benchmark: BenchmarkRecord) -> Advice:
    ways = ["with more time (--budget)"]
    on_cpu = any(each.device == "cpu" for each in benchmark.configurations)
    if benchmark.threads > 1 and on_cpu:  # threads wait for the one whose CPU other work uses
        ways.append("on one thread (threads = 1)")
    text = f"Run the gate again {', '.join(ways)} or on a quieter machine. To check the machine:"
    return Advice(text, "harness doctor")


def _check(record: GateRecord, benchmark: BenchmarkRecord, accept: str) -> Advice:
    intended = f"If the difference is intended, {accept}. " if accept else ""
    if not benchmark.has_reference:  # with which `harness check` would compare head
        return Advice(f"{intended}To train head alone:", run_command(record, benchmark, record.head))
    text = f"{intended}To find the step or layer that deviates:"
    return Advice(text, check_command(record, benchmark))
