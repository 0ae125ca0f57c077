"""A stored baseline: what processes of base showed when it was made, for a head that cannot run beside it."""

import datetime
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness.duel.record import ConfigurationRecord, PairRecord
from harness.errors import HarnessError, UsageError
from harness.gate.learner import Maths
from harness.gate.record import EnvironmentRecord
from harness.gate.suite import Benchmark
from harness.machine.control import control_library
from harness.machine.description import Machine
from harness.machine.files import prove_writable, replace_file
from harness.runs.documents import read_document
from harness.runs.record import DatasetRecord
from harness.spec.backend import Plan

SCHEMA = 2
#: What may differ between two descriptions of a machine that gives the same times.
_NOT_THE_MACHINE = {"harness", "git", "python", "os", "libc"}
_MEMORY_SHARE = 0.02
_FEWEST_PROCESSES = 3


class StoredBenchmark(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark of one side: each process that was timed (a pair of one), and its first losses.

    ``asked`` is what the suite asked for, ``plan`` what the side's code made of that.
    """

    asked: Benchmark
    plan: Plan
    dataset: DatasetRecord
    side: ConfigurationRecord
    turns: int
    maths: list[Maths]
    processes: list[PairRecord]

    @property
    def name(self) -> str:
        """That of the benchmark."""
        return self.asked.name

    @property
    def block_steps(self) -> int:
        """Of a block, whose own cost weighs more the fewer they are: head's must have as many."""
        return self.processes[0].blocks[0].steps


class BaselineRecord(msgspec.Struct, kw_only=True):
    """Base, as a file remembers it."""

    schema: int = SCHEMA
    made_at: str
    """UTC, ISO 8601."""
    machine: Machine
    environment: EnvironmentRecord
    control: str = ""
    """What made the fixed work that times are told in; empty where that is not known."""
    benchmarks: list[StoredBenchmark]


def new_baseline(
    machine: Machine, environment: EnvironmentRecord, benchmarks: list[StoredBenchmark]
) -> BaselineRecord:
    """A baseline of what was measured just now."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return BaselineRecord(
        made_at=now,
        machine=machine,
        environment=environment,
        control=control_library(),
        benchmarks=benchmarks,
    )


def read_baseline(path: Path, machine: Machine) -> BaselineRecord:
    """The baseline in a file, for a gate on this machine.

    Raises:
        UsageError: it cannot be read, is none, holds nothing, or was made on another machine or with another
            fixed work.
    """
    anew = f"make it anew with --save-baseline {path}"
    try:
        found = read_document(path, BaselineRecord, "baseline", SCHEMA)
    except UsageError as error:
        raise UsageError(f"{error}; {anew}") from error
    if not found.benchmarks:
        raise UsageError(f"{path} holds no benchmark; {anew}")
    if lacking := next(filter(None, map(_lacking, found.benchmarks)), ""):
        raise UsageError(f"{path} holds {lacking}; {anew}")
    if differences := list(_differences(found.machine, machine)):
        raise UsageError(
            f"{path} was made on another machine: {'; '.join(differences)}. Times of one machine say nothing "
            "of another's: make a baseline here with --save-baseline, or give base itself with --base"
        )
    if found.control and found.control != control_library():
        raise UsageError(
            f"{path} tells times in units of a matrix product of {found.control}, and here it is one of "
            f"{control_library()}; {anew}"
        )
    return found


def _lacking(one: StoredBenchmark) -> str:
    """Why nothing can be held against what was stored; empty where it is whole."""
    if len(one.processes) < _FEWEST_PROCESSES:
        return f"too few processes of {one.name}"
    if one.side.batch_size < 1:
        return f"no batch size of {one.name}"
    told = [maths for maths in one.maths if not maths.memory_ran_out]
    if not told or not all(maths.losses for maths in told):
        return f"no losses of {one.name}"
    if any(len(process.processes) != 1 or not process.blocks for process in one.processes):
        return f"a process without blocks of {one.name}"
    told_of = (_broken(process, one.turns, one.block_steps) for process in one.processes)
    return next((f"{what} of {one.name}" for what in told_of if what), "")


def _broken(process: PairRecord, turns: int, block_steps: int) -> str:
    """What of a process that has blocks cannot be, empty where all can.

    Head is measured in as many blocks and steps as the file says, which must not say what never was.
    """
    (facts,), blocks = process.processes, process.blocks
    device = facts.device_peak_memory_bytes
    faults = {
        "blocks of no process": any(block.side for block in blocks),
        "times not above 0": min(min(one.seconds, one.control_seconds, one.steps) for one in blocks) <= 0,
        f"a process with other turns than the {turns}": [one.turn for one in blocks]
        != [*range(min(turns, len(blocks) + 1))],
        "blocks of unlike length": any(block.steps != block_steps for block in blocks),
        "impossible times or memory": (
            facts.peak_memory_bytes <= 0
            or facts.first_step_seconds < 0
            or (device is not None and device < 0)
        ),
    }
    return next((words for words, wrong in faults.items() if wrong), "")


def _differences(then: Machine, now: Machine) -> Iterable[str]:
    for field in Machine.__struct_fields__:
        before, after = getattr(then, field), getattr(now, field)
        if field in _NOT_THE_MACHINE:
            continue
        if field == "memory_bytes" and abs(before - after) <= _MEMORY_SHARE * before:
            continue  # a kernel update keeps a little more or less for itself
        if before != after:
            yield f"{field.replace('_', ' ')} {before} then, {after} now"


def prepare_place(path: Path) -> None:
    """Prove that a baseline can be written there, before it is measured.

    Raises:
        UsageError: it cannot.
    """
    try:
        prove_writable(path.parent)
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be written: {error.strerror}") from error


def write_baseline(record: BaselineRecord, path: Path) -> None:
    """Write it whole or not at all.

    Raises:
        HarnessError: it cannot be written.
    """
    try:
        replace_file(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    except OSError as error:
        raise HarnessError(f"the baseline {path} cannot be written: {error.strerror}") from error
