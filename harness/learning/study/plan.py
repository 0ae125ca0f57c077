"""What a study will run: every variant that fits the task, on every seed and backend; how long it takes."""

import itertools
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import Value, describe_options, parse_options
from harness.core.plugins.selection import select_backend
from harness.core.runs.record import Evaluation, Record
from harness.core.runs.request import TRIAL_SEED, RunRequest, StopRule, choose_dataset
from harness.errors import UsageError, unknown_name
from harness.learning.study.parts import check_names, parts_of
from harness.learning.study.record import Sampler, Study, Trial, Variant, option_names
from harness.spec.backend import Precision
from harness.spec.data import DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.study import QuickForm, StudyKind, StudyVariant
from harness.spec.task import Task

#: With fewer seeds there is no interval, and so no recommendation.
FEWEST_SEEDS = 2
#: With fewer trials a variant is hardly tuned.
FEWEST_TRIALS = 3


class StudyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The requested study; None leaves a number to the kind, or to its short form if ``quick``.

    ``assignments`` are ``KEY=VALUE`` texts. ``chosen`` are names of variants, or ``NEW=NAME`` for a second
    copy of a variant under another name; empty: all. ``searched`` are ranges, ``[VARIANT.]KEY=LOW:HIGH``.
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


_FEWEST_VARIANTS = 2


class Omission(NamedTuple):
    """A variant that is left out, and why."""

    variant: str
    reason: str


class _DefinedTask(NamedTuple):
    task: Task
    values: dict[str, Value]


class StudyPlan:
    """The runs of a study: trials of the variants that are tuned, then every variant on every seed.

    The constructor fetches the data set.

    Raises:
        UsageError: a name is unknown, a backend is not installed, an option does not fit, the kind names an
            unknown part, or it does not apply to the task.
        DataError: no data set of the task can be obtained.
    """

    def __init__(self, options: StudyOptions, progress: DownloadProgress) -> None:
        kind, quick = options.kind, options.kind.quick if options.quick else None
        if quick and quick.assignments:
            given = option_names(options.assignments)
            own = [each for each in quick.assignments if not option_names([each]) & given]
            options = msgspec.structs.replace(options, assignments=[*options.assignments, *own])
        check_names(kind)
        self.options = options
        self.seeds = options.seeds or (quick.seeds if quick else kind.seeds)
        self._definition = registry.task(options.task)
        selections = [select_backend(name) for name in options.backends]
        self._epochs = self._task_epochs()
        variants = _chosen(kind, options.chosen or list(quick.variants if quick else ()))
        searched = _searched(variants, options.searched)
        self.kind = msgspec.structs.replace(kind, variants=searched, quick=QuickForm())
        self.variants, self.omissions = self._fitting()
        self._works = {work for part in parts_of(kind) for work in part.works}
        tuned = any(variant.ranges for variant in self.variants)
        self.trials = (options.trials or (quick.trials if quick else kind.trials)) if tuned else 0
        wanted = options.dataset or self._quick_dataset()
        self._dataset = choose_dataset(self._definition, wanted, progress)
        # The same modes for all variants, because they are compared with one another.
        plain = self.defined(self.variants[0]).task
        chosen = [(each.backend.name, mode) for each in selections for mode in each.modes(plain)]
        self.configurations = list(dict.fromkeys(chosen))
        federated = {self.defined(each).task.federated is not None for each in self.variants}
        if options.max_steps and federated == {True, False}:
            raise UsageError(
                "--max-steps counts rounds where there are clients, and batches elsewhere; use --epochs"
            )

    def _task_epochs(self) -> int:
        """Return the epochs of a variant that does not multiply them."""
        options = self.options
        if options.epochs:
            return options.epochs
        own = define_task(self._definition, parse_options(self._definition, options.assignments)).epochs
        return max(2, round(own * options.kind.quick.epochs)) if options.quick else own

    def _quick_dataset(self) -> str | None:
        quick = self.options.kind.quick.dataset if self.options.quick else None
        return quick if quick in self._definition.datasets else None

    def _suited(self) -> list[StudyVariant]:
        """Return the variants for the objective of the task; a comparison needs two."""
        options, definition = self.options, self._definition
        objective = define_task(definition, parse_options(definition, options.assignments)).objective
        tag = objective.__struct_config__.tag
        suited, every = (
            [each for each in kind.variants if not each.objectives or tag in each.objectives]
            for kind in (self.kind, options.kind)
        )
        if len(suited) >= _FEWEST_VARIANTS:
            return suited
        if options.chosen and len(every) >= _FEWEST_VARIANTS:
            raise UsageError(
                f"--variants {','.join(options.chosen)}: a study compares two or more variants; for task "
                f"{definition.name} these are {', '.join(each.name for each in every)}."
            )
        raise UsageError(
            f"study {self.kind.name} does not apply to task {definition.name}; it applies to "
            f"{', '.join(self.kind.tasks)}."
        )

    def _fitting(self) -> tuple[list[StudyVariant], list[Omission]]:
        """Divide the variants into those that fit the task and the user's options, and the omitted ones."""
        definition = self._definition
        suited = self._suited()
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
                continue  # the task has no such option
            free = _free(variant, known, given)
            taken = options & given
            if not taken and not free.ranges:  # nothing is left to tune
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
        """Define the task of a variant, with the settings that tuning ``found``."""
        values = parse_options(self._definition, [*self.options.assignments, *variant.assignments, *found])
        epochs = max(1, round(self._epochs * variant.epochs))
        task = resized(define_task(self._definition, values), epochs=epochs)
        return _DefinedTask(task, msgspec.structs.asdict(values))

    def trial(
        self, variant: StudyVariant, found: Sequence[str], label: str, stop: StopRule | None
    ) -> RunRequest:
        """Request a trial of the settings ``found``.

        It runs on the first configuration: certified ones compute the same.
        """
        defined = self.defined(variant, found)
        return self._request(
            variant, defined, self.configurations[0], TRIAL_SEED, f"{variant.name}, {label}", stop
        )

    def study(
        self,
        found: Mapping[str, Sequence[str]],
        trials: Sequence[Trial],
        reference: str = "",
        target: float | None = None,
    ) -> Study:
        """Make the study file; ``found`` has the settings of each variant that is tuned."""
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
            quick=options.quick,
            tuned_on=":".join(self.configurations[0]) if self.trials else msgspec.UNSET,
        )

    def runs(self, found: Mapping[str, Sequence[str]]) -> list[RunRequest]:
        """Return the runs that are compared, ordered by seed, then variant, then backend."""
        defined = [(each, self.defined(each, found.get(each.name, ()))) for each in self.variants]
        return [
            self._request(variant, task, configuration, seed, variant.name, None)
            for seed, (variant, task), configuration in itertools.product(
                range(self.seeds), defined, self.configurations
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
            asks_for=tuple(sorted(self._works)) if stop is None else (),
            stop=stop,
        )


def _free(variant: StudyVariant, known: Collection[str], given: Collection[str]) -> StudyVariant:
    """Keep the ranges of options that the task has (``known``) and the user has not set (``given``)."""
    ranges = tuple(each for each in variant.ranges if each.option in known and each.option not in given)
    return msgspec.structs.replace(variant, ranges=ranges)


def scored_every(variant: StudyVariant) -> int:
    """Return the epochs between two scores, so that all variants are scored after as many steps."""
    return max(1, round(variant.epochs))


def centre(variant: StudyVariant) -> list[str]:
    """Return the centre of each range, as assignments."""
    return [
        setting(each.option, (each.low * each.high) ** 0.5 if each.log else (each.low + each.high) / 2)
        for each in variant.ranges
    ]


def setting(option: str, value: float) -> str:
    """Write an assignment with three significant digits, which a user can type."""
    return f"{option}={value:.3g}"


def _chosen(kind: StudyKind, names: Sequence[str]) -> tuple[StudyVariant, ...]:
    """Return the variants of these names, ``NEW=NAME`` for a copy under another name; without names, all."""
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
    """Replace ranges of the variants by those in ``texts``, ``[VARIANT.]KEY=LOW:HIGH``."""
    for text in texts:
        place, _, ends = text.partition("=")
        name, dot, option = place.rpartition(".")
        try:
            low, high = map(float, ends.split(":"))
        except ValueError:
            raise UsageError(
                f"--search {text}: write [VARIANT.]KEY=LOW:HIGH, such as sgd.learning_rate=0.001:1"
            ) from None
        if not -math.inf < low < high < math.inf:
            raise UsageError(f"--search {text}: {low:g} must be below {high:g}, and both must be finite")
        tuned = [f"{each.name}.{range_.option}" for each in variants for range_ in each.ranges]
        if not any(known == place or (not dot and known.endswith(f".{option}")) for known in tuned):
            raise unknown_name("range", place, tuned)
        variants = tuple(
            _with_range(each, option, low, high, text) if each.name == name or not dot else each
            for each in variants
        )
    return variants


def _with_range(variant: StudyVariant, option: str, low: float, high: float, text: str) -> StudyVariant:
    """Replace the range of an option, if the variant has one; ``text`` is for errors."""
    if low <= 0 and any(each.option == option and each.log for each in variant.ranges):
        raise UsageError(f"--search {text}: the range is logarithmic; its ends must be above 0")
    ranges = tuple(
        msgspec.structs.replace(each, low=low, high=high) if each.option == option else each
        for each in variant.ranges
    )
    return msgspec.structs.replace(variant, ranges=ranges)


def seconds_expected(requests: Iterable[RunRequest], records: Sequence[Record]) -> float:
    """Estimate how long the requests take: their epochs, times the mean time of an epoch in complete runs.

    All phases of a run but certification count: later runs find their certificate cached. 0 where no run is
    complete.
    """
    known = [
        sum(filter(None, record.phases.spent)) / record.epochs_asked
        for record in records
        if record.status == "ok"
    ]
    return statistics.fmean(known) * sum(request.task.epochs for request in requests) if known else 0.0
