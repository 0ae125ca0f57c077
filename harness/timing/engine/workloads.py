"""The programs that the processes of a duel or a gate run, such as a configuration that trains a task."""

import os
import struct
from collections.abc import Mapping, Sequence

import msgspec

from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.options import Value
from harness.errors import UsageError
from harness.spec.backend import Plan
from harness.spec.task import Task
from harness.timing.engine.record import Difference

#: The variable that makes the environments of processes equally long.
PADDING = "HARNESS_PADDING"
_POINTER_BYTES = struct.calcsize("P")


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """The program of one configuration. ``label`` names it in output."""

    label: str
    configuration: Configuration

    def worker_variables(self, *, quiet: bool) -> dict[str, str]:
        """Return the variables that its processes get in addition to those of the user's shell."""
        own = self.configuration
        return worker_variables(own.threads, own.device, os.environ, quiet=quiet) | dict(own.variables)

    def distinctive(self) -> dict[str, str]:
        """Return the settings that a user may ask to differ, apart from the program."""
        own = self.configuration
        facts = {"python": own.python, "threads": str(own.threads)}
        return facts | {f"variable {name}": value for name, value in own.variables}


class Workload(Contender, frozen=True, kw_only=True):
    """A task as one configuration trains it.

    ``options`` are the values from which ``task`` was defined; ``seed`` is that of the plan.
    """

    task: Task
    options: dict[str, Value]
    seed: int = 0

    @property
    def plan(self) -> Plan:
        """The plan that its backend is asked to build."""
        return self.configuration.plan(self.task, self.seed)

    def distinctive(self) -> dict[str, str]:
        """Return the facts of every contender, and precision, device, batch size and options."""
        facts = {
            "precision": self.configuration.precision,
            "device": self.configuration.device,
            "batch_size": str(self.task.batch_size),
        }
        facts |= {f"option {name}": str(value) for name, value in self.options.items()}
        return facts | super().distinctive()


def labelled(workloads: list[Workload]) -> list[Workload]:
    """Give the workloads distinct labels: a letter stands before equal names."""
    names = [workload.label for workload in workloads]
    return [
        msgspec.structs.replace(workload, label=f"{letter}:{workload.label}")
        if names.count(workload.label) > 1
        else workload
        for letter, workload in zip("abcdefgh", workloads, strict=False)
    ]


def differences(workloads: Sequence[Contender]) -> list[Difference]:
    """Return the requested differences of the workloads, apart from backend, mode and factory."""
    every = [workload.distinctive() for workload in workloads]
    names = sorted({name for facts in every for name in facts})
    found = [Difference(name, [facts.get(name) for facts in every]) for name in names]
    return [difference for difference in found if len(set(difference.values)) > 1]


def pad_to_equal_size(variables: list[dict[str, str]], pythons: list[str]) -> list[dict[str, str]]:
    """Pad the variables so that environment and interpreter path have the same size everywhere.

    Their size moves the stack, and with it the alignment of its contents: two equal programs can differ by
    several per cent for this reason alone (Mytkowicz et al. 2009). The path counts twice: as the executed
    file and as the first argument.
    """
    sizes = [
        2 * len(os.fsencode(python)) + _stack_bytes({**os.environ, **own})
        for own, python in zip(variables, pythons, strict=True)
    ]
    return [own | {PADDING: "x" * (max(sizes) - size)} for own, size in zip(variables, sizes, strict=True)]


def _stack_bytes(environment: Mapping[str, str]) -> int:
    """Return the size of variables on the stack: ``name=value``, a zero byte and a pointer each."""
    text = sum(len(os.fsencode(f"{name}={value}")) + 1 for name, value in environment.items())
    return text + _POINTER_BYTES * len(environment)


def refuse_different_work(workloads: list[Workload]) -> None:
    """Check that the tasks differ only in batch size and DP-SGD, whose cost a duel may measure."""
    first = workloads[0]
    for other in workloads[1:]:
        alike = {"batch_size": first.task.batch_size, "privacy": first.task.privacy}
        if first.task != msgspec.structs.replace(other.task, **alike):
            raise UsageError(
                f"{first.label} and {other.label} would do different work ({_unequal(first, other)}). Give "
                "options to all configurations with --set; only the batch size may differ."
            )


def _unequal(first: Workload, other: Workload) -> str:
    """Name the options that differ, or else the fields of the task, which two installations may define."""
    ours, theirs = first.options, other.options
    if not (names := [name for name in ours | theirs if ours.get(name) != theirs.get(name)]):
        ours, theirs = msgspec.structs.asdict(first.task), msgspec.structs.asdict(other.task)
        names = [name for name in ours if ours[name] != theirs[name] and name != "batch_size"]
    return ", ".join(f"{name} {ours.get(name, '–')} and {theirs.get(name, '–')}" for name in names)
