"""What a side of a duel is, and what differs between sides because it was asked to."""

import os
import struct
import sys
from collections.abc import Mapping

import msgspec

from harness.errors import UsageError
from harness.machine.worker_variables import worker_variables
from harness.plugins.options import Value
from harness.spec.backend import Plan

#: The variable that makes environments equally long.
PADDING = "HARNESS_PADDING"
_POINTER_BYTES = struct.calcsize("P")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A backend in a mode, and how its processes are started.

    ``python`` is the interpreter, ``environment`` what its variables get on top of the duel's, ``plan``
    what it trains, ``options`` the values behind the plan's task.
    """

    label: str
    backend: str
    plan: Plan
    options: dict[str, Value]
    python: str = sys.executable
    environment: dict[str, str] = {}

    def settings(self, *, quiet: bool) -> dict[str, str]:
        """The variables that its processes are started with, beside those of the user's shell."""
        settings = worker_variables(self.plan.threads, self.plan.device, os.environ, quiet=quiet)
        return settings | self.environment


def labelled(sides: list[Workload]) -> list[Workload]:
    """The sides with labels that tell them apart: a letter is put before those that are named alike."""
    names = [side.label for side in sides]
    return [
        msgspec.structs.replace(side, label=f"{letter}:{side.label}") if names.count(side.label) > 1 else side
        for letter, side in zip("abcdefgh", sides, strict=False)
    ]


def differences(sides: list[Workload]) -> list[str]:
    """In words, what the sides were asked to differ in beside backend and mode."""
    told = {side.label: _distinctive(side) for side in sides}
    names = {name for facts in told.values() for name in facts}
    return [
        f"{name}: " + ", ".join(f"{facts.get(name, '–')} ({label})" for label, facts in told.items())
        for name in sorted(names)
        if len({facts.get(name) for facts in told.values()}) > 1
    ]


def _distinctive(side: Workload) -> dict[str, str]:
    plan = side.plan
    facts = {
        "python": side.python,
        "threads": str(plan.threads),
        "precision": plan.precision,
        "device": plan.device,
        "batch_size": str(plan.task.batch_size),
    }
    facts |= {f"option {name}": str(value) for name, value in side.options.items()}
    return facts | {f"variable {name}": value for name, value in side.environment.items()}


def pad_to_equal_size(settings: list[dict[str, str]], pythons: list[str]) -> list[dict[str, str]]:
    """The same settings, padded so that every side's environment and interpreter path are equally long.

    Their size moves the stack, and with it the alignment of what is on it: two equal programs can
    differ by several per cent for that alone (Mytkowicz et al. 2009). The path is there twice: as the file
    that is executed and as the first argument.
    """
    sizes = [
        2 * len(os.fsencode(python)) + _stack_bytes({**os.environ, **one})
        for one, python in zip(settings, pythons, strict=True)
    ]
    return [one | {PADDING: "x" * (max(sizes) - size)} for one, size in zip(settings, sizes, strict=True)]


def _stack_bytes(environment: Mapping[str, str]) -> int:
    """What the variables take on a new process's stack: ``name=value``, a zero, and a pointer each."""
    text = sum(len(os.fsencode(f"{name}={value}")) + 1 for name, value in environment.items())
    return text + _POINTER_BYTES * len(environment)


def refuse_different_work(sides: list[Workload]) -> None:
    """Only the batch size may differ between the sides' tasks.

    Raises:
        UsageError: something else does; names it.
    """
    first = sides[0]
    for side in sides[1:]:
        ours, theirs = (
            msgspec.structs.replace(one.plan.task, batch_size=first.plan.task.batch_size)
            for one in (first, side)
        )
        if ours != theirs:
            raise UsageError(
                f"{first.label} and {side.label} would do different work ({_unequal(first, side)}); give "
                "options to all sides with --set. Only batch_size may differ."
            )


def _unequal(first: Workload, side: Workload) -> str:
    """The options that differ; where none does, the fields of the task, which two installations define."""
    ours, theirs = (side.options for side in (first, side))
    if not (names := [name for name in ours | theirs if ours.get(name) != theirs.get(name)]):
        ours, theirs = (msgspec.structs.asdict(side.plan.task) for side in (first, side))
        names = [name for name in ours if ours[name] != theirs[name] and name != "batch_size"]
    return ", ".join(f"{name} {ours.get(name, '–')} and {theirs.get(name, '–')}" for name in names)
