"""The answer of a gate: its outputs and its exit code, which come whatever happens to the gate."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.core.documents.kinds import Status, stamp
from harness.core.machine.description import describe_machine
from harness.core.shell.ending import INTERRUPTED, deliver
from harness.core.shell.options import OutputOptions
from harness.core.shell.printing import (
    discard,
    echo,
    echo_json,
    echo_workflow_commands,
    print_error,
    print_error_line,
)
from harness.errors import HarnessError, UsageError, interruption
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.environments.suite import Suite
from harness.timing.gate import ci_formats
from harness.timing.gate.display import GateDisplay
from harness.timing.gate.keep import RecordBranch
from harness.timing.gate.record import GATES, GateRecord, Inconclusive, Verdict, folded

_EXIT_CODES: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}
_COMMIT_DIGITS = 12
_UNKNOWN = EnvironmentRecord(python="", harness="")


@dataclass(frozen=True, kw_only=True)
class GateOptions(OutputOptions):
    """The values of the options of commands that run a gate; one with a default is not an option of all."""

    targets: tuple[Path, ...]
    budget: float | None
    turns: int | None
    profile: bool
    inconclusive: Inconclusive = None
    expect_faster: float | None = None


class Answer:
    """The answer of one command: a record with a final status, in every output that ``options`` ask for.

    ``suite`` is the file of the suite, once it is known, and ``record`` that of the gate, once it begins.
    ``branch`` keeps the record of a gate that was not interrupted.
    """

    def __init__(self, options: GateOptions) -> None:
        self._options = options
        self.suite = ""
        self.record: GateRecord | None = None
        self.branch: RecordBranch | None = None
        self._is_given = False

    def give(self, record: GateRecord) -> int:
        """Print a record and write its other outputs; return the exit code.

        A failed output costs neither the others nor the verdict.
        """
        failures = self._write(record)
        self._print(lambda: deliver(GATES, record, self._path(record), self._options), record)
        self._is_given = True
        self._keep(record)
        if failures:
            raise HarnessError("; ".join(failures))
        return exit_code(record, self._options.inconclusive)

    def end(self, status: Status, error: BaseException, failure: str = "") -> None:
        """Give the answer of a gate that ``error`` ended, or kept from beginning, unless it was given.

        Wrong input leaves a record only where another output names it, and without any output the message is
        all.
        """
        is_named = self._options.targets or os.environ.get("GITHUB_STEP_SUMMARY")
        is_shown = self._options.form == "json" or ci_formats.annotates(os.environ)
        is_refused = isinstance(error, UsageError)
        if self._is_given or (is_refused and self.record is None and not is_named and not is_shown):
            return
        try:
            record = self.record or self._unmade()
            if record.status == "running":
                record.status, record.failure = status, failure or str(error)
            if is_named or self._path(record).exists() or not is_refused:
                self._save(record)
            for text in self._write(record):
                print_error(text)
            self._print(lambda: self._print_document(record), record)
        except Exception:  # noqa: BLE001  the error that ended the gate decides the exit code
            print_error_line(traceback.format_exc())

    def _save(self, record: GateRecord) -> None:
        try:
            GATES.save(record, self._options.results / GATES.folder)
        except HarnessError as error:
            print_error(str(error))

    def _unmade(self) -> GateRecord:
        """Return the record of a gate of which neither base nor head is known."""
        identifier, started_at = stamp("gate")
        return GateRecord(
            id=identifier,
            started_at=started_at,
            machine=describe_machine(),
            command=sys.argv[1:],
            suite=self.suite,
            base=_UNKNOWN,
            head=_UNKNOWN,
            false_alarms=Suite(file="", benchmarks=()).false_alarms,
        )

    def _keep(self, record: GateRecord) -> None:
        """Add the record to the branch, if there is one, and state it; a failure costs nothing else."""
        if self.branch is None or record.status == "interrupted" or not self._path(record).exists():
            return
        base, head = record.base.commit, record.head.commit
        sides = f" of {head[:_COMMIT_DIGITS]} against {base[:_COMMIT_DIGITS]}" if base and head else ""
        title = f"gate: {record.verdict}{sides}"
        kept = self.branch.keep(GATES, record, self._options.results, title)
        if kept.failure:
            print_error(str(kept))
        else:
            with contextlib.suppress(OSError):
                echo(str(kept), err=self._options.form == "json")

    def _path(self, record: GateRecord) -> Path:
        return self._options.results / GATES.folder / f"{record.id}.json"

    def _write(self, record: GateRecord) -> list[str]:
        """Write the files and the summary of the job; return why files of ``--to`` could not be written."""
        failures = []
        for target in self._options.targets:
            try:
                ci_formats.write_gate(record, target, self._options.inconclusive)
            except OSError as error:
                failures.append(f"cannot write {target}: {error.strerror}")
        try:
            ci_formats.add_to_step_summary(record, os.environ)
        except OSError as error:
            print_error(f"cannot write GITHUB_STEP_SUMMARY: {error.strerror}")
        return failures

    def _print(self, document: Callable[[], None], record: GateRecord) -> None:
        """Print the document, and the annotations for GitHub."""
        try:
            document()
            if self._options.form != "json" and ci_formats.annotates(os.environ):
                echo_workflow_commands(ci_formats.annotations(record, self._options.inconclusive))
            sys.stdout.flush()
        except OSError as error:
            discard(sys.stdout)
            if error.errno != errno.EPIPE:  # a reader that closed the pipe needs no message
                where = self._path(record)
                print_error(f"cannot write the output: {error.strerror}; it is in {where}")

    def _print_document(self, record: GateRecord) -> None:
        """Print the record as JSON if it was asked for; the error message stands for any other form."""
        if self._options.form == "json":
            echo_json(msgspec.json.encode(record))


def answered(run: Callable[[GateDisplay, Answer], int], options: GateOptions) -> int:
    """Run a gate and return its exit code. An error is never taken for FAIL, and every output is written."""
    for target in options.targets:
        ci_formats.check_target(target)
    answer = Answer(options)
    try:
        with GateDisplay(quiet=options.quiet) as display:
            return run(display, answer)
    except KeyboardInterrupt as interrupt:
        answer.end("interrupted", interrupt, interruption(interrupt))
        raise
    except HarnessError as error:
        answer.end("failed", error)
        raise UsageError(str(error)) from error
    except Exception as error:  # noqa: BLE001
        print_error_line(traceback.format_exc())
        answer.end("failed", error, f"{type(error).__name__}: {error}")
        return UsageError.exit_code


def exit_code(record: GateRecord, inconclusive: Inconclusive) -> int:
    """Return the exit code of a gate."""
    if record.status == "interrupted":
        return INTERRUPTED
    if record.status == "failed" and record.verdict != "FAIL":  # what failed before then has failed
        return UsageError.exit_code
    return _EXIT_CODES[folded(record, inconclusive)]
