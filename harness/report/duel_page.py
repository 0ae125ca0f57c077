"""A duel as an HTML file that opens offline (verdicts, pairs, turns, circumstances), and as Markdown."""

import shlex

from harness.duel.findings import ConfigurationFindings, configuration_findings
from harness.duel.record import DuelRecord
from harness.report.duel import configuration_table, duel_remarks, duel_verdicts
from harness.report.duel_charts import duel_figures
from harness.report.escaping import for_markdown, one_line
from harness.report.html import render
from harness.report.numbers import RATIO_LEGEND
from harness.report.table import markdown_table


def duel_page(record: DuelRecord) -> str:
    """The page; all text from the record is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    figures = duel_figures(record)
    findings = _findings(record)
    first, *others = [*duel_verdicts(record), f"The duel is {record.status}: nothing was measured."]
    return render(
        "duel.html.j2",
        figures,
        names=" and ".join(configuration.label for configuration in record.configurations),
        headline=first,
        verdicts=others[:-1],
        meta=_meta(record),
        charts=figures,
        configurations=configuration_table(record, findings) if findings else None,
        remarks=list(duel_remarks(record, findings)) if findings else [],
        legend=RATIO_LEGEND,
        margin=f"{100 * record.margin:g} %",
        details=_details(record),
        duel=record.id,
    )


def duel_markdown(record: DuelRecord) -> str:
    """The verdicts, the table of the configurations and the remarks in GitHub's Markdown."""
    parts = ["\n".join(f"**{for_markdown(verdict)}**  " for verdict in duel_verdicts(record))]
    findings = _findings(record)
    if findings:
        parts.append(markdown_table(configuration_table(record, findings)))
        remarks = [*duel_remarks(record, findings), RATIO_LEGEND]
        parts.append("\n".join(f"- {for_markdown(remark)}" for remark in remarks))
    parts.append("\n".join(f"- {name}: {for_markdown(text)}" for name, text in _details(record).items()))
    return "\n\n".join(parts) + "\n"


def _findings(record: DuelRecord) -> list[ConfigurationFindings]:
    measured = range(len(record.configurations)) if record.pairs else ()
    return [configuration_findings(record, index) for index in measured]


def _meta(record: DuelRecord) -> list[str]:
    pairs = len(record.pairs)
    return [
        f"{record.task.name} on {record.dataset.name}",
        f"{pairs} pair{'s' * (pairs != 1)}",
        f"{record.started_at[:16].replace('T', ' ')} UTC",
        record.machine.cpu,
    ]


def _details(record: DuelRecord) -> dict[str, str]:
    """The machine, the command and the task's options, by name."""
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    model = f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {machine.os}, {machine.libc}"
    options = ", ".join(f"{name}={value}" for name, value in record.task.options.items())
    texts = {
        "machine": ", ".join(filter(None, [machine.host_text, model])),
        "command": shlex.join(["harness", *record.command]),
        "options": options,
        "time": f"{record.seconds / 60:.1f} min, certification excluded",
    }
    return {name: one_line(text) for name, text in texts.items() if text}
