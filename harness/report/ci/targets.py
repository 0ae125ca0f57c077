"""The files that a gate is written to; the suffix selects the format."""

from collections.abc import Callable
from pathlib import Path

from harness.errors import UsageError
from harness.gate.record import GateRecord, Inconclusive
from harness.machine.files import prove_writable, replace_file
from harness.report.ci.bencher import bencher_json
from harness.report.ci.junit import junit_xml
from harness.report.ci.openmetrics import openmetrics_text
from harness.report.ci.summary import gate_markdown

KINDS = {
    ".xml": "JUnit",
    ".md": "summary of a pull request",
    ".html": "report",
    ".txt": "OpenMetrics",
    ".json": "Bencher Metric Format",
}


def check_target(path: Path) -> None:
    """Check that a gate can be written to a path, before anything is measured.

    Raises:
        UsageError: the suffix is unknown, the folder cannot be written to, or a library is missing.
    """
    if path.suffix not in KINDS:
        kinds = ", ".join(f"{ending} ({what})" for ending, what in KINDS.items())
        raise UsageError(f"--to {path}: unknown suffix; use {kinds}")
    if not path.parent.is_dir():
        raise UsageError(f"--to {path}: the folder {path.parent} does not exist")
    try:
        prove_writable(path.parent)
    except OSError as error:
        raise UsageError(f"--to {path}: cannot write to {path.parent}: {error.strerror}") from error
    if path.suffix == ".html":
        try:
            import harness.report.gate_page  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f'--to {path.name} needs the extra "report" ({error.name or error} is missing): '
                'pip install "dl-harness[report]"'
            ) from error


def write_gate(record: GateRecord, path: Path, inconclusive: Inconclusive = None) -> None:
    """Write a gate in the format of the suffix, completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    forms: dict[str, Callable[[], bytes]] = {
        ".xml": lambda: junit_xml(record, inconclusive),
        ".md": lambda: gate_markdown(record).encode(),
        ".html": lambda: _page(record),
        ".txt": lambda: openmetrics_text(record).encode(),
        ".json": lambda: bencher_json(record),
    }
    replace_file(path, forms[path.suffix]())


def _page(record: GateRecord) -> bytes:
    from harness.report.gate_page import gate_page  # imports the charts

    return gate_page(record).encode()
