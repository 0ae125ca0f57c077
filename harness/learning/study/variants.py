"""The variants of a study that fit a task and the user's options. No data set and no backend is needed."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from harness.core.plugins import registry
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import Value, describe_options, parse_options
from harness.errors import UsageError, unknown_name
from harness.learning.study.record import Sampler, option_names
from harness.spec.backend import Precision
from harness.spec.study import QuickForm, StudyKind, StudyVariant
from harness.spec.task import Task

#: A study compares.
FEWEST_VARIANTS = 2


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


class Omission(NamedTuple):
    """A variant that is left out, and why."""

    variant: str
    reason: str


class DefinedTask(NamedTuple):
    """The task of a variant, and the values of its options."""

    task: Task
    values: dict[str, Value]


class Design:
    """The variants that are compared, those that are left out, and the numbers of seeds and trials."""

    def __init__(self, options: StudyOptions) -> None:
        kind, quick = options.kind, options.kind.quick if options.quick else None
        if quick and quick.assignments:
            given = option_names(options.assignments)
            own = [each for each in quick.assignments if not option_names([each]) & given]
            options = msgspec.structs.replace(options, assignments=[*options.assignments, *own])
        self.options = options
        self.definition = registry.task(options.task)
        self.seeds = options.seeds or (quick.seeds if quick else kind.seeds)
        self.epochs = self._task_epochs()
        variants = _chosen(kind, options.chosen or list(quick.variants if quick else ()))
        searched = _searched(variants, options.searched)
        self.kind = msgspec.structs.replace(kind, variants=searched, quick=QuickForm())
        self.variants, self.omissions = self._fitting()
        tuned = any(variant.ranges for variant in self.variants)
        self.trials = (options.trials or (quick.trials if quick else kind.trials)) if tuned else 0

    @property
    def dataset(self) -> str | None:
        """The data set that the user or the short form names; None: the task's own."""
        quick = self.options.kind.quick.dataset if self.options.quick else None
        return self.options.dataset or (quick if quick in self.definition.datasets else None)

    def defined(self, variant: StudyVariant, found: Sequence[str] = ()) -> DefinedTask:
        """Define the task of a variant, with the settings that tuning ``found``."""
        values = parse_options(self.definition, [*self.options.assignments, *variant.assignments, *found])
        epochs = max(1, round(self.epochs * variant.epochs))
        task = resized(define_task(self.definition, values), epochs=epochs)
        return DefinedTask(task, msgspec.structs.asdict(values))

    def _task_epochs(self) -> int:
        """Return the epochs of a variant that does not multiply them."""
        options = self.options
        if options.epochs:
            return options.epochs
        own = define_task(self.definition, parse_options(self.definition, options.assignments)).epochs
        return max(2, round(own * options.kind.quick.epochs)) if options.quick else own

    def _suited(self) -> list[StudyVariant]:
        """Return the variants for the objective of the task; a comparison needs two."""
        options, definition = self.options, self.definition
        objective = define_task(definition, parse_options(definition, options.assignments)).objective
        tag = objective.__struct_config__.tag
        suited, every = (
            [each for each in kind.variants if not each.objectives or tag in each.objectives]
            for kind in (self.kind, options.kind)
        )
        if len(suited) >= FEWEST_VARIANTS:
            return suited
        if options.chosen and len(every) >= FEWEST_VARIANTS:
            raise UsageError(
                f"--variants {','.join(options.chosen)}: a study compares two or more variants; for task "
                f"{definition.name} these are {', '.join(each.name for each in every)}."
            )
        raise self._does_not_apply()

    def _does_not_apply(self, why: str = "") -> UsageError:
        name, kind = self.definition.name, self.kind
        fitting = ", ".join(each for each in kind.tasks if each != name)
        reason = f": {why}" if why else ""
        return UsageError(
            f"study {kind.name} does not apply to task {name}{reason}; it applies to {fitting}."
        )

    def _fitting(self) -> tuple[list[StudyVariant], list[Omission]]:
        """Divide the variants into those that fit the task and the user's options, and the omitted ones."""
        definition = self.definition
        suited = self._suited()
        known = {name for name, *_ in describe_options(definition)}
        given = option_names(self.options.assignments)
        first, *others = suited
        if missing := option_names(first.assignments) - known:
            raise self._does_not_apply(f"the task has no option {min(missing)}, which the study needs")
        if taken := option_names(first.assignments) & given:
            raise UsageError(
                f"--set {min(taken)}: the study {self.kind.name} sets this option; leave it out."
            )
        fitting, omissions = [_free(first, known, given)], list[Omission]()
        tasks = [self.defined(fitting[0], centre(fitting[0])).task]
        for variant in others:
            free = _free(variant, known, given)
            reason = _misfit(variant, free, known, given)
            if not reason:
                try:
                    task = self.defined(free, centre(free)).task
                except UsageError as error:
                    reason = f"the task does not accept it: {str(error).removeprefix('--set: ').rstrip('.')}"
                else:
                    if task in tasks and not free.ranges:
                        reason = f"{fitting[tasks.index(task)].name} is the same task"
            if reason:
                omissions.append(Omission(variant.name, reason))
            else:
                fitting.append(free)
                tasks.append(task)
        if len(fitting) < FEWEST_VARIANTS and not self.kind.early_stopping:
            name, reason = omissions[0]
            raise self._does_not_apply(f"{name} is left out, because {reason}")
        return fitting, omissions


def _misfit(variant: StudyVariant, free: StudyVariant, known: Collection[str], given: Collection[str]) -> str:
    """Return why a variant cannot be compared: an option that the task lacks or the user has set."""
    set_options, tuned = option_names(variant.assignments), {each.option for each in variant.ranges}
    if missing := (set_options - set(known)) or (tuned if not tuned & set(known) else set()):
        return f"the task has no option {min(missing)}"
    taken = set_options & set(given)
    if not taken and not free.ranges:  # nothing is left to tune
        taken = tuned & set(given)
    return f"--set {min(taken)} sets the option that it changes" if taken else ""


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
        if not sign or text in by_name:  # names of variants of one's own model have a sign, too
            new = name = text
        if (known := by_name.get(name)) is None:
            raise unknown_name(kind.noun, name, by_name)
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
