"""Studies: remedies for overfitting or imbalance, each compared with the plain task on paired seeds.

A study file states only which remedies belong together. Their runs are ordinary records, identified by
their content: a study continues where it stopped and includes runs that other commands made.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.analysis.conditions import Conditions
from harness.errors import HarnessError
from harness.machine.files import replace_result, with_checksum
from harness.runs.documents import RecordKind
from harness.runs.record import Evaluation
from harness.spec.backend import Precision

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
    def name(self) -> str:
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


def save_study(study: Study, results: Path) -> Path:
    """Write the study's file and return its path.

    Raises:
        HarnessError: the file cannot be written.
    """
    path = results / STUDIES.folder / f"{study.name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_result(path, with_checksum(msgspec.json.format(msgspec.json.encode(study), indent=2)))
    except OSError as error:
        raise HarnessError(f"the study {path} cannot be written: {error.strerror}") from error
    return path
