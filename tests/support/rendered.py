"""Documents of results, rendered: what a command prints or writes of a record or of findings."""

from harness.report.document import Document
from harness.report.duel import duel_document
from harness.report.gate import gate_document
from harness.report.history import history_document
from harness.report.render.html import html_page
from harness.report.render.markdown import markdown
from harness.report.render.terminal import terminal_text
from harness.report.runs.findings import findings_document
from harness.report.runs.record import record_document, runs_table, summary_document
from harness.report.study import study_document


def duel_page(record):
    return html_page(duel_document(record))


def gate_text(record, width=None):
    return terminal_text(gate_document(record), width)


def gate_page(record):
    return html_page(gate_document(record))


def gate_markdown(record):
    return markdown(gate_document(record))


def history_text(findings, width=None):
    return terminal_text(history_document(findings), width)


def history_page(findings):
    return html_page(history_document(findings))


def history_markdown(findings):
    return markdown(history_document(findings))


def findings_text(findings, width=160, peak_flops=None, *, verbose=False):
    return terminal_text(findings_document(findings, peak_flops), width, verbose=verbose)


def html_report(findings):
    return html_page(findings_document(findings))


def record_text(record, width=160):
    return terminal_text(record_document(record), width)


def runs_text(records, width=160):
    return terminal_text(Document("run", "Runs", [runs_table(records)]), width)


def run_summary(records, folder, width=160):
    return terminal_text(summary_document(records, folder), width)


def page_of_study(findings):
    return html_page(study_document(findings))
