"""The runs of a study: every remedy that fits the task, on every seed and backend."""

import itertools
from typing import NamedTuple

import msgspec

from harness.analysis.study import REMEDIES, Kind, Remedy, Study, Variant
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins import registry
from harness.plugins.definition import define_task, resized
from harness.plugins.options import Value, describe_options, parse_options
from harness.plugins.selection import select_backend
from harness.runs.record import DatasetRecord
from harness.runs.request import RunRequest, choose_dataset
from harness.spec.backend import Plan, Precision
from harness.spec.data import DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.task import Task, TaskDefinition


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for: ``seeds`` is their number, ``assignments`` are ``KEY=VALUE`` texts."""

    kind: Kind
    task: str
    backends: list[str]
    seeds: int
    dataset: str | None = None
    epochs: int | None = None
    max_steps: int | None = None
    device: str = "auto"
    precision: Precision = "float32"
    threads: int | None = None
    assignments: list[str] = []
    certify: bool = True


class StudyRun(NamedTuple):
    """A run of a study; ``variant`` is the index of its variant."""

    variant: int
    request: RunRequest


class Omission(NamedTuple):
    """A remedy that is not tried, and why."""

    remedy: str
    reason: str


class PlannedStudy(NamedTuple):
    """A study, all its runs in order (seeds slowest, then variants, then backends), and what it omits."""

    study: Study
    runs: list[StudyRun]
    omissions: list[Omission]


class _DefinedTask(NamedTuple):
    task: Task
    values: dict[str, Value]


def plan_study(options: StudyOptions, progress: DownloadProgress) -> PlannedStudy:
    """Plan the study; fetches its data set.

    Raises:
        UsageError: a name is unknown, a backend is not installed, an option does not fit, or the task
            has no use for this kind of study.
        DataError: no data set of the task can be obtained.
    """
    definition = registry.task(options.task)
    selections = [select_backend(name) for name in options.backends]
    tasks, omissions = _tasks(definition, options)
    dataset = choose_dataset(definition, options.dataset, progress)
    study = _study(options, tasks, dataset)
    # One mode for all variants: they are compared with the plain task.
    plain = next(iter(tasks.values())).task
    selected = [(selection.backend.name, mode) for selection in selections for mode in selection.modes(plain)]
    runs = [
        StudyRun(variant, _request(options, remedy, defined, dataset, backend, mode, seed))
        for seed, (variant, (remedy, defined)), (backend, mode) in itertools.product(
            range(options.seeds), list(enumerate(tasks.items())), list(dict.fromkeys(selected))
        )
    ]
    return PlannedStudy(study, runs, omissions)


def _tasks(
    definition: TaskDefinition, options: StudyOptions
) -> tuple[dict[Remedy, _DefinedTask], list[Omission]]:
    """The task with each remedy that fits it."""
    known = {name for name, *_ in describe_options(definition)}
    given = {assignment.partition("=")[0] for assignment in options.assignments}
    plain, *remedies = REMEDIES[options.kind]
    if not plain.options <= known:
        raise UsageError(
            f"task {definition.name} has no option {min(plain.options - known)}, which a study of "
            f"{options.kind} needs."
        )
    if taken := plain.options & given:
        raise UsageError(f"--set {min(taken)}: a study of {options.kind} sets this option; leave it out.")
    tasks = {plain: _define(definition, plain, options)}
    omissions = []
    for remedy in (remedy for remedy in remedies if remedy.options <= known):
        if taken := remedy.options & given:
            omissions.append(Omission(remedy.name, f"--set {min(taken)} sets the option that it changes"))
            continue
        try:
            defined = _define(definition, remedy, options)
        except UsageError as error:
            omissions.append(Omission(remedy.name, f"the task does not accept it: {error}"))
            continue
        if defined.task == tasks[plain].task:
            omissions.append(Omission(remedy.name, "the plain task has it already"))
        else:
            tasks[remedy] = defined
    return tasks, omissions


def _define(definition: TaskDefinition, remedy: Remedy, options: StudyOptions) -> _DefinedTask:
    values = parse_options(definition, [*options.assignments, *remedy.assignments])
    task = resized(define_task(definition, values), epochs=options.epochs)
    return _DefinedTask(task, msgspec.structs.asdict(values))


def _study(options: StudyOptions, tasks: dict[Remedy, _DefinedTask], dataset: DatasetRecord) -> Study:
    return Study(
        kind=options.kind,
        task=options.task,
        dataset=dataset.name,
        epochs=next(iter(tasks.values())).task.epochs,
        max_steps=options.max_steps,
        precision=options.precision,
        threads=options.threads or default_threads(),
        variants=[
            Variant(remedy.name, list(remedy.assignments), description_sha256(defined.task))
            for remedy, defined in tasks.items()
        ],
    )


def _request(
    options: StudyOptions,
    remedy: Remedy,
    defined: _DefinedTask,
    dataset: DatasetRecord,
    backend: str,
    mode: str,
    seed: int,
) -> RunRequest:
    plan = Plan(
        task=defined.task,
        mode=mode,
        device=options.device,
        precision=options.precision,
        threads=options.threads or default_threads(),
        seed=seed,
    )
    return RunRequest(
        backend=backend,
        plan=plan,
        options=defined.values,
        dataset=dataset,
        max_steps=options.max_steps,
        variant=remedy.name,
    )
