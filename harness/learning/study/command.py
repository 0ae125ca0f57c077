"""``harness study``: a question about training, answered by ordinary runs and one page."""

import contextlib
import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.core.documents.files import write_text
from harness.core.documents.numbers import counted, listed
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
from harness.core.shell.printing import echo, print_error, print_error_line
from harness.core.shell.progress import shown_progress
from harness.core.shell.run_options import OwnModelOptions
from harness.core.shell.runs_display import reuse_text
from harness.errors import HarnessError, UsageError
from harness.learning.study.across_tasks_page import across_tasks_page, across_tasks_text
from harness.learning.study.answer import plural
from harness.learning.study.kinds import listing, load
from harness.learning.study.own_models import VARIANTS, of_task, variants_kind
from harness.learning.study.plan import StudyPlan
from harness.learning.study.quantities import JUDGED
from harness.learning.study.record import STUDIES, Sampler, Study
from harness.learning.study.tuning import Tuning
from harness.learning.study.variants import StudyOptions, centre
from harness.spec.backend import Precision
from harness.spec.study import StudyKind

#: Trials may take this share of a budget; the rest is for the runs that are compared.
_SHARE_OF_TRIALS = 0.5


@dataclass(frozen=True, kw_only=True)
class Given(options.ExecutorOptions, OwnModelOptions):
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
        text, left_out = listing()
        for line in left_out:
            print_error(line)
        echo(text)
        ctx.exit(UsageError.exit_code if left_out else 0)


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
    help="Only these variants of the kind; NEW=NAME is a variant under a further name. Default: all.",
)
@options.budget(
    "Time limit, such as 90s or 5m: no round of trials begins after half of it, and no seed that would take "
    "longer than the rest, as the last one did. Default: no limit."
)
@options.device
@options.precision
@options.threads
@options.assignments
@options.results
@options.certify
@options.jobs
@options.executor
@options.quiet
@options.plugin
@click.option(
    "--list",
    is_flag=True,
    expose_value=False,
    callback=_list_studies,  # not eager: --plugin comes first
    help="List the kinds of study with their times, extras and variants, and exit.",
)
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Answer a question about training: which optimizer, what stops overfitting, would more data help?

    KIND is one of `harness study --list`, or variants: the values of arguments of your own --model. A study
    trains variants of a task on the same seeds. Where the kind says so, each variant is tuned first with the
    same number of trials; validation data choose its settings. The result is a verdict and a page that
    explains the question, what was trained, and what came out.

    \b
      harness study optimizers --backend torch --quick
      harness study overfitting --task cnn --backend torch --budget 30m
      harness study optimizers --task mlp,resnet,lm --backend torch
      harness study variants --model net.py:make --dataset digits --set-model width=64,128

    As many runs are made at once as cores and memory allow, in processes that start with all imports made;
    their scores are those of fresh processes. Their times are not judged: `harness duel` compares times.
    Runs of `study variants`, which states times as costs, are made one at a time unless --jobs is given.

    Runs are ordinary records. Repeat the command to continue an interrupted study, or to add seeds or
    backends: recorded runs are reused.

    Exit code: 0 if every run succeeded, 1 if one failed, 2 if the input is wrong, 130 after Ctrl-C.
    """  # noqa: D301  click's mark for lines that it must not wrap
    given = with_own_model(given)
    is_of_variants = given.kind == VARIANTS
    kind = variants_kind(given.own) if is_of_variants else load(given.kind)
    tasks = given.tasks or kind.tasks[:1]
    studies: list[Study] = []
    records: list[Record] = []
    results = sys.stdout
    jobs = given.jobs
    if alone := JUDGED & {*kind.decisive}:
        if jobs is not None:
            raise UsageError(
                f"--jobs: study {kind.name} judges {min(alone)}, which runs at once do not have; leave it out"
            )
    elif jobs is None and not is_of_variants:  # whose costs are times, too
        jobs = options.ALL_JOBS
    unstated = [name for name in kind.quantities if name in JUDGED]
    if jobs is not None and unstated and not given.quiet:
        print_error_line(f"Runs made at once share the machine. Left out: {listed(unstated)}")
    asked = AskedJobs.of(jobs, [given.threads or 1], given.device)
    with executor_of(given, asked) as executor:
        given = dataclasses.replace(given, threads=given.threads or executor.threads)
        asked_of = [(task, dataclasses.replace(given, **of_task(given, task))) for task in tasks]
        # Every task is checked before the first training.
        for conduct in [_Conduct(kind, task, own, executor) for task, own in asked_of]:
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
        self._begun = time.monotonic()
        self._last_seconds = 0.0
        self.records: list[Record] = []

    def carry_out(self) -> tuple[Study, Path]:
        """Run what is not recorded, and write the record; returns it with its path."""
        plan = self._plan
        self._begun = time.monotonic()
        for omission in plan.omissions:
            self._say(f"{plan.kind.noun.capitalize()} {omission.variant} is left out: {omission.reason}")
        if plan.warning:
            self._say(plan.warning)
        tuning = Tuning(plan)
        # Refuses what misses a library before the first trial.
        with_work(plan.runs(self._centres()), features.places("after_training"))
        self._store.prepare()
        self._say(self._size_text())
        self._tune(tuning)
        found = tuning.found()
        best, target = tuning.reference()
        reference = best if plan.kind.reference == "best" else ""
        study = plan.study(found, tuning.trials, reference, target)
        path = self._save(study)
        if not self._interrupted:
            self._compare(found)
            conclude(self._executor, self._store, self.records, quiet=self._given.quiet)
        return study, path

    def show(self, study: Study, path: Path) -> None:
        """Print the answer, and write the page beside the record."""
        echo(f"{STUDIES.text_of(study, path)}\n")
        _write_page(path.with_suffix(".html"), lambda: STUDIES.file_of(study, path, ".html"))
        echo(f"Record: {path}")

    def _save(self, study: Study) -> Path:
        return STUDIES.save(study, self._given.results / STUDIES.folder)

    @property
    def _interrupted(self) -> bool:
        return exit_code(self.records) == INTERRUPTED

    def _centres(self) -> dict[str, list[str]]:
        """Return settings of each variant from which a training takes as long as from those to be found."""
        return {each.name: centre(each) for each in self._plan.variants}

    def _size_text(self) -> str:
        """Return the number of runs, before the first one."""
        plan = self._plan
        tuned = sum(bool(variant.ranges) for variant in plan.variants)
        noun = plural(plan.kind.noun) if tuned > 1 else plan.kind.noun
        trials = f"{counted(plan.trials * tuned, 'trial')} of {tuned} {noun}, then " if tuned else ""
        runs = counted(len(plan.variants) * plan.seeds * len(plan.configurations), "run")
        return f"{plan.options.task}: {trials}{runs} ({counted(plan.seeds, 'seed')} of each variant)"

    def _tune(self, tuning: Tuning) -> None:
        """Run the trials in rounds, of which a budget allows those that begin in its first half."""
        trials = self._plan.trials
        for number, requests in enumerate(tuning.rounds(trials)):
            if number and not self._has_time(_SHARE_OF_TRIALS):
                self._say(f"The budget allows {counted(number, 'trial')} of each instead of {trials}")
                break
            tuning.tell(self._run(requests))
            if self._interrupted:
                break

    def _compare(self, found: dict[str, list[str]]) -> None:
        """Execute the runs that are compared; with a budget seed by seed, as long as it has time."""
        plan, seeds = self._plan, self._plan.seeds
        self._say(reuse_text(self._shared(plan.runs(found))))
        portions = [range(seeds)] if self._given.budget is None else [range(k, k + 1) for k in range(seeds)]
        for portion in portions:
            if portion.start and not self._has_time():
                self._say(f"The budget allows {counted(portion.start, 'seed')} instead of {seeds}")
                break
            self._run(plan.runs(found, portion))
            if self._interrupted:
                break

    def _has_time(self, share: float = 1.0) -> bool:
        """Check whether this share of the budget has time for runs that take as long as the last ones."""
        budget, spent = self._given.budget, time.monotonic() - self._begun
        return budget is None or spent + self._last_seconds <= share * budget

    def _shared(self, requests: list[RunRequest]) -> SharedRuns:
        certify = self._given.certify
        requests = unjudged(with_work(requests, features.places("after_training")), self._executor)
        return SharedRuns(requests, self._store, certify=certify, machine=self._executor.machine)

    def _run(self, requests: list[RunRequest]) -> list[Record]:
        """Execute those requests that are not recorded; returns the records of all."""
        start = time.monotonic()
        records = run_sequence(
            self._shared(requests),
            self._store,
            self._executor,
            quiet=self._given.quiet,
            certify=self._given.certify,
        )
        self._last_seconds = time.monotonic() - start
        self.records += records
        return records

    def _say(self, line: str) -> None:
        if line and not self._given.quiet:
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
