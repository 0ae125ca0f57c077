"""The circumstances of a gate: what was compared, where, and what a reader must know of base and head."""

import shlex

from harness.gate.record import BenchmarkRecord, EnvironmentRecord, GateRecord
from harness.plugins.installation import PLUGIN
from harness.report.escaping import one_line
from harness.report.gate_reasons import reason_text

_COMMIT_DIGITS = 10


def circumstances(record: GateRecord) -> str:
    """What was compared, where and how reliably; then what a reader must know of base and head."""
    compared = (
        f"Compared head {_environment(record.head)} with base {_environment(record.base)} "
        f"(suite {record.suite}) on {record.machine.cpu} in {record.seconds / 60:.1f} min."
    )
    false_alarms = f"At most {100 * record.false_alarms:g} % of gates of unchanged code fail."
    sentences = [compared, false_alarms, *cautions(record)]
    if record.unwatched:
        sentences.append(f"A benchmark that was removed would go unnoticed: {record.unwatched}.")
    return one_line(" ".join(sentences))


def cautions(record: GateRecord) -> list[str]:
    """What a reader must know of base and head, in sentences; most often none."""
    base, head = record.base, record.head
    sentences = []
    if _same(base, head):
        sentences.append("Base and head are the same, so every difference is chance.")
    if versions := next(filter(None, map(_versions, record.benchmarks)), ""):
        sentences.append(f"Base and head have different versions: {versions}.")
    sentences += [
        f"{one_line(benchmark.name)}: {reason_text(reason)}."
        for benchmark in record.benchmarks
        if benchmark.quality is not None and benchmark.quality.verdict == "PASS"
        for reason in benchmark.quality.reasons
    ]
    if record.stored_baseline:
        sentences.append("Base is a stored baseline: its processes did not run beside head's.")
    sentences += [f"{one_line(clause)}." for clause in dict.fromkeys([*base.cautions, *head.cautions])]
    sentences += filter(None, map(_batch_sizes, record.benchmarks))
    stand_ins = {
        f"{data.name} stands in for {data.stands_in_for}: {data.reason}."
        for data in (benchmark.dataset for benchmark in record.benchmarks)
        if data.stands_in_for
    }
    return [*sentences, *sorted(stand_ins)]


def _same(base: EnvironmentRecord, head: EnvironmentRecord) -> bool:
    if base.variables != head.variables:
        return False
    return base.python == head.python or bool(base.commit and base.commit == head.commit)


def _versions(benchmark: BenchmarkRecord) -> str:
    """``torch 2.12.0 in base, 2.13.0 in head``; empty where they agree or one is unknown."""
    frameworks = benchmark.quality.frameworks if benchmark.quality else []
    frameworks = [configuration.framework for configuration in benchmark.configurations] or frameworks
    if len(frameworks) < 2 or not all(frameworks):  # noqa: PLR2004  base and head
        return ""
    base, head = frameworks
    names = [name for name in {**base, **head} if base.get(name) != head.get(name) and name != PLUGIN]
    return ", ".join(
        f"{name} {base.get(name, 'none')} in base, {head.get(name, 'none')} in head" for name in names
    )


def _batch_sizes(benchmark: BenchmarkRecord) -> str:
    """Why the change is not that of the step times; empty where it is."""
    sizes = [configuration.batch_size for configuration in benchmark.configurations]
    if len(set(sizes)) < 2:  # noqa: PLR2004  base and head
        return ""
    return (
        f"{one_line(benchmark.name)}: the batch size is {sizes[0]} in base and {sizes[1]} in head, so the "
        "change is of the time per sample."
    )


def _environment(environment: EnvironmentRecord) -> str:
    return environment.commit[:_COMMIT_DIGITS] if environment.commit else environment.python


def details(record: GateRecord) -> dict[str, str]:
    """Base, head, the machine, the suite and the command, by name."""
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    model = f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {machine.os}, {machine.libc}"
    texts = {
        "base": _in_full(record.base),
        "head": _in_full(record.head),
        "machine": ", ".join(filter(None, [machine.host_text, model])),
        "suite": record.suite,
        "command": shlex.join(["harness", *record.command]),
        "started": f"{record.started_at[:16].replace('T', ' ')} UTC, {record.seconds / 60:.1f} min",
        "status": "" if record.status == "ok" else f"{record.status} {record.failure}",
    }
    return {name: one_line(text) for name, text in texts.items() if text}


def _in_full(environment: EnvironmentRecord) -> str:
    parts = [environment.python, f"harness {environment.harness}"]
    if environment.commit:
        parts.append(f"commit {environment.commit}")
    parts += [f"{name}={value}" for name, value in environment.variables.items()]
    return ", ".join(parts)


def _threads(benchmark: BenchmarkRecord) -> str:
    return "1 thread" if benchmark.threads == 1 else f"{benchmark.threads} threads"


def conditions(benchmark: BenchmarkRecord) -> str:
    """The conditions that a benchmark ran under in base and head."""
    data = benchmark.dataset
    options = ", ".join(f"{name}={value}" for name, value in benchmark.options.items())
    frameworks = [
        f"{each.label}: {', '.join(f'{name} {version}' for name, version in each.framework.items())}"
        for each in benchmark.configurations
    ]
    ran = [f"{data.name} {(data.fingerprint or '')[:12]}".strip(), _threads(benchmark)]
    for head in benchmark.configurations[1:]:
        ran += [head.device, head.precision, f"batch size {head.batch_size}"]
    parts = [f"{benchmark.name}: {', '.join(ran)}", options, *frameworks, f"{benchmark.seconds:.0f} s"]
    return one_line("; ".join(part for part in parts if part))
