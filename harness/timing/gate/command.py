"""``harness gate``: compare HEAD with a base commit, with an exit code for CI."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.core.documents.results import prepare_folder
from harness.core.plugins import registry
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import choose_dataset
from harness.core.shell import options as shared
from harness.core.shell.ending import INTERRUPTED, deliver
from harness.core.shell.paths import InputFile
from harness.core.shell.printing import discard, echo_workflow_commands, print_error, print_error_line
from harness.core.shell.progress import shown_progress
from harness.errors import HarnessError, UsageError
from harness.timing.environments.commits import pair_of_commits
from harness.timing.environments.environment import Environment, EnvironmentPair, pair_of_interpreters
from harness.timing.environments.options import own_file
from harness.timing.environments.requirements import pair_of_requirements, requirements_of
from harness.timing.environments.suite import Suite
from harness.timing.environments.suite_file import find_suite, read_suite
from harness.timing.gate import ci_formats
from harness.timing.gate.display import GateDisplay
from harness.timing.gate.record import GATES, GateRecord, Inconclusive, Upgrade, Verdict, folded
from harness.timing.gate.runner import Gate, GateRequest


def deliver_gate(record: GateRecord, path: Path, options: Mapping[str, Any]) -> None:
    """Write every output. A failed output costs neither the others nor the verdict.

    Raises:
        HarnessError: a file of ``--to`` could not be written.
    """
    failures = []
    for target in options["targets"]:
        try:
            ci_formats.write_gate(record, target, options["inconclusive"])
        except OSError as error:
            failures.append(f"cannot write {target}: {error.strerror}")
    try:
        ci_formats.add_to_step_summary(record, os.environ)
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
    deliver(GATES, record, path, options)
    if options["form"] != "json" and ci_formats.annotates(os.environ):
        echo_workflow_commands(ci_formats.annotations(record, options["inconclusive"]))


_EXIT_CODES: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}


@click.command()
@shared.suite
@click.option(
    "--base",
    metavar="REF",
    help="Base commit, branch or tag. Base and head are installed with pip into new virtual environments; "
    "head is the working tree.",
)
@shared.python("base", "Interpreter of a virtual environment with the base version, in place of --base.")
@shared.python("head", "Interpreter of head. Default: the one that runs this command. Not with --base.")
@click.option(
    "--base-install",
    metavar="REQUIREMENTS",
    help="In place of --base, what pip installs into a new environment for base, such as torch==2.8.0 or "
    "jax==0.5.3,jaxlib==0.5.3. harness upgrade does the same for one step or task.",
)
@click.option("--head-install", metavar="REQUIREMENTS", help="The same for head.")
@own_file
@click.option(
    "--base-suite",
    type=InputFile(),
    help="Suite of the base version. A benchmark that only base has fails. Default with --base: the suite "
    "in the base commit.",
)
@shared.variables("base", "Environment variable of base only; repeatable.")
@shared.variables("head", "Environment variable of head only; repeatable.")
@shared.choice(
    "--inconclusive",
    of=("pass", "fail"),
    text="Count INCONCLUSIVE as PASS or FAIL. Default: exit code 3. INVALID stays INVALID, and a benchmark "
    "whose whole interval is beyond its limit is never counted as PASS.",
)
@shared.budget(
    "Start no pair after this time, such as 90s or 10m. Default: until every benchmark is decided, and at "
    "most 5 minutes for each that the quick check does not decide."
)
@shared.percentage(
    "--expect-faster",
    "Verify a claimed speed-up: PASS only where head is proven to save at least this share of the "
    "step time, such as 10%, with the same values; FAIL where it is proven to save less.",
    example="10%",
)
@shared.turns("Timed blocks of base and of head in a pair. Default: 10 to 60, more where blocks are shorter.")
@shared.profile(
    "Profile one more process of base and of head for each benchmark: the operations that changed most. "
    "Without it, for benchmarks whose step time fails."
)
@shared.targets(
    "Also write the result to FILE; repeatable. The ending is the format: .xml (JUnit), .md (summary), "
    ".html (report), .txt (OpenMetrics), .json (Bencher)."
)
@shared.output
@shared.plugin
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compare HEAD with a base commit: speed, memory and quality.

    Each benchmark of the suite gets a verdict: PASS (within its limits), FAIL (worse than base),
    INCONCLUSIVE (more time would decide) or INVALID (the measurement cannot be trusted). The verdict of
    the suite is the worst of them: FAIL, INVALID, INCONCLUSIVE, PASS.

    Base and head are two virtual environments on this machine. First their losses are compared in
    float64. Then fresh processes of both run in turn: a quick check of a few pairs of each benchmark,
    then more of those that are not decided. Step time, first step and peak memory are compared.

    \b
      harness gate --base main --suite gate.toml
      harness gate --base-python base/bin/python --head-python head/bin/python --to junit.xml

    Exit code: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID, 2 on wrong input or if the gate could not run,
    130 after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    for target in options["targets"]:
        ci_formats.check_target(target)
    _check_base(options)
    ctx.exit(exit_code_of(lambda display: _run(options, display), quiet=options["quiet"]))


def exit_code_of(run: Callable[[GateDisplay], int], *, quiet: bool) -> int:
    """Return the exit code of a gate; an error must not look like FAIL.

    Raises:
        UsageError: the gate could not run.
    """
    try:
        with GateDisplay(quiet=quiet) as display:
            return run(display)
    except HarnessError as error:
        raise UsageError(str(error)) from error
    except Exception:  # noqa: BLE001
        print_error_line(traceback.format_exc())
        return UsageError.exit_code


def _check_base(options: dict[str, Any]) -> None:
    """Refuse options that do not name one base."""
    given = [name for name in ("base", "base_python", "base_install") if options[name]]
    if len(given) != 1:
        raise UsageError(
            "give one base: --base REF, --base-python BASE/bin/python, or --base-install with --head-install"
        )
    if options["head_python"] and not options["base_python"]:
        raise UsageError(f"--{given[0].replace('_', '-')} makes both environments; leave out --head-python.")
    if options["own_file"] and not options["base"]:
        raise UsageError("--own-file is for --base REF: without commits, both sides run the same file")
    if bool(options["base_install"]) != bool(options["head_install"]):
        raise UsageError("--base-install and --head-install belong together")


def _run(options: dict[str, Any], display: GateDisplay) -> int:
    """Run the gate and deliver its results; return the exit code."""
    suite = _with_claim(read_suite(options["suite"] or find_suite()), options["expect_faster"])
    if not options["base_install"]:
        with _environments(options, suite, display) as pair:
            return carried_out(suite, pair, options, display)
    base = requirements_of(options["base_install"], "--base-install")
    head = requirements_of(options["head_install"], "--head-install")
    with pair_of_requirements(suite, base, head, (), display) as pair:
        return carried_out(suite, pair, options, display, Upgrade(base, head))


def carried_out(
    suite: Suite,
    pair: EnvironmentPair,
    options: Mapping[str, Any],
    display: GateDisplay,
    upgrade: Upgrade | None = None,
) -> int:
    """Run a gate of this suite and deliver its results; return the exit code."""
    folder = prepare_folder(options["results"] / GATES.folder)
    request = GateRequest(
        command=sys.argv[1:],
        suite=suite,
        base=pair.base,
        head=pair.head,
        datasets=_datasets(suite, quiet=options["quiet"]),
        vanished=pair.vanished or (),
        unwatched="" if pair.vanished is not None else "base's suite is unknown (give --base-suite FILE)",
        budget_seconds=options["budget"],
        turns=options["turns"],
        profile=options["profile"],
        upgrade=upgrade,
    )
    gate = Gate(request, folder, display)
    record = gate.carry_out()
    display.stop()
    deliver_gate(record, gate.path, options)
    return _exit_code(record, options["inconclusive"])


def _with_claim(suite: Suite, saving: float | None) -> Suite:
    """Set ``--expect-faster`` as the ``min_speedup`` of each benchmark."""
    if saving is None:
        return suite
    benchmarks = (
        msgspec.structs.replace(
            each, limits=msgspec.structs.replace(each.limits, min_speedup=saving, max_speedup=None)
        )
        for each in suite.benchmarks
    )
    return msgspec.structs.replace(suite, benchmarks=tuple(benchmarks))


@contextlib.contextmanager
def _environments(options: dict[str, Any], suite: Suite, display: GateDisplay) -> Iterator[EnvironmentPair]:
    if options["base"] is None:
        base = Environment(label="base", python=options["base_python"], variables=options["base_env"])
        head_python = options["head_python"] or sys.executable
        head = Environment(label="head", python=head_python, variables=options["head_env"])
        yield pair_of_interpreters(suite, base, head, options["base_suite"])
        return

    with pair_of_commits(
        suite, options["base"], options["base_suite"], display, suite_was_named=options["suite"] is not None
    ) as pair:
        files = (pair.head.folder,) if options["own_file"] else ()
        variables = pair.base.variables | options["base_env"]
        yield pair._replace(
            base=msgspec.structs.replace(pair.base, variables=variables, files=files),
            head=msgspec.structs.replace(pair.head, variables=pair.head.variables | options["head_env"]),
        )


def _datasets(suite: Suite, *, quiet: bool) -> list[DatasetRecord]:
    with shown_progress(quiet=quiet) as progress:
        return [
            DatasetRecord("")
            if benchmark.step  # which has its own data
            else choose_dataset(registry.task(benchmark.task), benchmark.dataset, progress)
            for benchmark in suite.benchmarks
        ]


def _exit_code(record: GateRecord, inconclusive: Inconclusive) -> int:
    if record.status == "interrupted":
        return INTERRUPTED
    if record.status == "failed" and record.verdict != "FAIL":  # what failed before then has failed
        return UsageError.exit_code
    return _EXIT_CODES[folded(record, inconclusive)]
