"""The results of a gate, delivered to files, the job's summary page and standard output."""

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.cli.messages import discard, print_error
from harness.cli.printing import echo, echo_json, echo_workflow_commands
from harness.errors import HarnessError
from harness.gate.record import GateRecord
from harness.report.ci import github, targets
from harness.report.gate import gate_text


def deliver(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    """Write every output. One that cannot be written costs neither the others nor the verdict.

    Raises:
        HarnessError: a file of ``--to`` could not be written.
    """
    failures = []
    for target in options["targets"]:
        try:
            targets.write_gate(record, target, options["inconclusive"])
        except OSError as error:
            failures.append(f"cannot write {target}: {error.strerror}")
    try:
        github.add_to_step_summary(record, os.environ)
    except OSError as error:
        print_error(f"cannot write GITHUB_STEP_SUMMARY: {error.strerror}")
    try:
        _print(record, path, options)
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if error.errno != errno.EPIPE:  # a reader that closed the pipe needs no message
            print_error(f"cannot write the output: {error.strerror}; it is in {path}")
    if failures:
        raise HarnessError("; ".join(failures))


def _print(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    if options["form"] == "json":
        echo_json(msgspec.json.encode(record))
        return
    echo(gate_text(record))
    echo(f"\nRecord: {path}")
    if github.annotates(os.environ):
        echo_workflow_commands(github.annotations(record, options["inconclusive"]))
