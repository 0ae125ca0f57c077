"""Studies: variants of a task, each tuned with equal effort where its kind says so, compared on paired seeds.

A study file states only which variants belong together, and what tuning found. Runs are ordinary records,
identified by their content: a study continues where it stopped and includes runs that other commands made.
"""

import hashlib
import itertools
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from harness.core.documents.kinds import RecordKind
from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import (
    Value,
    describe_options,
    parse_options,
)
from harness.core.plugins.selection import select_backend
from harness.core.runs.record import Evaluation, Record
from harness.core.runs.request import (
    RunRequest,
    StopRule,
    choose_dataset,
)
from harness.core.runs.store import RUNS, Store
from harness.errors import UsageError, unknown_name
from harness.learning.runs.conditions import Conditions
from harness.spec.backend import Precision
from harness.spec.data import DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.study import QuickForm, StudyKind, StudyVariant
from harness.spec.task import Task

SCHEMA = 2
#: With fewer seeds there is no interval, and so no recommendation.
FEWEST_SEEDS = 2
#: With fewer trials a variant is hardly tuned.
FEWEST_TRIALS = 3
#: The seed of all trials. Comparisons use the seeds from 0 on, so that no run that chose a setting judges it.
TUNING_SEED = 10_000

Sampler = Literal["quasi-random", "tpe"]


def option_names(assignments: Iterable[str]) -> set[str]:
    """The names in assignments of options, such as ``width`` in ``width=0.5``."""
    return {assignment.partition("=")[0] for assignment in assignments}


class Variant(msgspec.Struct, frozen=True):
    """A variant of the task as it is compared; ``description`` is the sha256 by which records are recognised.

    ``assignments`` include those that tuning found.
    """

    name: str
    assignments: list[str]
    description: str
    epochs: int
    every: int = 1
    """Scored after so many epochs."""

    @property
    def options(self) -> set[str]:
        """The names of the options that it sets."""
        return option_names(self.assignments)


class Trial(msgspec.Struct, frozen=True):
    """A run that tried a setting of a variant.

    ``value`` is the criterion of the study on validation data, in the unit of its measure; None where the
    run diverged or failed. ``stopped`` says that it fell behind and was not trained to the end.
    """

    variant: str
    assignments: list[str]
    description: str
    value: float | None
    stopped: bool = False


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study file: its kind as it was, and the variants that were compared, in the order of the kind."""

    schema: int = SCHEMA
    kind: StudyKind
    task: str
    dataset: str
    assignments: list[str] = []
    """The user's own options, which every variant has."""
    epochs: int
    max_steps: int | None
    precision: Precision
    threads: int
    variants: list[Variant]
    sampler: Sampler = "quasi-random"
    trials: list[Trial] = []
    reference: str = ""
    """The variant that the others are compared with; empty: the first."""
    target: float | None = None
    """A validation score, fixed before the runs that are compared; in the unit of the task's measure."""
    tuned_on: str | msgspec.UnsetType = msgspec.UNSET
    """The configuration that made the trials, as text; unset without trials."""

    @property
    def id(self) -> str:
        """The file's name: the same for the same question, whatever tuning has found so far."""
        asked = msgspec.structs.replace(
            self,
            trials=[],
            reference="",
            target=None,
            variants=[
                msgspec.structs.replace(each, assignments=[], description="") for each in self.variants
            ],
            kind=msgspec.structs.replace(self.kind, meaning=(), terms={}, title="", question="", summary=""),
        )
        digest = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:8]
        return f"{self.kind.name}-{self.task}-{self.dataset}-{digest}"

    @property
    def reference_variant(self) -> Variant:
        """The variant that the others are compared with."""
        return next((each for each in self.variants if each.name == self.reference), self.variants[0])

    @property
    def descriptions(self) -> set[str]:
        """Those of its variants and trials."""
        compared = {variant.description for variant in self.variants}
        return compared | {trial.description for trial in self.trials}

    def described(self, variant: str) -> StudyVariant:
        """What the kind says of a variant."""
        return next(each for each in self.kind.variants if each.name == variant)

    def holds(self, conditions: Conditions, variant: Variant) -> bool:
        """Whether runs under these conditions belong to this variant."""
        return (
            conditions.description == variant.description
            and conditions.dataset == self.dataset
            and (conditions.epochs, conditions.max_steps) == (variant.epochs, self.max_steps)
            and conditions.evaluation == Evaluation(variant.every)
            and (conditions.precision, conditions.threads) == (self.precision, self.threads)
        )


STUDIES = RecordKind("study", "studies", Study, SCHEMA, "variants")


# What a study will run: every variant that fits the task, on every seed and backend.


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The requested study; None leaves a number to the kind, or to its classroom form if ``quick``.

    ``assignments`` are ``KEY=VALUE`` texts. ``chosen`` are names of variants, or ``NEW=NAME`` for a variant
    under a further name; all of them if empty. ``searched`` are ranges, ``[VARIANT.]KEY=LOW:HIGH``.
    """

    kind: StudyKind
    task: str
    backends: list[str]
    seeds: int | None = None
    trials: int | None = None
    sampler: Sampler = "quasi-random"
    quick: bool = False
    chosen: list[str] = []
    searched: list[str] = []
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
    """A run that is compared; ``variant`` is the index of its variant."""

    variant: int
    request: RunRequest


class Omission(NamedTuple):
    """A variant that is left out, and why."""

    variant: str
    reason: str


class _DefinedTask(NamedTuple):
    task: Task
    values: dict[str, Value]


class StudyPlan:
    """What a study runs: trials of the variants that are tuned, then every variant on every seed.

    Making one fetches the data set.

    Raises:
        UsageError: a name is unknown, a backend is not installed, an option does not fit, or the task has no
            use for this kind of study.
        DataError: no data set of the task can be obtained.
    """

    def __init__(self, options: StudyOptions, progress: DownloadProgress) -> None:
        kind, quick = options.kind, options.kind.quick if options.quick else None
        if quick and quick.assignments:
            given = option_names(options.assignments)
            own = [each for each in quick.assignments if not option_names([each]) & given]
            options = msgspec.structs.replace(options, assignments=[*options.assignments, *own])
        self.options = options
        self.seeds = options.seeds or (quick.seeds if quick else kind.seeds)
        self._definition = registry.task(options.task)
        selections = [select_backend(name) for name in options.backends]
        self._epochs = self._task_epochs()
        variants = _chosen(kind, options.chosen or list(quick.variants if quick else ()))
        searched = _searched(variants, options.searched)
        self.kind = msgspec.structs.replace(kind, variants=searched, quick=QuickForm())
        self.variants, self.omissions = self._fitting()
        tuned = any(variant.ranges for variant in self.variants)
        self.trials = (options.trials or (quick.trials if quick else kind.trials)) if tuned else 0
        wanted = options.dataset or self._quick_dataset()
        self._dataset = choose_dataset(self._definition, wanted, progress)
        # One mode for all variants: they are compared with one another.
        plain = self.defined(self.variants[0]).task
        chosen = [(each.backend.name, mode) for each in selections for mode in each.modes(plain)]
        self.configurations = list(dict.fromkeys(chosen))
        federated = {self.defined(each).task.federated is not None for each in self.variants}
        if options.max_steps and federated == {True, False}:
            raise UsageError(
                "--max-steps counts rounds where there are clients, and batches elsewhere; use --epochs"
            )

    def _task_epochs(self) -> int:
        """The epochs of a variant that does not multiply them."""
        options = self.options
        if options.epochs:
            return options.epochs
        own = define_task(self._definition, parse_options(self._definition, options.assignments)).epochs
        return max(2, round(own * options.kind.quick.epochs)) if options.quick else own

    def _quick_dataset(self) -> str | None:
        quick = self.options.kind.quick.dataset if self.options.quick else None
        return quick if quick in self._definition.datasets else None

    def _fitting(self) -> tuple[list[StudyVariant], list[Omission]]:
        """The variants that fit the task and what the user sets, and those that do not."""
        definition = self._definition
        objective = define_task(definition, parse_options(definition, self.options.assignments)).objective
        tag = objective.__struct_config__.tag
        suited = [each for each in self.kind.variants if not each.objectives or tag in each.objectives]
        if len(suited) < 2:  # noqa: PLR2004  one compares nothing
            raise UsageError(
                f"task {definition.name} is none for the study {self.kind.name}; try "
                f"{', '.join(self.kind.tasks)}."
            )
        known = {name for name, *_ in describe_options(definition)}
        given = option_names(self.options.assignments)
        first, *others = suited
        if missing := option_names(first.assignments) - known:
            raise UsageError(
                f"task {definition.name} has no option {min(missing)}, which the study {self.kind.name} "
                "needs."
            )
        if taken := option_names(first.assignments) & given:
            raise UsageError(
                f"--set {min(taken)}: the study {self.kind.name} sets this option; leave it out."
            )
        fitting, omissions = [_free(first, known, given)], []
        tasks = [self.defined(fitting[0], centre(fitting[0])).task]
        for variant in others:
            options = option_names(variant.assignments)
            ranges = {each.option for each in variant.ranges}
            if not options <= known or (ranges and not ranges & known):
                continue  # nothing that a user of this task expects
            free = _free(variant, known, given)
            taken = options & given
            if not taken and not free.ranges:  # nothing is left to be tuned
                taken = given & ranges
            if taken:
                reason = f"--set {min(taken)} sets the option that it changes"
                omissions.append(Omission(variant.name, reason))
                continue
            try:
                task = self.defined(free, centre(free)).task
            except UsageError as error:
                omissions.append(Omission(variant.name, f"the task does not accept it: {error}"))
                continue
            if task in tasks and not free.ranges:
                omissions.append(
                    Omission(variant.name, f"{fitting[tasks.index(task)].name} is the same task")
                )
            else:
                fitting.append(free)
                tasks.append(task)
        return fitting, omissions

    def defined(self, variant: StudyVariant, found: Sequence[str] = ()) -> _DefinedTask:
        """The task of a variant, with the settings that tuning ``found``."""
        values = parse_options(self._definition, [*self.options.assignments, *variant.assignments, *found])
        epochs = max(1, round(self._epochs * variant.epochs))
        task = resized(define_task(self._definition, values), epochs=epochs)
        return _DefinedTask(task, msgspec.structs.asdict(values))

    def trial(
        self, variant: StudyVariant, found: Sequence[str], label: str, stop: StopRule | None
    ) -> RunRequest:
        """A run that tries a setting, on the first configuration: certified ones compute the same."""
        defined = self.defined(variant, found)
        return self._request(
            variant, defined, self.configurations[0], TUNING_SEED, f"{variant.name}, {label}", stop
        )

    def study(
        self,
        found: Mapping[str, Sequence[str]],
        trials: Sequence[Trial],
        reference: str = "",
        target: float | None = None,
    ) -> Study:
        """The study file; ``found`` has the settings of each variant that is tuned."""
        options = self.options
        variants = []
        for each in self.variants:
            assignments = [*each.assignments, *found.get(each.name, ())]
            task = self.defined(each, found.get(each.name, ())).task
            every = scored_every(each)
            variants.append(Variant(each.name, assignments, description_sha256(task), task.epochs, every))
        return Study(
            kind=self.kind,
            task=options.task,
            dataset=self._dataset.name,
            assignments=options.assignments,
            epochs=self._epochs,
            max_steps=options.max_steps,
            precision=options.precision,
            threads=options.threads or default_threads(),
            variants=variants,
            sampler=options.sampler,
            trials=list(trials),
            reference=reference,
            target=target,
            tuned_on=":".join(self.configurations[0]) if self.trials else msgspec.UNSET,
        )

    def runs(self, found: Mapping[str, Sequence[str]]) -> list[StudyRun]:
        """The runs that are compared: seeds slowest, then variants, then backends."""
        defined = [(each, self.defined(each, found.get(each.name, ()))) for each in self.variants]
        return [
            StudyRun(index, self._request(variant, task, configuration, seed, variant.name, None))
            for seed, (index, (variant, task)), configuration in itertools.product(
                range(self.seeds), list(enumerate(defined)), self.configurations
            )
        ]

    def _request(
        self,
        variant: StudyVariant,
        defined: _DefinedTask,
        configuration: tuple[str, str],
        seed: int,
        label: str,
        stop: StopRule | None,
    ) -> RunRequest:
        options = self.options
        threads = options.threads or default_threads()
        return RunRequest(
            configuration=Configuration(*configuration, options.device, threads, options.precision),
            task=defined.task,
            seed=seed,
            options=defined.values,
            dataset=self._dataset,
            max_steps=options.max_steps,
            evaluation=Evaluation(scored_every(variant)),
            command=options.command,
            variant=label,
            asks_for=tuple(self.kind.sections) if stop is None else (),
            stop=stop,
        )


def _free(variant: StudyVariant, known: Collection[str], given: Collection[str]) -> StudyVariant:
    """The variant with the ranges of those options that the task has and the user leaves free."""
    ranges = tuple(each for each in variant.ranges if each.option in known and each.option not in given)
    return msgspec.structs.replace(variant, ranges=ranges)


def scored_every(variant: StudyVariant) -> int:
    """The epochs between two scores: those of a variant with more epochs are as far apart in steps."""
    return max(1, round(variant.epochs))


def centre(variant: StudyVariant) -> list[str]:
    """The centre of each range, as assignments."""
    return [
        setting(each.option, (each.low * each.high) ** 0.5 if each.log else (each.low + each.high) / 2)
        for each in variant.ranges
    ]


def setting(option: str, value: float) -> str:
    """An assignment with three digits, which a reader can type."""
    return f"{option}={value:.3g}"


def _chosen(kind: StudyKind, names: Sequence[str]) -> tuple[StudyVariant, ...]:
    """The variants of these names, ``NEW=NAME`` under a further one; all of them without names."""
    by_name = {variant.name: variant for variant in kind.variants}
    chosen = []
    for text in names:
        new, sign, name = text.partition("=")
        if (known := by_name.get(name if sign else new)) is None:
            raise unknown_name(kind.noun, name if sign else new, by_name)
        chosen.append(msgspec.structs.replace(known, name=new))
    if len({variant.name for variant in chosen}) < len(chosen):
        raise UsageError(f"two {kind.noun} variants have the same name; write NEW=NAME for a further one.")
    return tuple(chosen) or kind.variants


def _searched(variants: tuple[StudyVariant, ...], texts: Sequence[str]) -> tuple[StudyVariant, ...]:
    """The variants with other ranges, given as ``[VARIANT.]KEY=LOW:HIGH``."""
    for text in texts:
        place, _, ends = text.partition("=")
        name, dot, option = place.rpartition(".")
        try:
            low, high = map(float, ends.split(":"))
        except ValueError:
            raise UsageError(
                f"--search {text}: write [VARIANT.]KEY=LOW:HIGH, such as sgd.learning_rate=0.001:1"
            ) from None
        if not low < high:
            raise UsageError(f"--search {text}: {low:g} must be below {high:g}")
        tuned = [f"{each.name}.{range_.option}" for each in variants for range_ in each.ranges]
        if not any(known == place or (not dot and known.endswith(f".{option}")) for known in tuned):
            raise unknown_name("range", place, tuned)
        variants = tuple(
            _with_range(each, option, low, high, text) if each.name == name or not dot else each
            for each in variants
        )
    return variants


def _with_range(variant: StudyVariant, option: str, low: float, high: float, text: str) -> StudyVariant:
    """The variant with another range of an option that it is tuned by, if it is."""
    if low <= 0 and any(each.option == option and each.log for each in variant.ranges):
        raise UsageError(f"--search {text}: the range is logarithmic; its ends must be above 0")
    ranges = tuple(
        msgspec.structs.replace(each, low=low, high=high) if each.option == option else each
        for each in variant.ranges
    )
    return msgspec.structs.replace(variant, ranges=ranges)


# The part of a study that fits a time budget: trials are cut first, then seeds, then variants.


class StudySize(NamedTuple):
    """The number of variants that are run, from the first, and of seeds."""

    variants: int
    seeds: int

    def includes(self, variant: int, seed: int) -> bool:
        """Whether a run of this variant (an index) and seed is part of it."""
        return variant < self.variants and seed < self.seeds


def affordable_trials(trials: int, tuned: int, compared: int, run_seconds: float, left_seconds: float) -> int:
    """The number of trials of each of the ``tuned`` variants that leaves time for ``compared`` runs."""
    if not run_seconds:  # the first run ended before anything was timed
        return trials
    fitting = (left_seconds / run_seconds - compared) // tuned
    return max(min(trials, FEWEST_TRIALS), min(trials, int(fitting)))


def runs_within(
    missing: Sequence[StudyRun], run_seconds: float, budget_seconds: float, variants: int, seeds: int
) -> tuple[StudySize, list[StudyRun]]:
    """The largest size whose ``missing`` runs fit the budget, and those of them that it includes.

    Seeds are cut first, down to the two that an interval needs; then variants from the end of the list,
    down to one. The smallest size is returned even if it exceeds the budget: the deadline then ends the
    study. Recorded runs cost nothing.
    """
    fewest = min(seeds, FEWEST_SEEDS)
    sizes = [StudySize(variants, count) for count in range(seeds, fewest, -1)]
    sizes += [StudySize(count, fewest) for count in range(variants, 1, -1)]
    for size in sizes or [StudySize(variants, fewest)]:
        included = [run for run in missing if size.includes(run.variant, run.request.seed)]
        if run_seconds * len(included) <= budget_seconds:
            break
    return size, included


def mean_run_seconds(records: Sequence[Record]) -> float:
    """Mean duration of the runs, certification excluded: later runs find their certificate in the cache."""
    return statistics.fmean(sum(filter(None, record.phases.spent)) for record in records)


# The runs of a study that are recorded, by this or any other command.


def study_records(study: Study, store: Store) -> Iterator[Record]:
    """The study's runs among all records, of every machine, device and version."""
    descriptions = study.descriptions
    records = (record for record in RUNS.read_each(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in descriptions)
