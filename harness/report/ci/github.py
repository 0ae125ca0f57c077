"""What GitHub Actions reads beside files: annotations on standard output, and the job's summary."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.gate.folding import Inconclusive, forgiven
from harness.gate.record import GateRecord
from harness.report.ci.summary import gate_markdown
from harness.report.escaping import for_github_message, for_github_property, one_line
from harness.report.gate_advice import what_next
from harness.report.gate_words import headline, not_passed, why


def annotations(record: GateRecord, inconclusive: Inconclusive = None) -> Iterator[str]:
    """A workflow command for each benchmark that did not pass, or for a gate that has none to blame."""
    left = not_passed(record)
    for benchmark in left:
        error = benchmark.verdict == "FAIL" or (
            inconclusive is not None and not forgiven(benchmark, inconclusive)
        )
        title = f"{benchmark.verdict}: {one_line(benchmark.name)}"
        yield _command(error, title, f"{why(benchmark)}. {what_next(record, benchmark)}")
    if not left and record.verdict != "PASS":
        yield _command(record.verdict == "FAIL" or inconclusive is not None, "harness gate", headline(record))


def _command(error: bool, title: str, message: str) -> str:
    kind = "error" if error else "warning"
    return f"::{kind} title={for_github_property(title)}::{for_github_message(message)}"


def add_to_step_summary(record: GateRecord, environment: Mapping[str, str]) -> None:
    """Append the Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, where it names one.

    Raises:
        OSError: it cannot be written.
    """
    name = environment.get("GITHUB_STEP_SUMMARY")
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(gate_markdown(record))


def annotates(environment: Mapping[str, str]) -> bool:
    """Whether a runner reads this process's output for workflow commands."""
    return environment.get("GITHUB_ACTIONS") == "true"
