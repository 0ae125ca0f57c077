"""What a gate came to, to everyone who asked: files, the job's page, standard output."""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.ending import complain, forget
from harness.errors import HarnessError
from harness.gate.record import GateRecord
from harness.report.ci import github, targets
from harness.report.gate import gate_text


def deliver(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    """Each output by itself: one that cannot be written costs none of the others, and not the verdict.

    Raises:
        HarnessError: a file that was asked for could not be written.
    """
    missing = []
    for target in options["targets"]:
        try:
            targets.write_gate(record, target, options["inconclusive"])
        except OSError as error:
            missing.append(f"{target} cannot be written: {error.strerror}")
    try:
        github.add_to_step_summary(record, os.environ)
    except OSError as error:
        complain(f"GITHUB_STEP_SUMMARY cannot be written: {error.strerror}")
    put(lambda: _print(record, path, options), path)
    if missing:
        raise HarnessError("; ".join(missing))


def put(write: Callable[[], None], path: Path) -> None:
    """Write to standard output, where that can be written; ``path`` has the same for good."""
    try:
        write()
        sys.stdout.flush()
    except OSError as error:
        forget(sys.stdout)
        if error.errno != errno.EPIPE:  # a reader that left wants no more words
            complain(f"output cannot be written: {error.strerror}; see {path}")


def _print(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    if options["form"] == "json":
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
        return
    click.echo(gate_text(record))
    click.echo(f"\nRecord: {path}")
    if github.annotates(os.environ):
        click.echo("\n".join(github.annotations(record, options["inconclusive"])))
