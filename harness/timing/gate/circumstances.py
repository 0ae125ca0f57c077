"""The circumstances of a gate: the compared sides, the machine, and cautions about base and head."""

from harness.core.documents.circumstances import command_line, filled_facts, started
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import counted, machine_text
from harness.core.plugins.installation import PLUGIN
from harness.timing.engine.page import load_remarks
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.gate.record import BenchmarkRecord, GateRecord

_COMMIT_DIGITS = 10


def circumstances(record: GateRecord) -> str:
    """Say what was compared, where and how reliably; then give the cautions about base and head."""
    suite = f" (suite {record.suite})" if record.suite else ""
    where = f"{suite} on {record.machine.cpu} in {record.seconds / 60:.1f} min."
    if not record.benchmarks:
        return one_line(f"Nothing was compared{where}")
    base, head = sides_of(record)
    compared = f"Compared head {head} with base {base}{where}"
    false_alarms = f"At most {100 * record.false_alarms:g} % of gates of unchanged code fail."
    sentences = [compared, false_alarms, *cautions(record)]
    if record.suite_difference:
        changed = ", ".join(record.suite_difference)
        sentences.append(f"Head's suite differs from base's, which sets the limits: {changed}.")
    return one_line(" ".join(sentences))


def cautions(record: GateRecord) -> list[str]:
    """Return the cautions about base and head, in sentences; most often none."""
    base, head = record.base, record.head
    sentences = []
    if _same(base, head):
        sentences.append("Base and head are the same, so every difference is chance.")
    if versions := next(filter(None, map(_versions, record.benchmarks)), ""):
        sentences.append(f"Base and head have different versions: {versions}.")
    judged = [
        *((each, each.quality) for each in record.benchmarks),
        *((each, each) for each in record.benchmarks),
    ]
    sentences += [
        f"{one_line(benchmark.name)}: {reason}."
        for benchmark, result in judged
        if result is not None and result.verdict == "PASS"
        for reason in result.reasons
    ]
    pairs = [pair for each in record.benchmarks for pair in (*each.look, *each.confirmation)]
    sentences += load_remarks([block for pair in pairs for block in pair.blocks])
    sentences += [f"{one_line(clause)}." for clause in dict.fromkeys([*base.cautions, *head.cautions])]
    sentences += filter(None, map(_batch_sizes, record.benchmarks))
    stand_ins = {
        f"{data.name} stands in for {data.stands_in_for}: {data.reason}."
        for data in (benchmark.dataset for benchmark in record.benchmarks)
        if data.stands_in_for
    }
    return [*sentences, *sorted(stand_ins)]


def _same(base: EnvironmentRecord, head: EnvironmentRecord) -> bool:
    if base.variables != head.variables or (base.commit and base.commit != head.commit):
        return False
    return base.python == head.python or bool(base.commit and base.commit == head.commit)


def _versions(benchmark: BenchmarkRecord) -> str:
    """Return ``torch 2.12.0 in base, 2.13.0 in head``; empty where they agree or one is unknown."""
    frameworks = benchmark.quality.frameworks if benchmark.quality else []
    frameworks = [configuration.framework for configuration in benchmark.configurations] or frameworks
    if len(frameworks) < 2 or not all(frameworks):  # noqa: PLR2004  base and head
        return ""
    base, head = frameworks
    names = [name for name in {**base, **head} if base.get(name) != head.get(name) and name != PLUGIN]
    return ", ".join(
        f"{name} {base.get(name, 'none')} in base, {head.get(name, 'none')} in head"
        + (" (different builds)" if _build(base.get(name, "")) != _build(head.get(name, "")) else "")
        for name in names
    )


def _build(version: str) -> str:
    """Return ``cpu`` of ``2.13.0+cpu``."""
    return version.partition("+")[2]


def _batch_sizes(benchmark: BenchmarkRecord) -> str:
    """Say why the change is not that of the step times; empty where it is."""
    sizes = [configuration.batch_size for configuration in benchmark.configurations]
    if len(set(sizes)) < 2:  # noqa: PLR2004  base and head
        return ""
    return (
        f"{one_line(benchmark.name)}: the batch size is {sizes[0]} in base and {sizes[1]} in head, so the "
        "change is of the time per sample."
    )


def sides_of(record: GateRecord) -> tuple[str, str]:
    """Return base and head: the versions of an upgrade, commits, or interpreters."""
    if record.upgrade is not None:
        return ", ".join(record.upgrade.base), ", ".join(record.upgrade.head)
    base, head = (
        side.commit[:_COMMIT_DIGITS] if side.commit else side.python for side in (record.base, record.head)
    )
    is_of_commits = record.base.commit and not record.head.commit
    return base, "the working tree (uncommitted changes)" if is_of_commits else head


def details(record: GateRecord) -> dict[str, str]:
    """Return base, head, the machine, the suite and the command, by name."""
    return filled_facts(
        base=_in_full(record.base),
        head=_in_full(record.head),
        machine=machine_text(record.machine),
        suite=record.suite,
        command=command_line(record),
        started=f"{started(record)}, {record.seconds / 60:.1f} min",
        status="" if record.status == "ok" else f"{record.status} {record.failure}",
    )


def _in_full(environment: EnvironmentRecord) -> str:
    harness = f"harness {environment.harness}" if environment.harness else ""
    commit = f"commit {environment.commit}" if environment.commit else ""
    variables = [f"{name}={value}" for name, value in environment.variables.items()]
    return ", ".join(filter(None, [environment.python, harness, commit, *variables]))


def conditions(benchmark: BenchmarkRecord) -> str:
    """Return the conditions that a benchmark ran under in base and head."""
    data = benchmark.dataset
    options = ", ".join(f"{name}={value}" for name, value in benchmark.options.items())
    frameworks = [
        f"{each.label}: {', '.join(f'{name} {version}' for name, version in each.framework.items())}"
        for each in benchmark.configurations
    ]
    ran = [f"{data.name} {(data.fingerprint or '')[:12]}".strip()] if data.name else []
    ran.append(counted(benchmark.threads, "thread"))
    for head in benchmark.configurations[1:]:
        ran.append(head.device)
        if not benchmark.is_step:
            ran += [head.configuration.precision, f"batch size {head.batch_size}"]
    parts = [f"{benchmark.name}: {', '.join(ran)}", options, *frameworks, f"{benchmark.seconds:.0f} s"]
    return one_line("; ".join(filter(None, parts)))
