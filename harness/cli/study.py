"""``harness study``: remedies for overfitting or imbalance, compared with the plain task."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.analysis.study import (
    STUDIES,
    Study,
    StudyOptions,
    StudyRun,
    mean_run_seconds,
    plan_study,
    runs_within,
)
from harness.cli import options
from harness.cli.printing import echo, print_error_line
from harness.cli.progress import reuse_text, shown_progress
from harness.cli.run import exit_code, run_sequence
from harness.report.files import write_text
from harness.report.study import studies_text, study_page, study_text
from harness.runs.record import Record
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store


def _list_studies(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        echo(studies_text())
        ctx.exit()


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice(["overfitting", "imbalance"]))
@options.task()
@options.backends(required=True)
@options.dataset
@options.epochs
@options.max_steps
@options.seeds(default=5)
@options.budget(
    "Time limit, such as 90s or 5m. The first run on each backend determines how many seeds and "
    "remedies fit. Default: no limit."
)
@options.device
@options.precision
@options.threads
@options.assignments
@options.results
@options.tracking
@options.certify
@options.quiet
@options.plugin
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_studies,
    help="List the kinds of study, their remedies and the options that these set, and exit.",
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train a task with and without each remedy on the same seeds, and report which remedy helps.

    KIND is overfitting (dropout, L2, L1, augmentation, a narrower network, early stopping; and less data,
    to show whether more would help) or imbalance (class weights, oversampling).

    \b
      harness study overfitting --task mlp --backend torch
      harness study imbalance --task cnn --backend torch --budget 30m

    The result is a page that also explains what overfitting is, where it begins and what each remedy does.

    Runs are ordinary records. Repeat the command to continue an interrupted study, or to add seeds or
    backends: recorded runs are reused as by `harness run`.

    Exit code: 0 if every run succeeded, 1 if one failed, 2 if the input is wrong, 130 after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    chosen = msgspec.convert(given | {"command": sys.argv[1:]}, StudyOptions)
    with shown_progress(quiet=given["quiet"]) as progress:
        planned = plan_study(chosen, progress)
    execution = _Execution(Store(given["results"]), given, planned.study)
    for omission in planned.omissions:
        execution.say(f"Remedy {omission.remedy} is left out: {omission.reason}")
    execution.store.prepare()
    path = STUDIES.save(planned.study, given["results"] / STUDIES.folder)
    shared = execution.shared(planned.runs)
    execution.say(reuse_text(shared))
    missing = [planned.runs[run.place] for run in shared.left]
    records = execution.execute(missing, given["budget"])
    echo(f"{study_text(planned.study, execution.store)}\n")
    _write_page(planned.study, execution.store, path.with_suffix(".html"))
    echo(f"Record: {path}")
    ctx.exit(exit_code(records))


def _write_page(study: Study, store: Store, path: Path) -> None:
    """Write the page and print its path, or the reason why there is none."""
    try:
        write_text(path, study_page(study, store))
        echo(f"Page:   {path}")
    except ImportError as error:
        needed = f'{error.name or error} from the extra "report"'
        print_error_line(f'No page: it needs {needed}: pip install "dl-harness[report]"')
    except OSError as error:
        print_error_line(f"No page: {path} cannot be written: {error.strerror or error}")


class _Execution:
    """Executes the missing runs of a study."""

    def __init__(self, store: Store, given: dict[str, Any], study: Study) -> None:
        self.store = store
        self._given = given
        self._trackers = options.trackers_of(given)
        self._variants = len(study.variants)

    def say(self, line: str) -> None:
        if not self._given["quiet"]:
            print_error_line(line)

    def shared(self, runs: list[StudyRun]) -> SharedRuns:
        return SharedRuns([run.request for run in runs], self.store, certify=self._given["certify"])

    def execute(self, missing: list[StudyRun], budget_seconds: float | None) -> list[Record]:
        """Execute all runs, or those that fit the budget by the time of the first run on each backend."""
        if budget_seconds is None:
            return self._execute(missing, math.inf)
        deadline = time.monotonic() + budget_seconds
        backends = len({run.request.configuration.label for run in missing})
        records = self._execute(missing[:backends], math.inf)
        if not records or records[-1].status == "interrupted":
            return records
        run_seconds = mean_run_seconds(records)
        left = max(0.0, deadline - time.monotonic())
        seeds: int = self._given["seeds"]
        size, fitting = runs_within(missing[backends:], run_seconds, left, self._variants, seeds)
        self.say(
            f"A run takes {run_seconds:.0f} s and {left:.0f} s are left: {len(fitting)} more runs with "
            f"{size.seeds} seeds and {size.variants} of {self._variants} variants"
        )
        return records + self._execute(fitting, deadline)

    def _execute(self, runs: list[StudyRun], deadline: float) -> list[Record]:
        if not runs:
            return []
        display = {"quiet": self._given["quiet"], "certify": self._given["certify"]}
        shared = self.shared(runs)
        return run_sequence(shared, self.store, deadline=deadline, trackers=self._trackers, **display)
