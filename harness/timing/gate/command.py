"""``harness gate``: compare HEAD with a base commit, with an exit code for CI."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from harness.core.documents.results import prepare_folder
from harness.core.plugins import registry
from harness.core.runs.record import DatasetRecord
from harness.core.runs.request import choose_dataset
from harness.core.shell import options as shared
from harness.core.shell.paths import InputFile
from harness.core.shell.progress import shown_progress
from harness.errors import UsageError
from harness.timing.environments.commits import pair_of_commits
from harness.timing.environments.earlier_suite import suite_in_force
from harness.timing.environments.environment import Environment, EnvironmentPair, of_interpreters
from harness.timing.environments.requirements import pair_of_requirements, requirements_of
from harness.timing.environments.suite import Suite
from harness.timing.environments.suite_file import find_suite, read_suite
from harness.timing.gate.answer import Answer, GateOptions, answered
from harness.timing.gate.display import GateDisplay
from harness.timing.gate.keep import RecordBranch
from harness.timing.gate.record import GATES, Upgrade
from harness.timing.gate.runner import Gate, GateRequest


@dataclass(frozen=True, kw_only=True)
class Given(GateOptions):
    """The values of the options of ``harness gate``."""

    suite: Path | None
    base: str | None
    base_python: str | None
    head_python: str | None
    base_install: str | None
    head_install: str | None
    base_suite: Path | None
    keep: str | None
    base_env: dict[str, str]
    head_env: dict[str, str]


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
@click.option(
    "--base-suite",
    type=InputFile(),
    help="Suite of the base version, which sets the limits. A benchmark that only base has fails. Default "
    "with --base: the suite in the base commit.",
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
    "Profile more processes of base and of head for each benchmark: the operations that changed. "
    "Without it, for benchmarks whose step time fails."
)
@shared.targets(
    "Also write the result to FILE; repeatable. The ending is the format: .xml (JUnit), .md (summary), "
    ".html (report), .json (Bencher)."
)
@click.option(
    "--keep",
    metavar="BRANCH",
    help="Commit the record to BRANCH, which has nothing but records, and push it to the remote, if there is "
    "one. The working tree is not touched, and parallel jobs do not conflict. harness history --kept BRANCH "
    "reads them.",
)
@shared.output
@shared.plugin
@shared.given_as(Given)
def command(ctx: click.Context, options: Given) -> None:
    """Compare HEAD with a base commit: speed, memory and quality.

    Each benchmark of the suite gets a verdict: PASS (within its limits), FAIL (worse than base),
    INCONCLUSIVE (more time would decide) or INVALID (the measurement cannot be trusted). The verdict of
    the suite is the worst of them: FAIL, INVALID, INCONCLUSIVE, PASS.

    Base and head are two virtual environments on this machine. First their losses are compared in
    float64. Then fresh processes of both run in turn: a quick check of a few pairs of each benchmark,
    then more of those that are not decided. Step time, first step and peak memory are compared.

    \b
      harness gate --base main --suite gate.toml
      harness gate --base HEAD^1 --keep records --to gate.html
      harness gate --base-python base/bin/python --head-python head/bin/python --to junit.xml

    Exit code: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID, 2 on wrong input or if the gate could not run,
    130 after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    ctx.exit(answered(lambda display, answer: _run(options, display, answer), options))


def _check_base(options: Given) -> None:
    bases = {
        "--base": options.base,
        "--base-python": options.base_python,
        "--base-install": options.base_install,
    }
    given = [name for name, value in bases.items() if value]
    if len(given) != 1:
        raise UsageError(
            "give one base: --base REF, --base-python BASE/bin/python, or --base-install with --head-install"
        )
    if options.head_python and not options.base_python:
        raise UsageError(f"{given[0]} makes both environments; leave out --head-python.")
    if bool(options.base_install) != bool(options.head_install):
        raise UsageError("--base-install and --head-install belong together")


def _run(options: Given, display: GateDisplay, answer: Answer) -> int:
    _check_base(options)
    if options.keep is not None:
        answer.branch = RecordBranch(Path.cwd(), options.keep)
        answer.branch.check()
    file = options.suite or find_suite()
    answer.suite = str(file)
    suite = read_suite(file)
    if options.base_install and options.head_install:
        base = requirements_of(options.base_install, "--base-install")
        head = requirements_of(options.head_install, "--head-install")
        with pair_of_requirements(suite, base, head, (), display) as pair:
            return carried_out(pair, options, display, answer, Upgrade(base, head))
    with _environments(options, suite, display) as pair:
        return carried_out(pair, options, display, answer)


def carried_out(
    pair: EnvironmentPair,
    options: GateOptions,
    display: GateDisplay,
    answer: Answer,
    upgrade: Upgrade | None = None,
) -> int:
    """Run a gate of these environments and give its answer; return the exit code."""
    folder = prepare_folder(options.results / GATES.folder)
    in_force = pair.suite
    suite = _with_claim(in_force.suite, options.expect_faster)
    request = GateRequest(
        command=sys.argv[1:],
        suite=suite,
        suite_difference=in_force.difference,
        new=in_force.new,
        removed=in_force.removed,
        base=pair.base,
        head=pair.head,
        datasets=_datasets(suite, quiet=options.quiet),
        budget_seconds=options.budget,
        turns=options.turns,
        profile=options.profile,
        upgrade=upgrade,
    )
    gate = Gate(request, folder, display)
    answer.record = gate.record
    record = gate.carry_out()
    display.stop()
    return answer.give(record)


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
def _environments(options: Given, suite: Suite, display: GateDisplay) -> Iterator[EnvironmentPair]:
    if options.base is None:
        assert options.base_python is not None  # noqa: S101  see _check_base
        base = Environment(label="base", python=options.base_python, variables=options.base_env)
        head_python = options.head_python or sys.executable
        head = Environment(label="head", python=head_python, variables=options.head_env)
        in_force = suite_in_force(suite, options.base_suite)
        yield EnvironmentPair(*of_interpreters(base, head), in_force)
        return

    with pair_of_commits(
        suite,
        options.base,
        options.base_suite,
        display,
        suite_was_named=options.suite is not None,
    ) as pair:
        base, head = (
            msgspec.structs.replace(each, variables=each.variables | own)
            for each, own in ((pair.base, options.base_env), (pair.head, options.head_env))
        )
        yield EnvironmentPair(base, head, pair.suite)


def _datasets(suite: Suite, *, quiet: bool) -> list[DatasetRecord]:
    with shown_progress(quiet=quiet) as progress:
        return [
            DatasetRecord("")
            if benchmark.step  # which has its own data
            else choose_dataset(registry.task(benchmark.task), benchmark.dataset, progress)
            for benchmark in suite.benchmarks
        ]
