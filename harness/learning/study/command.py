"""``harness study``: a question about training, answered by ordinary runs and one page."""

import contextlib
import dataclasses
import itertools
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.core.documents.files import write_text
from harness.core.documents.numbers import counted
from harness.core.plugins import registry
from harness.core.runs.extensions import with_work
from harness.core.runs.record import Record
from harness.core.runs.request import TRIAL_SEED, RunRequest
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell import completion, features, options
from harness.core.shell.ending import INTERRUPTED
from harness.core.shell.execution import conclude, exit_code, run_sequence
from harness.core.shell.executors import AskedJobs, Executor, executor_of, unjudged
from harness.core.shell.own_model import model_options, with_own_model
from harness.core.shell.parameters import each_once, split_names
from harness.core.shell.printing import echo, print_error_line
from harness.core.shell.progress import shown_progress
from harness.core.shell.run_options import OwnModelOptions
from harness.core.shell.runs_display import reuse_text
from harness.errors import HarnessError, UsageError
from harness.learning.study.across_tasks_page import across_tasks_page, across_tasks_text
from harness.learning.study.own_models import VARIANTS, of_task, variants_kind
from harness.learning.study.page import studies_text
from harness.learning.study.plan import (
    FEWEST_SEEDS,
    FEWEST_TRIALS,
    StudyOptions,
    StudyPlan,
    centre,
    seconds_expected,
)
from harness.learning.study.quantities import TIMES
from harness.learning.study.record import STUDIES, Sampler, Study
from harness.learning.study.tuning import Tuning
from harness.spec.backend import Precision
from harness.spec.study import StudyKind


@dataclass(frozen=True, kw_only=True)
class Given(options.TrackingOptions, options.ExecutorOptions, OwnModelOptions):
    """The values of the parameters of ``harness study``."""

    kind: str
    quick: bool
    epochs: int | None
    max_steps: int | None
    seeds: int | None
    trials: int | None
    sampler: Sampler
    searched: tuple[str, ...]
    chosen: list[str]
    budget: float | None
    device: str
    precision: Precision
    threads: int | None
    jobs: int | None
    assignments: tuple[str, ...]
    certify: bool


def _list_studies(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        echo(studies_text([registry.study(name) for name in registry.names("study")]))
        ctx.exit()


@click.command()
@click.argument("kind", metavar="KIND", shell_complete=completion.STUDIES)
@options.tasks
@model_options
@options.backends()
@click.option(
    "--quick", is_flag=True, help="Short version for teaching: takes minutes; do not cite its results."
)
@options.dataset
@options.epochs
@options.max_steps
@options.seeds
@options.number(
    "--trials", most=1000, text="Trials of each variant that the study tunes. Default: the kind's."
)
@options.choice(
    "--sampler",
    of=("quasi-random", "tpe"),
    default="quasi-random",
    text="How settings are drawn: evenly, or by Optuna's tree-structured Parzen estimator.",
)
@click.option(
    "--search",
    "searched",
    multiple=True,
    callback=each_once,
    metavar="[VARIANT.]KEY=LOW:HIGH",
    help="Another range of an option that is tuned, such as sgd.learning_rate=0.001:10; repeatable.",
)
@click.option(
    "--variants",
    "--optimizers",
    "--losses",
    "--remedies",
    "chosen",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    help="Only these variants of the kind; NEW=NAME is a variant under a further name. A name with a comma "
    "stands in double quotes. Default: all.",
)
@options.budget(
    "Time limit, such as 90s or 5m. Trials and seeds that would exceed it are left out. Default: no limit."
)
@options.device
@options.precision
@options.threads
@options.assignments
@options.results
@options.tracking
@options.certify
@options.jobs
@options.executor
@options.quiet
@options.plugin_of_studies
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_studies,
    help="List the kinds of study with their variants, and exit.",
)
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Answer a question about training: which optimizer, what stops overfitting, would more data help?

    KIND is one of `harness study --list`, or variants: the values of arguments of your own --model. A study
    trains variants of a task on the same seeds. Where the kind says so, each variant is tuned first with the
    same number of trials; validation data choose its settings.
    The result is a verdict and a page that explains the question, what was trained, and what came out.

    \b
      harness study optimizers --backend torch --quick
      harness study overfitting --task cnn --backend torch --budget 30m
      harness study optimizers --task mlp,resnet,lm --backend torch
      harness study variants --model net.py:make --dataset digits --set-model width=64,128

    As many runs are made at once as cores and memory allow, in processes that start with all imports made;
    their scores are those of fresh processes. Their times are not judged: `harness duel` compares times.

    Runs are ordinary records. Repeat the command to continue an interrupted study, or to add seeds or
    backends: recorded runs are reused.

    Exit code: 0 if every run succeeded, 1 if one failed, 2 if the input is wrong, 130 after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    given = with_own_model(given)
    is_of_variants = given.kind == VARIANTS
    kind = variants_kind(given.own) if is_of_variants else registry.study(given.kind)
    tasks = given.tasks or kind.tasks[:1]
    studies: list[Study] = []
    records: list[Record] = []
    results = sys.stdout
    jobs = given.jobs
    if times := TIMES & {*kind.decisive}:
        if jobs is not None:
            raise UsageError(
                f"--jobs: study {kind.name} judges {min(times)}, which runs at once do not have; leave it out"
            )
    elif jobs is None and options.is_local(given):
        jobs = options.ALL_JOBS
    asked = AskedJobs.of(jobs, [given.threads or 1], given.device)
    with executor_of(given, asked) as executor:
        given = dataclasses.replace(given, threads=given.threads or executor.threads)
        for task in tasks:
            conduct = _Conduct(kind, task, dataclasses.replace(given, **of_task(given, task)), executor)
            study, path = conduct.carry_out()
            studies.append(study)
            with contextlib.redirect_stdout(results):  # which an executor may have silenced
                conduct.show(study, path)
            records += conduct.records
            if exit_code(records) == INTERRUPTED:
                break
    if len(studies) > 1:
        store = Store(given.results)
        echo(f"{across_tasks_text(studies, store)}\n")
        name = f"{kind.name}-{'-'.join(study.task for study in studies)}.html"
        _write_page(given.results / STUDIES.folder / name, lambda: across_tasks_page(studies, store))
    # A trial may diverge: its setting is bad. A run that is compared must not.
    judged = [record for record in records if (record.status, record.seed) != ("diverged", TRIAL_SEED)]
    ctx.exit(exit_code(judged))


class _Conduct:
    """Carries out a study of one task: trials, then the runs that are compared, then its page."""

    def __init__(self, kind: StudyKind, task: str, given: Given, executor: Executor) -> None:
        asked = vars(given) | {"kind": kind, "task": task, "command": sys.argv[1:]}
        chosen = msgspec.convert(
            {name: asked[name] for name in StudyOptions.__struct_fields__}, StudyOptions, from_attributes=True
        )
        with shown_progress(quiet=given.quiet) as progress:
            self._plan = StudyPlan(chosen, progress)
        self._given = given
        self._executor = executor
        self._store = Store(given.results)
        self._trackers = options.trackers_of(given, given.results)
        self._begun = time.monotonic()
        self.records: list[Record] = []

    def carry_out(self) -> tuple[Study, Path]:
        """Run what is not recorded, and write the record; returns it with its path."""
        plan = self._plan
        for omission in plan.omissions:
            self._say(f"{plan.kind.noun.capitalize()} {omission.variant} is left out: {omission.reason}")
        tuning = Tuning(plan)
        # Refuses what misses a library before the first trial.
        centres = {each.name: centre(each) for each in plan.variants}
        with_work(plan.runs(centres), features.places("after_training"))
        self._store.prepare()
        self._say(self._size_text())
        self._tune(tuning, plan.runs(centres))
        found = tuning.found()
        best, target = tuning.reference()
        reference = best if plan.kind.reference == "best" else ""
        study = plan.study(found, tuning.trials, reference, target)
        path = STUDIES.save(study, self._given.results / STUDIES.folder)
        if not self._interrupted:
            self._compare(found)
            conclude(self._executor, self._store, self.records, quiet=self._given.quiet)
        return study, path

    def show(self, study: Study, path: Path) -> None:
        """Print the answer, and write the page beside the record."""
        echo(f"{STUDIES.text_of(study, path)}\n")
        _write_page(path.with_suffix(".html"), lambda: STUDIES.file_of(study, path, ".html"))
        echo(f"Record: {path}")

    @property
    def _interrupted(self) -> bool:
        return exit_code(self.records) == INTERRUPTED

    def _size_text(self) -> str:
        """Return the number of runs, before the first one."""
        plan = self._plan
        tuned = sum(bool(variant.ranges) for variant in plan.variants)
        noun = f"{plan.kind.noun}s" if tuned > 1 else plan.kind.noun
        trials = f"{counted(plan.trials * tuned, 'trial')} of {tuned} {noun}, then " if tuned else ""
        runs = counted(len(plan.variants) * plan.seeds * len(plan.configurations), "run")
        return f"{plan.options.task}: {trials}{runs} ({counted(plan.seeds, 'seed')} of each variant)"

    def _tune(self, tuning: Tuning, compared: list[RunRequest]) -> None:
        """Run the trials in rounds, as many as leave time for the runs that are compared."""
        trials = self._plan.trials
        for number, requests in enumerate(tuning.rounds(trials), 1):
            if number > FEWEST_TRIALS and not self._fits([*requests, *compared]):
                self._say(f"The budget allows {counted(number - 1, 'trial')} of each instead of {trials}")
                break
            tuning.tell(self._run(requests))
            if self._interrupted:
                break

    def _compare(self, found: dict[str, list[str]]) -> None:
        """Execute the runs that are compared; a budget ends them after a whole seed if it can."""
        requests = self._plan.runs(found)
        shared = self._shared(requests)
        self._say(reuse_text(shared))
        missing = [requests[run.place] for run in shared.left]
        if not missing:
            self.records += shared.records
        for seed, of_seed in self._rounds(missing):
            if seed >= FEWEST_SEEDS and not self._fits(of_seed):
                self._say(f"The budget allows {counted(seed, 'seed')} instead of {self._plan.seeds}")
                break
            self._run(of_seed)
            if self._interrupted:
                break

    def _rounds(self, missing: list[RunRequest]) -> list[tuple[int, list[RunRequest]]]:
        """Divide the runs by seed if there is a budget; otherwise all of them share the machine."""
        if self._given.budget is None:
            return [(0, missing)]
        by_seed = itertools.groupby(missing, lambda request: request.seed)
        return [(seed, list(of_seed)) for seed, of_seed in by_seed]

    def _fits(self, requests: list[RunRequest]) -> bool:
        """Check whether the budget has time for these runs."""
        budget, spent = self._given.budget, time.monotonic() - self._begun
        return budget is None or spent + seconds_expected(requests, self.records) <= budget

    def _shared(self, requests: list[RunRequest]) -> SharedRuns:
        certify = self._given.certify
        requests = unjudged(with_work(requests, features.places("after_training")), self._executor)
        return SharedRuns(requests, self._store, certify=certify, machine=self._executor.machine)

    def _run(self, requests: list[RunRequest]) -> list[Record]:
        """Execute those requests that are not recorded; returns the records of all.

        The very first run is made whatever the budget.
        """
        if not requests:
            return []
        deadline = math.inf
        if self._given.budget is not None:
            if not self.records and len(requests) > 1:
                return [*self._run(requests[:1]), *self._run(requests[1:])]
            deadline = self._begun + self._given.budget if self.records else math.inf
        records = run_sequence(
            self._shared(requests),
            self._store,
            self._executor,
            quiet=self._given.quiet,
            certify=self._given.certify,
            deadline=deadline,
            trackers=self._trackers,
        )
        self.records += records
        return records

    def _say(self, line: str) -> None:
        if not self._given.quiet:
            print_error_line(line)


def _write_page(path: Path, page: Any) -> None:
    """Write the page and print its path, or the reason why there is none."""
    try:
        write_text(path, page(), named=False)
        echo(f"Page:   {path}")
    except ImportError as error:
        needed = f'{error.name or error} from the extra "report"'
        print_error_line(f'No page: it needs {needed}: pip install "dl-harness[report]"')
    except HarnessError as error:
        print_error_line(f"No page: {error}")
    except OSError as error:
        print_error_line(f"No page: {path} cannot be written: {error.strerror or error}")
