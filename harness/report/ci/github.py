"""What GitHub Actions reads in addition to files: annotations on standard output, and the job summary."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.gate.record import GateRecord, Inconclusive, Judged, forgiven
from harness.report.ci.summary import gate_markdown
from harness.report.escaping import for_github_message, for_github_property, one_line
from harness.report.gate_advice import advice
from harness.report.gate_words import headline, not_passed, why


def annotations(record: GateRecord, inconclusive: Inconclusive = None) -> Iterator[str]:
    """A workflow command for each benchmark that did not pass, or for the gate itself where all passed.

    FAIL and INVALID are errors. INCONCLUSIVE is a warning, and an error where it counts as a failure.
    """
    benchmarks = not_passed(record)
    for benchmark in benchmarks:
        title = f"{benchmark.verdict}: {one_line(benchmark.name)}"
        message = f"{why(benchmark)}. {' '.join(advice(record, benchmark))}"
        yield _command(_is_error(benchmark, inconclusive), title, message.rstrip())
    if not benchmarks and record.verdict != "PASS":
        error = record.verdict != "INCONCLUSIVE" or inconclusive is not None
        yield _command(error, f"{record.verdict}: harness gate", headline(record))


def _is_error(judged: Judged, inconclusive: Inconclusive) -> bool:
    if judged.verdict == "INCONCLUSIVE" and inconclusive is None:
        return False
    return not forgiven(judged, inconclusive)


def _command(error: bool, title: str, message: str) -> str:
    kind = "error" if error else "warning"
    return f"::{kind} title={for_github_property(title)}::{for_github_message(message)}"


def add_to_step_summary(record: GateRecord, environment: Mapping[str, str]) -> None:
    """Append the Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, if it is set.

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
