"""Studies: remedies for overfitting or imbalance, compared with the plain task on paired seeds.

A study file states only which remedies belong together. Their runs are ordinary records, identified by
their content: a study continues where it stopped and includes runs that other commands made.
"""

import hashlib
import itertools
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from harness.analysis.conditions import Conditions
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task, resized
from harness.plugins.options import Value, describe_options, parse_options
from harness.plugins.selection import select_backend
from harness.runs.documents import RecordKind
from harness.runs.record import DatasetRecord, Evaluation, Record
from harness.runs.request import RunRequest, choose_dataset
from harness.runs.store import RUNS, Store
from harness.spec.backend import Precision
from harness.spec.data import DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.task import Task, TaskDefinition

SCHEMA = 1
#: With fewer seeds there is no interval, and so no recommendation.
FEWEST_SEEDS = 2

Kind = Literal["overfitting", "imbalance"]


def option_names(assignments: Iterable[str]) -> set[str]:
    """The names in assignments of options, such as ``width`` in ``width=0.5``."""
    return {assignment.partition("=")[0] for assignment in assignments}


class Remedy(NamedTuple):
    """A name, and the assignments of options, as ``--set`` takes them, that apply it to a task."""

    name: str
    assignments: tuple[str, ...]

    @property
    def options(self) -> set[str]:
        """The names of the options that it sets."""
        return option_names(self.assignments)


#: The variants of each study. The first is the reference of the others; the last are dropped first when the
#: budget is short.
REMEDIES: Mapping[Kind, tuple[Remedy, ...]] = {
    "overfitting": (
        Remedy("plain", ()),
        Remedy("dropout", ("dropout=0.5",)),
        Remedy("l2", ("l2=0.001",)),
        Remedy("augmentation", ("flip=true", "crop=4")),
        Remedy("half the data", ("train_fraction=0.5",)),
        Remedy("half the width", ("width=0.5",)),
        Remedy("l1", ("l1=0.0001",)),
        Remedy("a quarter of the data", ("train_fraction=0.25",)),
    ),
    "imbalance": (
        Remedy("thinned", ("imbalance=0.1",)),
        Remedy("class weights", ("imbalance=0.1", "rebalance=weights")),
        Remedy("oversampling", ("imbalance=0.1", "rebalance=oversample")),
        Remedy("all data", ()),
    ),
}


class Variant(msgspec.Struct, frozen=True):
    """A remedy applied to a task; ``description`` is the sha256 by which records are recognised."""

    name: str
    assignments: list[str]
    description: str

    @property
    def options(self) -> set[str]:
        """The names of the options that it sets."""
        return option_names(self.assignments)


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study file; the first variant is the reference of the others."""

    schema: int = SCHEMA
    kind: Kind
    task: str
    dataset: str
    epochs: int
    max_steps: int | None
    precision: Precision
    threads: int
    variants: list[Variant]

    @property
    def id(self) -> str:
        """The file's name: the same for the same content."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        return f"{self.kind}-{self.task}-{self.dataset}-{digest}"

    def holds(self, conditions: Conditions, variant: Variant) -> bool:
        """Whether runs under these conditions belong to this variant."""
        return (
            conditions.description == variant.description
            and conditions.dataset == self.dataset
            and (conditions.epochs, conditions.max_steps) == (self.epochs, self.max_steps)
            and conditions.evaluation == Evaluation()
            and (conditions.precision, conditions.threads) == (self.precision, self.threads)
        )


STUDIES = RecordKind("study", "studies", Study, SCHEMA, "variants")


# The runs of a study: every remedy that fits the task, on every seed and backend.


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The requested study: ``seeds`` is their number, ``assignments`` are ``KEY=VALUE`` texts."""

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
    command: list[str] = []


class StudyRun(NamedTuple):
    """A run of a study; ``variant`` is the index of its variant."""

    variant: int
    request: RunRequest


class Omission(NamedTuple):
    """A remedy that is left out, and why."""

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
    threads = options.threads or default_threads()
    return RunRequest(
        configuration=Configuration(backend, mode, options.device, threads, options.precision),
        task=defined.task,
        seed=seed,
        options=defined.values,
        dataset=dataset,
        max_steps=options.max_steps,
        command=options.command,
        variant=remedy.name,
    )


# The part of a study that fits a time budget: seeds are cut first, then remedies.


class StudySize(NamedTuple):
    """The number of variants that are run, from the first, and of seeds."""

    variants: int
    seeds: int

    def includes(self, variant: int, seed: int) -> bool:
        """Whether a run of this variant (an index) and seed is part of it."""
        return variant < self.variants and seed < self.seeds


def study_size(
    missing: Collection[tuple[int, int]],
    run_seconds: float,
    budget_seconds: float,
    variants: int,
    seeds: int,
) -> StudySize:
    """The largest size whose ``missing`` runs, each a variant's index and a seed, fit the budget.

    Seeds are cut first, down to the two that an interval needs; then remedies from the end of the list,
    down to one. The smallest size is returned even if it exceeds the budget: the deadline then ends the
    study. Recorded runs cost nothing.
    """
    fewest = min(seeds, FEWEST_SEEDS)
    sizes = [StudySize(variants, count) for count in range(seeds, fewest, -1)]
    sizes += [StudySize(count, fewest) for count in range(variants, 1, -1)]
    sizes = sizes or [StudySize(variants, fewest)]

    def seconds(size: StudySize) -> float:
        return run_seconds * sum(size.includes(variant, seed) for variant, seed in missing)

    return next((size for size in sizes if seconds(size) <= budget_seconds), sizes[-1])


def runs_within(
    missing: Sequence[StudyRun], run_seconds: float, budget_seconds: float, variants: int, seeds: int
) -> tuple[StudySize, list[StudyRun]]:
    """The size that fits the budget, and those of the ``missing`` runs that it includes."""
    cells = [(run.variant, run.request.seed) for run in missing]
    size = study_size(cells, run_seconds, budget_seconds, variants, seeds)
    return size, [run for run in missing if size.includes(run.variant, run.request.seed)]


def mean_run_seconds(records: Sequence[Record]) -> float:
    """Mean duration of the runs, certification excluded: later runs find their certificate in the cache."""
    return statistics.fmean(_run_seconds(record) for record in records)


def _run_seconds(record: Record) -> float:
    phases = record.phases
    start = (phases.import_seconds, phases.data_seconds, phases.build_seconds)
    return sum(filter(None, start)) + phases.training_seconds + phases.evaluation_seconds


# The runs of a study that are recorded, by this or any other command.


def study_records(study: Study, store: Store) -> Iterator[Record]:
    """The study's runs among all records, of every machine, device and version."""
    descriptions = {variant.description for variant in study.variants}
    records = (record for record in RUNS.read_each(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in descriptions)
