"""What a gate came to, to everyone who asked: files, the job's page, standard output."""

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.ending import forget_output
from harness.errors import HarnessError
from harness.gate.record import GateRecord
from harness.report.ci import github, targets
from harness.report.gate import gate_text


def tell(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
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
        click.echo(f"harness: GITHUB_STEP_SUMMARY cannot be written: {error.strerror}", err=True)
    try:
        _print(record, path, options)
        sys.stdout.flush()
    except OSError as error:
        forget_output()
        if error.errno != errno.EPIPE:  # a reader that left wants no more words
            click.echo(f"harness: output cannot be written: {error.strerror}; see {path}", err=True)
    if missing:
        raise HarnessError("; ".join(missing))


def _print(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    if options["form"] == "json":
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
        return
    click.echo(gate_text(record))
    click.echo(f"\nRecord: {path}")
    if github.annotates(os.environ):
        click.echo("\n".join(github.annotations(record, options["inconclusive"])))
