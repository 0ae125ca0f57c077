"""Which runs may be compared: those that differ in nothing but the side, and why the others may not."""

import itertools
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from harness.analysis.run_curves import Run
from harness.analysis.titles import Described, plain, tell_apart
from harness.machine.description import Machine
from harness.plugins.versions import side_versions
from harness.runs.record import Record
from harness.training.measures import Measure

#: A backend with its mode as on the command line, and its versions in words.
Identity = tuple[str, str]


#: Variables that are recorded, and tell where files are, what is printed, or what the device or the backend
#: tells too.
_NO_OTHER_WORK = {
    "CUDA_VISIBLE_DEVICES",
    "CXX",
    "KERAS_BACKEND",
    "KERAS_HOME",
    "KERAS_TORCH_DEVICE",
    "TF_CPP_MAX_VLOG_LEVEL",
    "TF_CPP_MIN_LOG_LEVEL",
    "TORCH_HOME",
    "TORCH_LOGS",
}


class Conditions(msgspec.Struct, frozen=True):
    """All that must be the same for two runs to be compared; a side is what may differ."""

    task: str
    version: int
    description: str
    dataset: str
    fingerprint: str | None
    epochs: int
    max_steps: int | None
    precision: str
    device: str | None
    threads: int
    machine: str
    certified: bool
    variables: str = ""
    """Of the user's shell, those that are known to bear on speed or results."""

    @classmethod
    def of(cls, record: Record) -> "Conditions":
        """The setting of a record."""
        return cls(
            task=record.task.name,
            version=record.task.version,
            description=record.task.sha256,
            dataset=record.dataset.name,
            fingerprint=record.dataset.fingerprint,
            epochs=record.epochs_asked,
            max_steps=record.max_steps,
            precision=record.precision,
            device=record.device,
            threads=record.threads,
            machine=machine_text(record.machine),
            certified=bool(record.certificate and record.certificate.certified),
            variables=variables_text(record.inherited_variables),
        )

    @property
    def surroundings(self) -> "Conditions":
        """What stays the same where the task's options change."""
        return msgspec.structs.replace(self, description="")

    def differs(self, other: "Conditions") -> list[str]:
        """What keeps the two apart, in words."""
        words = {
            "task": "another task",
            "version": f"task version {self.version} against {other.version}",
            "description": "other options or another description of the task",
            "dataset": f"data {self.dataset} against {other.dataset}",
            "fingerprint": f"other bytes of {self.dataset}",
            "epochs": f"{self.epochs} epochs against {other.epochs}",
            "max_steps": f"at most {self.max_steps or 'all'} steps against {other.max_steps or 'all'}",
            "precision": f"{self.precision} against {other.precision}",
            "device": f"device {self.device} against {other.device}",
            "threads": f"{self.threads} threads against {other.threads}",
            "machine": f"machine {self.machine} against {other.machine}",
            "certified": "certified against not certified",
            "variables": f"{self.variables or 'nothing'} in the shell against {other.variables or 'nothing'}",
        }
        different = {name for name in words if getattr(self, name) != getattr(other, name)}
        # What follows from another difference is not told twice.
        if "dataset" in different:
            different.discard("fingerprint")
        if {"version", "epochs"} & different:
            different.discard("description")
        return [text for name, text in words.items() if name in different]


def variables_text(inherited: Mapping[str, str]) -> str:
    """What of the user's variables must be the same for runs to be compared; empty where there is none."""
    told = (f"{name}={value}" for name, value in sorted(inherited.items()) if name not in _NO_OTHER_WORK)
    return " ".join(told)


def machine_text(machine: Machine) -> str:
    """What of a machine must be the same for times to be compared."""
    return f"{machine.cpu}, {machine.physical_cores} cores, {machine.allowed_cpus} CPUs allowed"


@dataclass(frozen=True, slots=True)
class ConfigurationRuns:
    """One backend and mode in one version of its framework: the newest ``ok`` run of each seed."""

    name: str
    runs: tuple[Run, ...]

    @property
    def identity(self) -> Identity:
        """What it is in every setting; its name tells versions only where a setting has several."""
        return _identity(self.runs[0])

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the runs."""
        return [run.record.seed for run in self.runs]


@dataclass(frozen=True, slots=True)
class Section:
    """The sides of one setting. ``apart`` is what tells it from the other settings of its task, in words."""

    setting: Conditions
    apart: tuple[str, ...]
    sides: tuple[ConfigurationRuns, ...]

    @property
    def measure(self) -> Measure:
        """What quality is measured by here."""
        return self.sides[0].runs[0].measure

    @property
    def title(self) -> str:
        """``cnn on digits, 10 epochs``, with what tells it from its siblings."""
        setting = self.setting
        steps = f", at most {setting.max_steps} steps" if setting.max_steps else ""
        epochs = f"{setting.epochs} epoch{'s' * (setting.epochs != 1)}"
        return plain(", ".join([f"{setting.task} on {setting.dataset}", f"{epochs}{steps}", *self.apart]))


@dataclass(frozen=True, slots=True)
class ComparableRuns:
    """Runs by setting, and what was left out or kept apart, each a sentence."""

    sections: list[Section]
    left_out: list[str]
    kept_apart: list[str]


def sort_runs(runs: Iterable[Run]) -> ComparableRuns:
    """Bring runs together that may be compared; sections with the most sides and runs come first."""
    usable: dict[Conditions, list[Run]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for run in runs:
        record = run.record
        if record.status == "ok":
            usable[Conditions.of(record)].append(run)
        else:
            left_out[f"{record.task.name} on {record.label}: {_ending(record)}"] += 1
    apart = tell_apart({setting: _described(setting, runs[0].record) for setting, runs in usable.items()})
    sections = []
    for setting, members in usable.items():
        sides, repeated = _sides(members)
        for name, count in repeated.items():
            left_out[f"{setting.task} on {name}: repeated with a seed of which a newer run is here"] += count
        sections.append(Section(setting, apart[setting], sides))
    sections.sort(key=lambda section: (-len(section.sides), -sum(len(side.runs) for side in section.sides)))
    told = [f"{_count(count)} of {reason}" for reason, count in left_out.items()]
    return ComparableRuns(sections, told, _kept_apart(sections))


def _ending(record: Record) -> str:
    """How a run ended that is not ``ok``; only the end of its harness can leave it running."""
    if record.status == "running":
        return "still running, or its harness was killed"
    why = record.failure.message.partition("\n")[0] if record.failure else ""
    return f"ended as {record.status}" + (f": {textwrap.shorten(why, 160)}" if why else "")


def _described(setting: Conditions, record: Record) -> Described:
    """What neither the task's name nor that of the data tells."""
    words = {
        "version": f"task version {setting.version}",
        "fingerprint": f"data {(setting.fingerprint or 'unknown')[:8]}",
        "batch": f"batch size {record.batch_size}",
        "precision": setting.precision,
        "device": setting.device or "unknown device",
        "threads": f"{setting.threads} thread{'s' * (setting.threads != 1)}",
        "machine": setting.machine,
        "certified": "" if setting.certified else "not certified",
        "variables": setting.variables,
    }
    return Described(f"{setting.task} on {setting.dataset}", record.task.options, words)


def _identity(run: Run) -> Identity:
    versions = side_versions(run.record.backend, run.record.framework)
    return run.record.label, ", ".join(f"{name} {version}" for name, version in versions.items())


def _sides(members: list[Run]) -> tuple[tuple[ConfigurationRuns, ...], Counter[str]]:
    """The sides among the runs of a setting, by name, and how many runs a newer one replaces."""
    grouped: dict[Identity, dict[int, Run]] = defaultdict(dict)
    repeated: Counter[str] = Counter()
    for run in sorted(members, key=lambda run: run.record.started_at):
        by_seed = grouped[_identity(run)]
        repeated[run.record.label] += run.record.seed in by_seed
        by_seed[run.record.seed] = run
    versions_of_label = Counter(label for label, _ in grouped)
    sides = [
        ConfigurationRuns(
            plain(f"{label} ({version or 'version unknown'})" if versions_of_label[label] > 1 else label),
            tuple(run for _, run in sorted(by_seed.items())),
        )
        for (label, version), by_seed in sorted(grouped.items())
    ]
    return tuple(sides), +repeated


def _count(runs: int) -> str:
    return f"{runs} run{'s' * (runs != 1)}"


def _kept_apart(sections: list[Section]) -> list[str]:
    """For each lone side, why the nearest setting of its task that has another side is not its partner."""
    told = []
    for section in sections:
        if not section.setting.certified:
            told.append(_uncertified(section))
        elif len(section.sides) == 1 and (reasons := _nearest(section, sections)):
            (side,) = section.sides
            runs = _count(len(side.runs))
            told.append(f"{side.name} on {section.title} ({runs}) stands alone: {', '.join(reasons)}")
    return told


def _uncertified(section: Section) -> str:
    names = ", ".join(side.name for side in section.sides)
    records = [run.record for side in section.sides for run in side.runs]
    reasons = {record.certificate.reason for record in records if record.certificate}
    why = "; ".join(sorted(reasons)) or "a certificate was not asked for"
    return f"{names} on {section.title} ({_count(len(records))}) not compared: not certified: {why}"


def _nearest(section: Section, sections: list[Section]) -> list[str]:
    names = {side.name for side in section.sides}
    others = [
        other.setting
        for other in itertools.islice(sections, 100)
        if other.setting.task == section.setting.task
        and other is not section
        and any(side.name not in names for side in other.sides)
    ]
    return min((section.setting.differs(other) for other in others), key=len, default=[])
