"""The ``harness duel`` that would decide which configurations are faster, as a complete command."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.errors import HarnessError
from harness.machine.worker_variables import relevant_variables
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.plugins.options import Value
from harness.report.escaping import one_line
from harness.runs.record import Record
from harness.runs.store import results_option

#: Stands before the command.
DECIDES = "For a verdict on speed:"
#: Configurations that a duel takes.
_MOST = 4
_OPEN = {"undecided", "unreliable"}


def next_duel(comparison: Comparison, results: Path | None = None) -> str | None:
    """The command; None where no verdict on speed is missing, or where a command alone cannot make it.

    Its result goes to the folder ``results``, where the next comparison finds it.
    """
    unsettled = [pair.other for pair in comparison.pairs if pair.speed_verdict in _OPEN]
    if not unsettled:
        return None
    summaries = [comparison.pairs[0].reference, *unsettled][:_MOST]
    names = [_record(summary).label for summary in summaries]
    if len(set(names)) < len(names):  # versions of one framework: each needs its own interpreter
        return None
    record = _record(summaries[0])
    variables = relevant_variables(record.inherited_variables)
    words = [f"{name}={_quoted(value)}" for name, value in variables.items()]
    words += ["harness duel", *map(_quoted, names), "--task", _quoted(record.task.name)]
    words += _options(record)
    return " ".join(words) + ("" if results is None else results_option(results))


def _record(summary: ConfigurationSummary) -> Record:
    return summary.configuration.runs[0].record


def _options(record: Record) -> Iterator[str]:
    """What the runs had in common and a duel would otherwise choose itself."""
    options, batch_size, dataset = _defaults(record)
    for name, value in record.task.options.items():
        if name not in options or options[name] != value:
            yield f"--set {_quoted(f'{name}={_text(value)}')}"
    if record.task.description.batch_size not in {None, batch_size}:
        yield f"--batch-size {record.task.description.batch_size}"
    if record.dataset.name != dataset:
        yield f"--dataset {_quoted(record.dataset.name)}"
    if record.device_asked != "auto":
        yield f"--device {_quoted(record.device_asked)}"
    if record.precision != "float32":
        yield f"--precision {record.precision}"
    yield f"--threads {record.threads}"
    yield from _plugins(record.command)


def _defaults(record: Record) -> tuple[dict[str, Value], int | None, str]:
    """The task's own options, its batch size under those of the record, and its first data set.

    Nothing is a default where the task is not installed here.
    """
    try:
        definition = registry.task(record.task.name)
        options = definition.options()
        given = msgspec.convert(msgspec.structs.asdict(options) | record.task.options, definition.options)
        batch_size = define_task(definition, given).batch_size
    except (HarnessError, msgspec.MsgspecError):
        return {}, None, ""
    return msgspec.structs.asdict(options), batch_size, definition.datasets[0]


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plugins(words: list[str]) -> Iterator[str]:
    """The plugin files of the command that made the run; they define names in this one."""
    for number, word in enumerate(words):
        option, sign, file = word.partition("=")
        if option == "--plugin":
            yield f"--plugin {_quoted(file if sign else words[number + 1])}"


def _quoted(text: str) -> str:
    return shlex.quote(one_line(text))
