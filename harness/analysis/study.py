"""Studies: remedies for overfitting or imbalance, each against the plain task, seeds paired.

A study file says only which remedies belong together. Their runs are ordinary records, found by what
they are, so that a study goes on where it stopped and takes in runs that were made otherwise.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.analysis.comparability import Conditions
from harness.errors import HarnessError
from harness.machine.files import replace_file
from harness.runs.record import Record
from harness.spec.backend import Precision

STUDIES = "studies"
SCHEMA = 1
#: Below this many seeds there is no interval, and so no recommendation.
FEWEST_SEEDS = 2

Kind = Literal["overfitting", "imbalance"]


class Remedy(NamedTuple):
    """A name and the options, as ``--set`` takes them, that make it of the task."""

    name: str
    assignments: tuple[str, ...]

    @property
    def options(self) -> set[str]:
        """The names of the options that it changes."""
        return {assignment.partition("=")[0] for assignment in self.assignments}


#: What each study tries; the first is what the others are held against. The order is that in which
#: remedies are kept where time is short.
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
    """A remedy as it was asked for; ``description`` is the sha256 by which records tell it."""

    name: str
    assignments: list[str]
    description: str


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study file; variants are held against the first."""

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
    def name(self) -> str:
        """The file's name: the same whenever the same is asked for."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        return f"{self.kind}-{self.task}-{self.dataset}-{digest}"

    def holds(self, setting: Conditions, variant: Variant) -> bool:
        """Whether runs of this setting are of this variant."""
        return (
            setting.description == variant.description
            and setting.dataset == self.dataset
            and (setting.epochs, setting.max_steps) == (self.epochs, self.max_steps)
            and (setting.precision, setting.threads) == (self.precision, self.threads)
        )


def save_study(study: Study, results: Path) -> Path:
    """Write the study's file; its path.

    Raises:
        HarnessError: it cannot be written.
    """
    path = results / STUDIES / f"{study.name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.format(msgspec.json.encode(study), indent=2) + b"\n")
    except OSError as error:
        raise HarnessError(f"the study {path} cannot be written: {error.strerror}") from error
    return path


def read_studies(results: Path) -> tuple[list[Study], list[str]]:
    """The studies of a results folder, and for each file that is none a sentence that names it."""
    studies, unreadable = [], []
    for path in sorted((results / STUDIES).glob("*.json")):
        try:
            study = msgspec.json.decode(path.read_bytes(), type=Study)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            unreadable.append(f"{path} is not a study that can be read: {error}")
        else:
            if study.schema > SCHEMA:
                later = f"schema {study.schema} is newer than {SCHEMA}"
                unreadable.append(f"{path} was written by a later harness: {later}")
            else:
                studies.append(study)
    return studies, unreadable


class StudyPlan(NamedTuple):
    """How much of a study fits a budget: the variants that are kept, in order, and the seeds."""

    variants: int
    seeds: int


def plan_size(
    missing: Collection[tuple[int, int]],
    run_seconds: float,
    budget_seconds: float,
    variants: int,
    seeds: int,
) -> StudyPlan:
    """The largest plan whose ``missing`` runs, each a variant's place and a seed, fit the budget.

    Seeds go first, down to the two that an interval takes; then remedies from the end of the list, down
    to one; the budget itself stops what is still too much. What has been run before costs nothing.
    """
    fewest = min(seeds, FEWEST_SEEDS)
    plans = [StudyPlan(variants, count) for count in range(seeds, fewest, -1)]
    plans += [StudyPlan(count, fewest) for count in range(variants, 1, -1)]
    plans = plans or [StudyPlan(variants, fewest)]

    def seconds(plan: StudyPlan) -> float:
        return run_seconds * sum(place < plan.variants and seed < plan.seeds for place, seed in missing)

    return next((plan for plan in plans if seconds(plan) <= budget_seconds), plans[-1])


def done(study: Study, records: Iterable[Record]) -> set[tuple[str, str, int]]:
    """What need not be run again: variant, side as on the command line, and seed of each ``ok`` run."""
    return {
        (variant.name, record.label, record.seed)
        for record in records
        for variant in study.variants
        if record.status == "ok" and study.holds(Conditions.of(record), variant)
    }
