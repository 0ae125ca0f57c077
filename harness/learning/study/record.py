"""Studies: the variants of a task that were compared, and the trials that tuned them.

A study file states only which variants belong together, and what tuning found. Runs are ordinary records,
identified by their content: a study continues where it stopped and includes runs that other commands made.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.core.documents.kinds import RecordKind
from harness.core.runs.record import Evaluation, Record
from harness.core.runs.store import RUNS, Store
from harness.learning.runs.conditions import Conditions
from harness.spec.backend import Precision
from harness.spec.study import Range, StudyKind, StudyVariant

SCHEMA = 2

Sampler = Literal["quasi-random", "tpe"]


def option_names(assignments: Iterable[str]) -> set[str]:
    """Return the names in ``assignments`` of options, such as ``width`` in ``width=0.5``."""
    return {assignment.partition("=")[0] for assignment in assignments}


class Variant(msgspec.Struct, frozen=True):
    """A variant of the task as it is compared; ``description`` is the sha256 that its records have.

    ``assignments`` include those that tuning found.
    """

    name: str
    assignments: list[str]
    description: str
    epochs: int
    every: int = 1
    """The epochs between two scores."""

    @property
    def options(self) -> set[str]:
        """The names of the options that the variant sets."""
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
    """A study file: its kind at the time, and the variants that were compared, in the order of the kind."""

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
    quick: bool = False
    """True for the short version for teaching."""
    tuned_on: str | msgspec.UnsetType = msgspec.UNSET
    """The configuration that made the trials, as text; unset without trials."""

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        described = {each.name: each for each in self.kind.variants}
        names = [each.name for each in self.variants]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"its variants are {', '.join(names) or 'none'}; expected each name once")
        if unknown := set(names) - set(described):
            raise ValueError(f"variant {min(unknown)!r} is unknown to its kind, {self.kind.name}")
        if unknown := {each.variant for each in self.trials} - set(names):
            raise ValueError(f"a trial is of variant {min(unknown)!r}, which it does not compare")
        if self.reference not in {"", *names}:
            raise ValueError(f"its reference {self.reference!r} is none of its variants")
        for name, assignments in (
            *((each.name, each.assignments) for each in self.variants),
            *((each.variant, each.assignments) for each in self.trials),
        ):
            _refuse_other_settings(described[name], assignments)

    @property
    def id(self) -> str:
        """The file's name: the same for the same question, independent of the trials so far."""
        asked = msgspec.structs.replace(
            self,
            trials=[],
            reference="",
            target=None,
            quick=False,
            variants=[
                msgspec.structs.replace(each, assignments=[], description="") for each in self.variants
            ],
            kind=msgspec.structs.replace(
                self.kind,
                meaning=(),
                terms={},
                title="",
                question="",
                summary="",
                ask_next=(),
                exercise="",
                solution="",
            ),
        )
        digest = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:8]
        return f"{self.kind.name}-{self.task}-{self.dataset}-{digest}"

    @property
    def reference_variant(self) -> Variant:
        """The variant that the others are compared with."""
        return next((each for each in self.variants if each.name == self.reference), self.variants[0])

    @property
    def descriptions(self) -> set[str]:
        """The descriptions of its variants and trials."""
        compared = {variant.description for variant in self.variants}
        return compared | {trial.description for trial in self.trials}

    def described(self, variant: str) -> StudyVariant:
        """Return the variant as the kind describes it."""
        return next(each for each in self.kind.variants if each.name == variant)

    def holds(self, conditions: Conditions, variant: Variant) -> bool:
        """Check whether runs under these conditions belong to this variant."""
        return (
            conditions.description == variant.description
            and conditions.dataset == self.dataset
            and (conditions.epochs, conditions.max_steps) == (variant.epochs, self.max_steps)
            and conditions.evaluation == Evaluation(variant.every)
            and (conditions.precision, conditions.threads) == (self.precision, self.threads)
        )


def _refuse_other_settings(variant: StudyVariant, assignments: Sequence[str]) -> None:
    """Raise ValueError if an assignment has no value, or an option that is tuned has no number."""
    values = {}
    for assignment in assignments:
        option, is_assigned, value = assignment.partition("=")
        values[option] = value
        if not is_assigned:
            raise ValueError(f"{variant.name}: {assignment!r} is no assignment of an option")
    for range_ in variant.ranges:
        if range_.option in values and not _is_in_reach(range_, values[range_.option]):
            raise ValueError(
                f"{variant.name}: {range_.option}={values[range_.option]} cannot have been tuned"
            )


def _is_in_reach(range_: Range, text: str) -> bool:
    """Check that ``text`` is a number on the scale of a range; it may lie outside."""
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and (number > 0 or not range_.log)


def _run_files(study: Study, results: Path) -> Iterator[Path]:
    """Yield the files of the runs of a study."""
    store = Store(results)
    return (store.folder / f"{record.id}.json" for record in study_records(study, store))


STUDIES = RecordKind(
    name="study",
    folder="studies",
    type=Study,
    schema=SCHEMA,
    mark="variants",
    row="harness.learning.study.page:row",
    document="harness.learning.study.page:text_document",
    page="harness.learning.study.page:page_document",
    suffixes=(".html",),
    reads_results=True,
    others=_run_files,
)


def study_records(study: Study, store: Store) -> Iterator[Record]:
    """Yield the runs of the study among all records of the store: any machine, device and version."""
    descriptions = study.descriptions
    records = (record for record in RUNS.read_each(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in descriptions)
