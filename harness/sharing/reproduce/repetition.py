"""The contract of a kind of record that can be repeated: how, and when a record and its repetition agree.

A feature names its repetitions by kinds of record: ``repetitions={"startup": "my_startup:REPETITION"}``.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

import msgspec

from harness.core.documents.kinds import Envelope, RecordKind
from harness.core.machine.description import Machine
from harness.core.shell import features
from harness.core.shell.printing import print_error_line
from harness.errors import HarnessError, PluginError, UsageError
from harness.sharing.reproduce.recorded_command import RecordedCommand

#: ``identical``: bit for bit. ``equal within rounding``: rounding explains every difference. ``equivalent``:
#: a test over several seeds shows equal quality. ``holds``: a claim is confirmed, its size included;
#: ``holds in direction``: its sign alone. ``undecided``: more work would decide. Two say that record and
#: repetition disagree: ``different`` and ``does not hold``. From the strongest agreement to the worst: the
#: verdict on several claims is the last of theirs.
Verdict = Literal[
    "identical",
    "equal within rounding",
    "equivalent",
    "holds",
    "holds in direction",
    "undecided",
    "different",
    "does not hold",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
#: The verdicts by which a record is not reproduced.
REFUTED: frozenset[Verdict] = frozenset({"different", "does not hold"})
_UNDECIDED: Verdict = "undecided"


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a record and its repetition, and the sentences that give its reasons."""

    verdict: Verdict
    reasons: list[str] = []


def worst_of(agreements: Iterable[Agreement]) -> Agreement:
    """Join the agreements of several claims of one record: the worst verdict, and all reasons."""
    every = list(agreements)
    verdicts = [each.verdict for each in every]
    verdict = max(verdicts, key=VERDICTS.index, default=_UNDECIDED)
    return Agreement(verdict=verdict, reasons=[reason for each in every for reason in each.reasons])


_R = TypeVar("_R", bound=Any)


class Stored(NamedTuple, Generic[_R]):
    """A record and its file, beside which may lie files that belong to it."""

    record: _R
    path: Path


class Pair(NamedTuple, Generic[_R]):
    """A record and its repetition."""

    theirs: Stored[_R]
    mine: Stored[_R]


class Place(NamedTuple):
    """Where records are repeated: the folder of the new results, and how.

    ``jobs`` is the number of runs at once; None: one after the other.
    """

    results: Path
    quiet: bool = False
    jobs: int | None = None


class Repetition(Generic[_R]):
    """How records of one kind are repeated, and when two agree.

    A kind overrides :meth:`agreement`, and what else differs for it.
    """

    #: The commands that write records of this kind. By default one of them is given again.
    commands: tuple[str, ...] = ()

    def refusal(self, record: _R) -> str:
        """Return why a record is not repeated; empty if it is. By default only work that succeeded is."""
        status = getattr(record, "status", "ok")
        return "" if status == "ok" else f"the work ended as {status}; only results are repeated"

    def lacking(self, stored: Stored[_R]) -> Iterable[str]:
        """Yield what this machine lacks to repeat a record, before anything runs: a clause for each thing.

        The clause says what would provide it: ``data set cifar10 is not downloaded (run: …)``.
        """
        del stored
        return ()

    def facts(self, stored: Stored[_R]) -> Mapping[str, str]:
        """Return what the result may depend on, by names for people, the most important first.

        By default the versions of harness and Python, and the machine.
        """
        return machine_facts(stored.record.machine)

    def repeat(self, records: Sequence[Stored[_R]], kind: RecordKind[_R], place: Place) -> list[Stored[_R]]:
        """Repeat ``records``, and return the repetition of each, in their order.

        By default the recorded command of each is given again, as :meth:`arguments` changes it.
        """
        return [self._given_again(stored, kind, place) for stored in records]

    def arguments(self, record: _R, command: RecordedCommand) -> None:
        """Change the recorded ``command`` so that it asks for what the record has, whatever the defaults are.

        The options of the results folder and of output are replaced in any case.
        """
        del record, command

    def agreement(self, theirs: Stored[_R], mine: Stored[_R]) -> Agreement:
        """Judge a record and its repetition."""
        raise NotImplementedError

    def agreements(self, pairs: Sequence[Pair[_R]]) -> list[Agreement]:
        """Judge several records and their repetitions, which may be evidence for each other."""
        return [self.agreement(theirs, mine) for theirs, mine in pairs]

    def _given_again(self, stored: Stored[_R], kind: RecordKind[_R], place: Place) -> Stored[_R]:
        """Give the command of a record again, in a process of its own, and read the record that it writes."""
        record: Envelope = stored.record
        command = RecordedCommand(record.command, self.commands)
        self.arguments(stored.record, command)
        before = set(kind.paths(place.results))
        name, *words = command.words(place.results)
        if not place.quiet:
            print_error_line(f"Repeating {record.id}: {command.text(place.results)}")
        code = _run([sys.executable, "-P", "-m", "harness", name, *["--quiet"] * place.quiet, *words])
        if not (new := [path for path in kind.paths(place.results) if path not in before]):
            raise HarnessError(f"{record.id} was not repeated: its command ended with exit code {code}")
        return Stored(kind.read(new[-1]), new[-1])


def _run(words: Sequence[str]) -> int:
    """Run a command whose output is in its record, and return its exit code; standard error is shown."""
    interrupted = 130
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code == interrupted:
        raise KeyboardInterrupt
    return code


def machine_facts(machine: Machine) -> dict[str, str]:
    """Return the versions of the harness and Python, and the facts of a machine, by name."""
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    return {
        "harness": machine.harness,
        "Python": machine.python,
        "CPU": machine.cpu,
        "instruction sets": " ".join(machine.instruction_sets),
        "CPUs": f"{machine.physical_cores} cores, {machine.allowed_cpus} CPUs allowed, {memory}",
        "system": f"{machine.os}, {machine.libc}",
    }


class Difference(msgspec.Struct, frozen=True):
    """A fact that is not the same there and here."""

    name: str
    there: str
    here: str


def differences(theirs: Mapping[str, str], mine: Mapping[str, str]) -> list[Difference]:
    """Return the facts that differ, in the order of ``theirs``, then those that only ``mine`` has."""
    return [
        Difference(name, theirs.get(name, ""), mine.get(name, ""))
        for name in dict.fromkeys([*theirs, *mine])
        if theirs.get(name, "") != mine.get(name, "")
    ]


def other_packages(
    theirs: Mapping[str, str], mine: Mapping[str, str], facts: Mapping[str, str]
) -> Iterator[Difference]:
    """Yield one difference for all packages of other versions in both, without those that ``facts`` names."""
    both = [name for name in theirs if name in mine and name not in facts and theirs[name] != mine[name]]
    if both:
        there, here = (", ".join(f"{name} {versions[name]}" for name in both) for versions in (theirs, mine))
        yield Difference("other packages", there, here)


def repetition_of(kind: RecordKind[Any]) -> Repetition[Any]:
    """Return how records of a kind are repeated."""
    known = features.named("repetitions")
    if kind.name not in known:
        _, several = kind.noun or (kind.name, kind.folder)
        raise UsageError(f"{several} cannot be repeated; {', '.join(known)} can")
    found = features.one("repetitions", kind.name)
    if not isinstance(found, Repetition):
        raise PluginError(f"{known[kind.name]} is not a Repetition")
    return found
