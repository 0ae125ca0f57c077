"""``harness bisect``: the commit or version that made a step slower, larger or different."""

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from harness.core.documents.kinds import stamp
from harness.core.documents.numbers import counted
from harness.core.documents.results import prepare_folder
from harness.core.machine.description import describe_machine
from harness.core.plugins import registry
from harness.core.runs.request import choose_dataset
from harness.core.shell import options as shared
from harness.core.shell.console import LiveLine
from harness.core.shell.ending import code_of, deliver
from harness.core.shell.parameters import Number, split_names
from harness.core.shell.progress import shown_progress
from harness.errors import UsageError, unknown_name
from harness.timing.bisect.findings import culprits_of, ratio_of
from harness.timing.bisect.page import ratio_text, search_text
from harness.timing.bisect.places import Commits, Versions
from harness.timing.bisect.record import BISECTIONS, BisectRecord
from harness.timing.bisect.runner import Bisection, unfinished
from harness.timing.engine.steps.options import StepOptions, step_options
from harness.timing.engine.steps.process import StepTarget
from harness.timing.environments.options import own_file, own_step, refuse_step_options, step_benchmark
from harness.timing.environments.suite import Benchmark
from harness.timing.environments.suite_file import find_suite, read_suite
from harness.timing.gate.metric_table import metrics

_UNDECIDED = 3


@dataclass(frozen=True, kw_only=True)
class Given(StepOptions, shared.OutputOptions):
    """The values of the options of ``harness bisect``."""

    good: str
    bad: str | None
    step: str | None
    benchmark: str | None
    suite: Path | None
    metric: str
    packages: list[str]
    others: tuple[str, ...]
    source: str
    own_file: bool
    within: float
    probability: float
    budget: float
    turns: int | None
    again: bool


class BisectDisplay(LiveLine):
    """The display of a bisection on standard error: its activity, and the search after each pair."""

    def probed(self, record: BisectRecord, candidate: int) -> None:
        """Show a value: see :class:`harness.timing.bisect.runner.BisectObserver`."""
        name = record.candidates[candidate].name
        if record.skipped and record.skipped[-1].candidate == candidate:
            self.say(f"{name}: skipped: {record.skipped[-1].reason}")
            return
        if record.metric == "values":
            text = "same values" if record.returned[-1].is_same else "other values"
            left = len(culprits_of(record)[0])  # 0 where good and bad return the same
            self.say(f"{name}: {text}" + f"; {counted(left, 'candidate')} left" * bool(left))
            return
        change = ratio_text(record, ratio_of(record, candidate))
        self.say(f"{name}: {change}" + (f"; {state}" if (state := search_text(record)) else ""))


@click.command()
@click.option("--good", required=True, metavar="REF", help="Commit or version without the change.")
@click.option("--bad", metavar="REF", help="One with it. Default: HEAD.")
@own_step
@click.option("--benchmark", metavar="NAME", help="In place of --step, a benchmark of the suite.")
@shared.suite
@step_options
@shared.choice(
    "--metric",
    of=(*metrics(), "values"),
    default="step",
    text="What changed. values: what the first calls return.",
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    help="Search the released versions of a package, or of several that move together, instead of commits.",
)
@shared.others
@click.option(
    "--source",
    default="",
    metavar="REQUIREMENT",
    help="What pip installs of each commit, such as '.'. Default: nothing; a commit's files come first on "
    "the path of this interpreter, which is enough for a pure-Python package.",
)
@own_file
@shared.threads
@shared.device
@shared.seed
@click.option(
    "--within",
    type=Number(min=0.1, max=100),
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="Good and bad are the same if they are shown to differ by less than this.",
)
@click.option(
    "--probability",
    type=Number(min=0.5, max=0.9999),
    default=0.95,
    show_default=True,
    help="Of the culprit, that ends the search.",
)
@shared.budget("Start no pair after this time, installations excluded.", "30m")
@shared.turns()
@click.option("--again", is_flag=True, help="Start again instead of resuming an unfinished search.")
@shared.output
@shared.given_as(Given)
def command(ctx: click.Context, options: Given) -> None:
    """Find the commit or version that changed a step.

    Good and bad are compared first. If they differ, good is timed beside one candidate after another, each
    time the one that narrows the search most, until one is the culprit with --probability. Repeat the
    command to go on with an interrupted or undecided search.

    \b
      harness bisect --good v1.0 --bad HEAD --step bench.py:make_step
      harness bisect --good v1.0 --benchmark train --metric memory
      harness bisect --package torch --good 2.6 --bad 2.13 --step bench.py:make_step

    Exit code: 0 culprit found or no difference, 3 undecided, 1 the search failed, 2 on wrong input, 130 after
    Ctrl-C (what was measured is kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    folder = prepare_folder(options.results / BISECTIONS.folder)
    with BisectDisplay(quiet=options.quiet) as display, contextlib.ExitStack() as stack:
        bisection = _bisection(options, folder, stack, display)
        record = bisection.carry_out()
    # Not "last": a search that is gone on with may be older than other records.
    deliver(BISECTIONS, record, bisection.path, options, page_of=record.id)
    ctx.exit(code_of(record.status, ok=_UNDECIDED if record.outcome == "undecided" else 0))


def _bisection(
    options: Given, folder: Path, stack: contextlib.ExitStack, display: BisectDisplay
) -> Bisection:
    benchmark = _benchmark(options)
    if options.metric == "values" and not benchmark.step:
        raise UsageError(
            "--metric values is for steps of your own; harness gate compares the losses of tasks"
        )
    packages = options.packages
    places = _places(options, benchmark, stack, display)
    candidates = places.candidates(options.good, options.bad or "HEAD")
    if len(candidates) < 2:  # noqa: PLR2004  good and bad
        raise UsageError("--good and --bad are the same")
    identifier, started_at = stamp("bisection")
    record = BisectRecord(
        id=identifier,
        started_at=started_at,
        command=sys.argv[1:],
        machine=describe_machine(),
        kind="version" if packages else "commit",
        metric=options.metric,
        benchmark=benchmark,
        same_within=options.within / 100,
        probability=options.probability,
        candidates=candidates,
        packages=packages,
        installed=[*options.others] or [options.source] * bool(options.source),
        file=_checksum(benchmark),
        own_file=options.own_file,
        turns=options.turns or 0,
    )
    earlier = None if options.again else unfinished(folder, record)
    if earlier is not None:
        display.say(f"going on with {earlier.id}: {len(earlier.probes) + len(earlier.returned)} values")
        if earlier.probability != record.probability:
            earlier.probability, earlier.confirmation = record.probability, []  # maybe of another culprit
        earlier.turns = record.turns or earlier.turns
    return Bisection(earlier or record, places, folder, display, options.budget)


def _places(
    options: Given,
    benchmark: Benchmark,
    stack: contextlib.ExitStack,
    display: BisectDisplay,
) -> Commits | Versions:
    packages = options.packages
    if not packages:
        if options.others:
            raise UsageError("--install is for --package; of commits pip installs --source")
        source, only = options.source, options.own_file
        return Commits(benchmark, stack, display, source=source, own_file=only)
    for option, value in {"--source": options.source, "--own-file": options.own_file}.items():
        if value:
            raise UsageError(f"{option} is for commits, not with --package")
    if not options.bad:
        raise UsageError("--package needs --bad VERSION")
    return Versions(benchmark, stack, display, packages, options.others)


def _checksum(benchmark: Benchmark) -> str:
    """Return the checksum of the file of the step; empty where it has none."""
    file = StepTarget(target=benchmark.step).file if benchmark.step else None
    return hashlib.sha256(file.read_bytes()).hexdigest() if file is not None and file.is_file() else ""


def _benchmark(options: Given) -> Benchmark:
    name, step = options.benchmark, options.step
    if name is None and step is not None:
        return step_benchmark(step, options, "harness bisect")
    if name is None or step is not None:
        raise UsageError("give either --step FILE.py:CALLABLE or --benchmark NAME of the suite")
    refuse_step_options(options, "a benchmark")
    suite = read_suite(options.suite or find_suite())
    named = {benchmark.name: benchmark for benchmark in suite.benchmarks}
    if name not in named:
        raise unknown_name("benchmark", name, named)
    benchmark = named[name]
    if options.threads:
        benchmark = msgspec.structs.replace(benchmark, threads=options.threads)
    if benchmark.step:
        return benchmark
    with shown_progress(quiet=options.quiet) as progress:
        dataset = choose_dataset(registry.task(benchmark.task), benchmark.dataset, progress)
    return msgspec.structs.replace(benchmark, dataset=dataset.name)
