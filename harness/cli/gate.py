"""``harness gate``: whether head got slower, hungrier or worse than base, as an exit code for CI."""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.data_progress import shown_progress
from harness.cli.ending import end_as_by_ctrl_c, tell
from harness.cli.gate_display import GateDisplay
from harness.cli.gate_outputs import deliver, put
from harness.cli.options import check_finite
from harness.cli.options import plugin as plugin_option
from harness.cli.side_options import interpreter, variables
from harness.errors import HarnessError, UsageError
from harness.gate import checkouts
from harness.gate.baseline import read_baseline
from harness.gate.conduct import Gate, GateRequest
from harness.gate.environments import Environment, held_against
from harness.gate.files import GATES
from harness.gate.folding import Inconclusive, folded
from harness.gate.record import GateRecord, Verdict
from harness.gate.stored import Alone, StoredGate, save_baseline
from harness.gate.suite import SUITE_FILES, Benchmark, Suite, benchmark_tables, read_suite
from harness.machine.description import describe_machine
from harness.plugins import registry
from harness.report.ci import targets
from harness.runs.data_choice import choose_dataset
from harness.runs.record import DatasetRecord
from harness.runs.store import prepare_folder

_EXIT_CODES: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
_SECONDS_A_BENCHMARK = 120.0
#: A look and the fewest fresh pairs that prove a loss, of one benchmark whose pairs take 15 s.
_FEWEST_SECONDS = 240.0
_BASES = ("base", "base-python", "baseline", "save-baseline")


@click.command(short_help="Hold head against base in CI: slower, hungrier, worse?")
@click.option(
    "--suite",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML file of the benchmarks. Default: gate.toml, else [tool.harness.gate] of pyproject.toml.",
)
@click.option("--base", metavar="REF", help="Make base from this commit and head from the working tree.")
@click.option("--base-python", metavar="PATH", help="Base's interpreter: its virtual environment.")
@click.option("--head-python", metavar="PATH", help="Head's interpreter. Default: this one.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A stored baseline in base's place: the weaker way, where base cannot run here.",
)
@click.option(
    "--save-baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Measure head alone and store that as a baseline, such as results/baselines/main.json.",
)
@click.option(
    "--base-suite",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The suite as base had it: a benchmark that is not in this one any more fails. With --base it is "
    "found in the commit.",
)
@click.option("--base-env", multiple=True, metavar="NAME=VALUE", help="A variable of base alone; repeatable.")
@click.option("--head-env", multiple=True, metavar="NAME=VALUE", help="A variable of head alone; repeatable.")
@click.option(
    "--inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="Fold INCONCLUSIVE into exit code 0 or 1. Default: 3. What was not measured, or cannot be "
    "believed, is never 0.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    callback=check_finite,
    metavar="SECONDS",
    help="Begin no pair after so long. Default: 120 for each benchmark, and 240 at least.",
)
@click.option("--turns", type=click.IntRange(min=2, max=1000),
              help="Blocks of each side in a pair. Default: 10 to 60, more of shorter ones.")  # fmt: skip
@click.option(
    "--to",
    "targets",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write junit.xml, summary.md, metrics.txt, bencher.json or gate.html; repeatable.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the records.",
)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Output.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress: the outcome alone.")
@plugin_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Say for each benchmark of a suite whether head is worse than base: PASS, FAIL or INCONCLUSIVE.

    Base and head are two virtual environments on this machine. Both must do the same maths; then
    fresh processes of both take turns, as in a duel: a few of each benchmark, more of what looks
    suspicious. Judged are the steady step, the first step, memory, and what is learnt.

    \b
      harness gate --base main --suite gate.toml
      harness gate --base-python base/bin/python --head-python head/bin/python --to junit.xml
      harness gate --save-baseline results/baselines/main.json
      harness gate --baseline results/baselines/main.json

    Exit code: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 2 when it was refused or could not be made, 130 after
    Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    end_as_by_ctrl_c()
    for target in options["targets"]:
        targets.known_target(target)
    _one_base(options)
    display = GateDisplay(quiet=options["quiet"])
    ctx.call_on_close(display.stop)
    try:
        code = _carry_out(options, display)
    except HarnessError as error:
        raise UsageError(str(error)) from error  # not 1, which says that head is worse
    except Exception:  # noqa: BLE001  a fault of the harness's own must not read so either
        display.stop()
        tell(traceback.format_exc())
        code = UsageError.exit_code
    ctx.exit(code)


def _carry_out(options: dict[str, Any], display: GateDisplay) -> int:
    """The exit code."""
    suite = read_suite(options["suite"] or _suite_file())
    folder = options["results"] / GATES
    prepare_folder(folder)
    if options["save_baseline"]:
        save_baseline(_alone(suite, options), options["save_baseline"], display)
        display.stop()
        baseline = options["save_baseline"]
        as_json = msgspec.json.encode({"baseline": str(baseline)}).decode()
        told = as_json if options["form"] == "json" else f"Baseline: {baseline}"
        put(lambda: click.echo(told), baseline)
        return 0
    if options["baseline"]:
        baseline = read_baseline(options["baseline"], describe_machine())
        stored = StoredGate(_alone(suite, options), baseline, folder, display)
        record, path = stored.carry_out(), stored.path
    else:
        with _environments(suite, options, display) as (base, head, gone):
            gate = Gate(_request(suite, base, head, gone, options), folder, display)
            record, path = gate.carry_out(), gate.path
    display.stop()
    deliver(record, path, options)
    return _exit_code(record, options["inconclusive"])


def _one_base(options: dict[str, Any]) -> None:
    """Of the ways to say what head is held against, exactly one; and what goes with it."""
    given = [f"--{name}" for name in _BASES if options[name.replace("-", "_")]]
    if len(given) != 1:
        told = f"{' and '.join(given)} are" if given else "nothing is"
        raise UsageError(
            f"what is head held against? {told} given, and one is wanted: --base REF, --base-python "
            "BASE/bin/python, or --baseline FILE (--save-baseline FILE makes one)"
        )
    if options["head_python"] and options["base"]:
        raise UsageError("--base makes both environments: leave --head-python out")
    if options["base_env"] and (options["baseline"] or options["save_baseline"]):
        raise UsageError(f"{given[0]} starts no process of base: leave --base-env out")
    if options["base_suite"] and (options["baseline"] or options["save_baseline"]):
        raise UsageError(f"{given[0]} has no suite of base's beside it: leave --base-suite out")
    if options["budget"] and (options["baseline"] or options["save_baseline"]):
        raise UsageError(f"{given[0]} makes a fixed number of processes: leave --budget out")
    if options["save_baseline"] and (options["targets"] or options["inconclusive"]):
        raise UsageError("--save-baseline judges nothing: leave --to and --inconclusive out")


def _suite_file() -> Path:
    for name in SUITE_FILES:
        if Path(name).is_file():
            return Path(name)
    raise UsageError("no suite: give --suite FILE, or write gate.toml (see the README, In CI)")


@contextlib.contextmanager
def _environments(
    suite: Suite, options: dict[str, Any], display: GateDisplay
) -> Iterator[tuple[Environment, Environment, tuple[Benchmark, ...] | None]]:
    """Base and head as they were named, or made from a repository; and what only base's suite has.

    None where that is not known.
    """
    before = _benchmarks_of(options["base_suite"])
    if options["base"] is None:
        gone = checkouts.missing(suite, before) if before else None
        base, head = held_against(*(_environment(label, options) for label in ("base", "head")))
        yield base, head, gone
        return
    top = checkouts.repository(Path.cwd())
    commit = checkouts.commit_of(top, options["base"])
    source = checkouts.Source(suite.source, checkouts.place_in_repository(Path.cwd()))

    def say(what: str) -> None:
        display.phase("environments", what)

    _leave_out_what_both_would_share(top, say)
    with (
        checkouts.checkout(top, commit) as tree,
        checkouts.head_environment(top, source, say) as head,
    ):
        base = checkouts.base_environment(tree, top, commit, source, say)
        yield (
            msgspec.structs.replace(base, variables=variables("--base-env", options["base_env"])),
            msgspec.structs.replace(head, variables=variables("--head-env", options["head_env"])),
            checkouts.missing(suite, before)
            if before
            else checkouts.vanished(suite, top, tree, None if options["suite"] else source.place),
        )


def _benchmarks_of(base_suite: Path | None) -> dict[str, Any]:
    """The tables of base's suite, where one is given."""
    if base_suite is None:
        return {}
    if found := benchmark_tables(base_suite):
        return found
    raise UsageError(f"--base-suite {base_suite} names no benchmark: give the suite as it was at base")


def _leave_out_what_both_would_share(top: Path, say: Callable[[str], None]) -> None:
    """A checkout's own files must not stand in for what is installed of base, nor of head."""
    for file in os.environ.get(registry.PLUGIN_FILES_VARIABLE, "").split(os.pathsep):
        if file and Path(file).is_relative_to(top):
            raise UsageError(
                f"--plugin {file} is of this checkout, and base would load it too: make it part of what is "
                "installed (an entry point), or give two environments with --base-python and --head-python"
            )
    if path := os.environ.pop("PYTHONPATH", None):
        say(f"PYTHONPATH={path} is left out, so that each side runs what is installed of it")


def _environment(label: str, options: dict[str, Any]) -> Environment:
    return Environment(
        label=label,
        python=interpreter(f"--{label}-python", options[f"{label}_python"]),
        variables=variables(f"--{label}-env", options[f"{label}_env"]),
    )


def _request(
    suite: Suite,
    base: Environment,
    head: Environment,
    gone: tuple[Benchmark, ...] | None,
    options: dict[str, Any],
) -> GateRequest:
    return GateRequest(
        suite=suite,
        base=base,
        head=head,
        datasets=_datasets(suite, quiet=options["quiet"]),
        vanished=gone or (),
        unwatched="" if gone is not None else "base's suite is not known (--base-suite FILE gives it)",
        budget_seconds=options["budget"]
        or max(_FEWEST_SECONDS, _SECONDS_A_BENCHMARK * len(suite.benchmarks)),
        turns=options["turns"],
    )


def _alone(suite: Suite, options: dict[str, Any]) -> Alone:
    datasets = _datasets(suite, quiet=options["quiet"])
    return Alone(suite=suite, head=_environment("head", options), datasets=datasets, turns=options["turns"])


def _datasets(suite: Suite, *, quiet: bool) -> list[DatasetRecord]:
    with shown_progress(quiet=quiet) as progress:
        return [
            choose_dataset(registry.task(benchmark.task), benchmark.dataset, progress)
            for benchmark in suite.benchmarks
        ]


def _exit_code(record: GateRecord, inconclusive: Inconclusive) -> int:
    if record.status == "interrupted":
        return 130
    if record.status == "failed" and record.verdict != "FAIL":  # what has failed by then has failed
        return UsageError.exit_code
    return _EXIT_CODES[folded(record, inconclusive)]
