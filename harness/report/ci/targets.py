"""Which file a gate is written into, by the ending of its name."""

from collections.abc import Callable
from pathlib import Path

from harness.errors import UsageError
from harness.gate.folding import Inconclusive
from harness.gate.record import GateRecord
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


def known_target(path: Path) -> None:
    """Prove that a gate can be written to a path, before anything is measured.

    Raises:
        UsageError: its ending says no kind, its folder cannot be written in, or a library for it is missing.
    """
    if path.suffix not in KINDS:
        kinds = ", ".join(f"{ending} ({what})" for ending, what in KINDS.items())
        raise UsageError(f"--to {path}: the ending says what to write: {kinds}")
    if not path.parent.is_dir():
        raise UsageError(f"--to {path}: there is no folder {path.parent}")
    try:
        prove_writable(path.parent)
    except OSError as error:
        raise UsageError(f"--to {path} cannot be written: {error.strerror}") from error
    if path.suffix == ".html":
        try:
            import harness.report.gate_page  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f'--to {path.name} needs what the extra "report" brings ({error.name or error}): '
                'pip install "dl-harness[report]"'
            ) from error


def write_gate(record: GateRecord, path: Path, inconclusive: Inconclusive = None) -> None:
    """Write a gate in the form that the path's ending says, whole or not at all.

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
    from harness.report.gate_page import gate_page  # charts stand behind it

    return gate_page(record).encode()
