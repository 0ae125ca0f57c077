"""Groups of comparable runs: those under equal conditions, by configuration, one run for each seed."""

import itertools
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from harness.core.audit.comparison import first_difference
from harness.core.certify.dropout import uses_dropout
from harness.core.documents.kinds import Status
from harness.core.runs.fields import AxisValue, versions_text
from harness.core.runs.record import Record
from harness.core.runs.request import TRIAL_SEED
from harness.core.runs.sharing import FINISHED
from harness.core.runs.words import evaluation_text
from harness.core.training.measures import Measure
from harness.learning.runs.axes import (
    Distinction,
    Traits,
    distinctions,
    has_equal_losses,
    is_other_training,
    title_of_values,
)
from harness.learning.runs.conditions import Conditions, Difference
from harness.learning.runs.run_curves import Run
from harness.spec.backend import Precision

#: A backend with its mode as on the command line, and its versions as text.
Identity = tuple[str, str]
_T = TypeVar("_T")

_LONGEST_MESSAGE = 160
#: The beginning of a host's id, which is enough in a title.
_HOST_ID = re.compile(r"(\([0-9a-f]{4})[0-9a-f]*\)$")
#: The reason why a run is left out: how it ended, that a newer run has the same seed, or that it is a trial.
Reason = Status | Literal["superseded", "trial"]
_LeftOut = Counter[tuple[str, str, Reason, str]]


@dataclass(frozen=True, slots=True)
class ConfigurationRuns:
    """One backend and mode in one version of its framework: the newest ``ok`` run of each seed.

    In a group that is compared along axes it is one combination of their ``values``, in the same backend.
    """

    name: str
    """``torch:eager``, with versions where the group holds several; along axes ``learning_rate=0.1``."""
    runs: tuple[Run, ...]
    values: tuple[AxisValue, ...] = ()
    cache: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    """Values that :mod:`harness.learning.runs.seed_values` has computed from the runs."""

    @property
    def identity(self) -> Identity:
        """The configuration with its versions; ``name`` states versions only where a group holds several."""
        return _identity(self.runs[0])

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the runs."""
        return [run.record.seed for run in self.runs]

    def by_seed(self, value_of: Callable[[Run], _T | None]) -> dict[int, _T]:
        """Return a value of each run by its seed; runs without the value are left out."""
        values = {run.record.seed: value_of(run) for run in self.runs}
        return {seed: value for seed, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RunGroup:
    """The configurations that ran under equal conditions, apart from the ``axes`` along which they differ.

    ``distinctions`` are what sets these conditions apart from others of the same task and data. Along axes
    ``conditions`` are those of the first configuration.
    """

    conditions: Conditions
    distinctions: tuple[Distinction, ...]
    configurations: tuple[ConfigurationRuns, ...]
    axes: tuple[str, ...] = ()

    @property
    def is_of_settings(self) -> bool:
        """True if the configurations are trained differently, so that quality comes before speed."""
        return is_other_training(self.axes)

    @property
    def comparable(self) -> bool:
        """True if all work is certified; for settings of one backend, if no certificate failed."""
        if not self.axes:
            return self.conditions.certified
        runs = (run for configuration in self.configurations for run in configuration.runs)
        certificates = [run.record.certificate for run in runs]
        if self.is_of_settings:
            return all(each is None or each.certified for each in certificates)
        return all(each is not None and each.certified for each in certificates)

    @property
    def measure(self) -> Measure:
        """The measure of quality."""
        return self.configurations[0].runs[0].measure

    @property
    def title(self) -> str:
        """``cnn on digits, 10 epochs``, with its distinctions; along axes ``Adam and SGD on cnn: …``."""
        conditions = self.conditions
        steps = f", at most {conditions.max_steps} steps" if conditions.max_steps else ""
        epochs = f"{conditions.epochs} epoch{'s' * (conditions.epochs != 1)}"
        texts = [distinction.text for distinction in self.distinctions]
        if not self.axes:
            return ", ".join([f"{conditions.task} on {conditions.dataset}", f"{epochs}{steps}", *texts])
        values = [configuration.values for configuration in self.configurations]
        amount = [] if {"epochs", "max_steps"} & set(self.axes) else [f"{epochs}{steps}"]
        backend = self.configurations[0].runs[0].record.configuration.label if "mode" not in self.axes else ""
        rest = ", ".join(filter(None, [conditions.dataset, *amount, backend, *texts]))
        return f"{title_of_values(self.axes, values)} on {conditions.task}: {rest}"


class LeftOut(NamedTuple):
    """Runs that nothing uses, and the reason."""

    task: str
    configuration: str
    reason: Reason
    message: str
    runs: int


@dataclass(frozen=True, slots=True)
class GroupedRuns:
    """Runs in groups, those with the most configurations and runs first, and what was left out."""

    groups: list[RunGroup]
    left_out: list[LeftOut]


def group_runs(runs: Iterable[Run]) -> GroupedRuns:
    """Group the runs by their conditions; leave out trials of studies, which only choose settings."""
    usable: dict[Conditions, list[Run]] = defaultdict(list)
    failed: dict[Conditions, list[Run]] = defaultdict(list)
    trials: _LeftOut = Counter()
    for run in runs:
        if run.record.seed == TRIAL_SEED and run.record.status in FINISHED:
            trials[run.record.task.name, run.record.configuration.label, "trial", ""] += 1
            continue
        (usable if run.record.status == "ok" else failed)[Conditions.of(run.record)].append(run)
    left_out = _failed(failed, usable) + trials
    described = {conditions: traits(conditions, runs[0].record) for conditions, runs in usable.items()}
    apart = distinctions(described)
    groups = []
    for conditions, members in usable.items():
        configurations, superseded = _configurations(members)
        for label, count in superseded.items():
            left_out[conditions.task, label, "superseded", ""] += count
        groups.append(RunGroup(conditions, apart[conditions], configurations))
    groups.sort(key=size_of_group, reverse=True)
    return GroupedRuns(groups, [LeftOut(*key, runs=count) for key, count in left_out.items()])


def _failed(failed: Mapping[Conditions, list[Run]], usable: Mapping[Conditions, list[Run]]) -> _LeftOut:
    """Count the runs that are not usable by how they ended, each named with the options that set it apart."""
    if not failed:
        return Counter()
    every = {conditions: runs[0].record for conditions, runs in (*usable.items(), *failed.items())}
    apart = distinctions({conditions: traits(conditions, record) for conditions, record in every.items()})
    left_out: _LeftOut = Counter()
    for conditions, runs in failed.items():
        for record in (run.record for run in runs):
            named = {*record.task.options, *(["batch"] if record.batch_size else [])}
            own = [each.text for each in apart[conditions] if each.name in named]
            name = ", ".join([record.configuration.label, *own])
            left_out[record.task.name, name, record.status, _message(record)] += 1
    return left_out


def size_of_group(group: RunGroup) -> tuple[int, int]:
    """Return the sort key of a group: the number of configurations, then of runs."""
    return len(group.configurations), sum(len(configuration.runs) for configuration in group.configurations)


def _message(record: Record) -> str:
    """Return the first line of a failure's message."""
    text = record.failure.message.partition("\n")[0] if record.failure else ""
    return textwrap.shorten(text, _LONGEST_MESSAGE) if text else ""


def traits(conditions: Conditions, record: Record) -> Traits:
    """Return what the names of task and data set do not state."""
    labels = {
        "version": f"task version {conditions.version}",
        "fingerprint": f"data {(conditions.fingerprint or 'unknown')[:8]}",
        "batch": f"batch size {record.batch_text}",
        "precision": conditions.precision,
        "device": conditions.device or "unknown device",
        "threads": f"{conditions.threads} thread{'s' * (conditions.threads != 1)}",
        "machine": conditions.machine,
        "host": _HOST_ID.sub(r"\1)", conditions.host) or "unknown host",
        "evaluation": f"scores: {evaluation_text(conditions.evaluation)}",
        "certified": "" if conditions.certified else "not certified",
        "variables": conditions.variables,
    }
    return Traits(f"{conditions.task} on {conditions.dataset}", record.task.options, labels)


def _identity(run: Run) -> Identity:
    return run.record.configuration.label, versions_text(run.record)


def _configurations(members: list[Run]) -> tuple[tuple[ConfigurationRuns, ...], Counter[str]]:
    """Return the configurations of a group, by name, and how many runs of each a newer run supersedes."""
    by_identity: dict[Identity, dict[int, Run]] = defaultdict(dict)
    superseded: Counter[str] = Counter()
    for run in sorted(members, key=lambda run: run.record.started_at):
        by_seed = by_identity[_identity(run)]
        superseded[run.record.configuration.label] += run.record.seed in by_seed
        by_seed[run.record.seed] = run
    versions_of = Counter(label for label, _ in by_identity)
    configurations = []
    for (label, version), by_seed in sorted(by_identity.items()):
        name = f"{label} ({version or 'version unknown'})" if versions_of[label] > 1 else label
        runs = tuple(run for _, run in sorted(by_seed.items()))
        configurations.append(ConfigurationRuns(name, runs))
    return tuple(configurations), +superseded


class DifferentWork(NamedTuple):
    """Two configurations that do different work: the first step whose loss is not the same in both."""

    task: str
    title: str
    configurations: tuple[str, str]
    runs: int
    seed: int
    step: int
    losses: tuple[float | None, float | None]


def different_work(group: RunGroup) -> DifferentWork | None:
    """Find the first pair of configurations of a group whose runs with one seed begin with different losses.

    All of them start from the same weights and see the same batches, so the losses are equal until rounding
    separates the trainings. Tasks with dropout or DP-SGD are left out: frameworks draw for themselves. So are
    configurations that differ along axes that change the losses, such as the learning rate.
    """
    first, *others = group.configurations
    task = first.runs[0].record.task.description
    draws_itself = uses_dropout(task) or task.privacy is not None
    if not others or not has_equal_losses(group.axes) or draws_itself:
        return None
    ours = first.by_seed(_with_losses)
    for other in others:
        for seed, theirs in other.by_seed(_with_losses).items():
            if seed in ours and (step := _differing_step(ours[seed], theirs)) is not None:
                return DifferentWork(
                    task=group.conditions.task,
                    title=group.title,
                    configurations=(first.name, other.name),
                    runs=sum(len(configuration.runs) for configuration in group.configurations),
                    seed=seed,
                    step=step + 1,
                    losses=(ours[seed].first_losses[step][-1], theirs.first_losses[step][-1]),
                )
    return None


def _with_losses(run: Run) -> Record | None:
    return run.record if run.record.first_losses else None


def _differing_step(ours: Record, theirs: Record) -> int | None:
    count = min(len(ours.first_losses), len(theirs.first_losses))
    precision: Precision = ours.configuration.precision
    return first_difference(ours.first_losses[:count], theirs.first_losses[:count], precision)


#: The number of largest groups among which the nearest is searched.
_SEARCHED_GROUPS = 100


class NotCertified(NamedTuple):
    """A group that is not compared because its work is not certified."""

    task: str
    title: str
    configurations: tuple[str, ...]
    runs: int
    reasons: tuple[str, ...]
    """What the certificates say; empty where none was asked for."""


class NoPartner(NamedTuple):
    """A configuration that is alone in its group, and how the nearest group with another one differs."""

    task: str
    title: str
    configuration: str
    runs: int
    differences: tuple[Difference, ...]


class NoPlainRuns(NamedTuple):
    """A remedy of a study whose runs have no runs of the reference variant under the same conditions."""

    task: str
    title: str
    configuration: str
    runs: int
    remedy: str
    reference: str
    differences: tuple[Difference, ...]
    """From the nearest runs of the reference; empty where this version has none."""


KeptApart = NotCertified | DifferentWork | NoPartner | NoPlainRuns


def kept_apart(groups: Sequence[RunGroup], in_sections: Container[Conditions] = ()) -> list[KeptApart]:
    """Return groups that are not certified or do different work, and configurations alone in their group.

    Configurations under the conditions ``in_sections`` are compared there, and need no partner here.
    """
    apart: list[KeptApart] = []
    for group in groups:
        if not group.comparable:
            apart.append(_not_certified(group))
        elif (different := different_work(group)) is not None:
            apart.append(different)
        elif (
            len(group.configurations) == 1
            and group.conditions not in in_sections
            and (differences := _from_nearest(group, groups))
        ):
            (alone,) = group.configurations
            task, runs = group.conditions.task, len(alone.runs)
            apart.append(NoPartner(task, group.title, alone.name, runs, tuple(differences)))
    return apart


def _not_certified(group: RunGroup) -> NotCertified:
    records = [run.record for configuration in group.configurations for run in configuration.runs]
    reasons = {record.certificate.reason for record in records if record.certificate}
    return NotCertified(
        task=group.conditions.task,
        title=group.title,
        configurations=tuple(configuration.name for configuration in group.configurations),
        runs=len(records),
        reasons=tuple(sorted(reason for reason in reasons if reason)),
    )


def _from_nearest(group: RunGroup, groups: Sequence[RunGroup]) -> list[Difference]:
    """Return how the nearest group of the task with another configuration differs; empty without one."""
    names = {configuration.name for configuration in group.configurations}
    others = [
        other.conditions
        for other in itertools.islice(groups, _SEARCHED_GROUPS)
        if other.conditions.task == group.conditions.task
        and other is not group
        and any(configuration.name not in names for configuration in other.configurations)
    ]
    return min(map(group.conditions.differences, others), key=len, default=[])
