"""Checks before a duel: each workload runs, is certified, and trains the same task on the same data.

One process of each workload is started. From it follow the length of the blocks and the time of a pair.
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import msgspec

from harness.core.certify.certificate import Certificate
from harness.core.certify.certificates import certificate
from harness.core.plugins import registry
from harness.core.runs.record import DatasetRecord
from harness.core.stats.settling import fewest_blocks
from harness.core.worker.examiner import Examiner
from harness.core.worker.protocol import Built
from harness.errors import HarnessError, UsageError
from harness.timing.engine.pairs import (
    Alternation,
    Program,
    TimedProgram,
)
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.workloads import Workload

# The pace of a workload in a trial: the time of a step, and what a call costs beside its steps.

#: Blocks of so many steps are made; in longer ones a fixed cost of a call weighs less.
_BLOCK_SECONDS = 0.11
_REPETITIONS = 3
_MOST_STEPS = 1 << 13
#: Of many calls, each costs the harness itself more than the program.
_MOST_CALLS = 32


class Pace(NamedTuple):
    """Seconds per step, median and fastest; the overhead of a call."""

    step_seconds: float
    quickest_step_seconds: float
    call_seconds: float


def measure_pace(timed: TimedProgram) -> Pace:
    """Make blocks of at least 0.11 s, and single steps between them."""
    steps = _steps_for(timed)
    seconds, overheads = [], []
    for _ in range(_REPETITIONS):
        blocks = [timed.block(steps), timed.block(steps)]
        # Neighbouring blocks, the fastest of each and the least over all repetitions: neither a change of the
        # machine's speed in between nor a hiccup must count as the overhead of a call.
        alone = min(timed.block(1) for _ in range(_REPETITIONS))
        overheads.append(alone - min(blocks) / steps)
        seconds += blocks
    return Pace(statistics.median(seconds) / steps, min(seconds) / steps, max(0.0, min(overheads)))


def _steps_for(timed: TimedProgram) -> int:
    most = min(_MOST_STEPS, _MOST_CALLS * timed.longest_call)
    steps = timed.even_steps(1)
    while (taken := timed.block(steps)) < _BLOCK_SECONDS and steps < most:
        # A little more than seems enough: another doubling would make every block twice as long.
        wanted = max(2 * steps, min(8 * steps, math.ceil(1.1 * steps * _BLOCK_SECONDS / max(taken, 1e-9))))
        steps = timed.even_steps(wanted)
    return steps


# How long blocks are, and how many of them a pair has for each configuration.
#
# A shared machine's speed changes from second to second, but not from one hundredth to the next. So the
# shorter the blocks, the more alike the conditions of neighbouring blocks. When the steps of one process were
# cut into blocks and compared with each other in alternation, the error of the ratio over 3.4 s was 1.1 %
# with blocks of 0.14 s, 0.7 % with 36 ms and 0.3 % with 18 ms. Pairs of equal processes of ``mlp``, ``rnn``
# and ``cnn``, six each, had errors of 3.8, 2.4 and 3.1 % with ten blocks of 0.1 s or more, and of 1.5, 1.2
# and 1.2 % with thirty to sixty shorter ones in about the same time.
#
# The fixed cost of a block sets the limit: after the other configuration's block caches are cold (0.5 to 0.7
# ms in PyTorch and JAX on the CPU). Configurations of the same program pay it equally, which makes a
# difference smaller by about 2 % of itself. No steps are discarded at the start of a block: they would be the
# same steps of every epoch, and whatever happens in them would never be measured. Configurations of different
# programs, of which one may pay more, have longer blocks, in which the cost is less than 1 %. So have
# configurations on an accelerator, where a process that was stopped has to be scheduled again and energy
# counters tick slowly.

#: The shortest block of configurations of the same program on the CPU.
SHORTEST_BLOCK_SECONDS = 0.03
#: The shortest block of others. If a call into a framework has a fixed cost (Keras's ``fit``: tens of
#: milliseconds), blocks are so long that it is 1 % of them, up to a limit.
SHORTEST_MIXED_BLOCK_SECONDS = 0.11
_LONGEST_BLOCK_SECONDS = 2.0
_CALL_SHARE = 0.01
#: Speeds are alike if no configuration needs more than this many times the steps of another for a block.
_ALIKE = 2

#: Turns of a pair whose turns take one second; the fewest and the most of any pair.
_TURNS_OF_ONE_SECOND = 16
FEWEST_TURNS = 10
_MOST_TURNS = 60


def shortest_block_seconds(programs: Sequence[Hashable], devices: Sequence[str]) -> float:
    """For configurations of these programs on these devices, named as backends name them."""
    alike = len(set(programs)) == 1 and all(device.startswith("cpu") for device in devices)
    return SHORTEST_BLOCK_SECONDS if alike else SHORTEST_MIXED_BLOCK_SECONDS


def block_steps(pace: Pace, shortest_seconds: float) -> int:
    """Steps of a block of a configuration considered alone.

    By the fastest step seen, so that a disturbed trial does not make the blocks short.
    """
    seconds = min(max(shortest_seconds, pace.call_seconds / _CALL_SHARE), _LONGEST_BLOCK_SECONDS)
    return math.ceil(seconds / pace.quickest_step_seconds)


def common_steps(programs: Sequence[Hashable], wanted: list[int]) -> list[int]:
    """Steps of the blocks of each configuration, from its program and the steps it needs alone.

    Configurations of the same program all have the largest number, and so have all configurations of similar
    speed. Their trials may have been disturbed unequally, and the fixed cost of a block weighs less on the
    configuration with the longer blocks, which would look like a difference. Configurations of different
    speed (another batch size, fewer threads) have their own number, because more steps would take long and
    add little.
    """
    if max(wanted) <= _ALIKE * min(wanted):
        return [max(wanted)] * len(wanted)
    return [
        max(other for theirs, other in zip(programs, wanted, strict=True) if theirs == ours)
        for ours in programs
    ]


def turns_that_pay(turn_seconds: float) -> int:
    """The number of turns of a pair whose turns take this time: even, so that each is first equally often.

    A pair takes F to start and c for a turn; its ratio has a variance of p² from its processes and t² / n
    from its n turns. The mean of all pairs that fit into a given time is most precise with n = (t / p) √(F /
    c). With F = 4.4 s and c = 0.24 s (``gan``) its variance was least with 22 to 40 turns; for ``mlp``, whose
    turns take 0.08 s, it still fell from 40 to 60.
    """
    wanted = 2 * round(_TURNS_OF_ONE_SECOND / math.sqrt(turn_seconds) / 2)
    return max(FEWEST_TURNS, min(_MOST_TURNS, wanted))


#: A block takes so much longer than its steps: a process goes on and is stopped, counters and weights are
#: read. 20 to 27 ms in pairs of ``mlp`` in PyTorch, an eighth of a pair.
_SECONDS_BETWEEN_BLOCKS = 0.02


class Prepared(NamedTuple):
    """``steps`` of a block, one entry for each workload; a pair has ``turns`` blocks of each."""

    records: list[ConfigurationRecord]
    built: Built | None
    steps: list[int]
    turns: int
    pair_seconds: float

    def read(self, chosen: DatasetRecord) -> DatasetRecord:
        """The chosen data set with what the workers read: fingerprint, origin and numbers of samples."""
        built = self.built
        if built is None:
            return chosen
        return msgspec.structs.replace(
            chosen, fingerprint=built.dataset_fingerprint, origin=built.dataset_origin, samples=built.samples
        )


def certificates(
    workloads: list[Workload], certifying: Callable[[str], None] = lambda _label: None
) -> list[Certificate]:
    """The certificate of each configuration, made by its own interpreter.

    ``certifying`` is called with the label of each before it is certified.

    Raises:
        HarnessError: a configuration is not certified; says why.
    """
    proofs = []
    for workload in workloads:
        certifying(workload.label)
        proof = _proof(workload)
        if not proof.certified:
            raise HarnessError(
                f"{workload.label} is not certified, so its time may be of different work: {proof.reason}"
            )
        proofs.append(proof)
    return proofs


def is_certified(workload: Workload) -> bool:
    """Whether a workload's configuration is certified; False without a reference, for example."""
    try:
        return _proof(workload).certified
    except HarnessError:
        return False


def _proof(workload: Workload) -> Certificate:
    with Examiner(workload.configuration) as examiner:
        return certificate(examiner, registry.task(workload.task.name), workload.task)


def prepare(
    alternation: Alternation,
    proofs: list[Certificate] | None,
    turns: int | None = None,
    trying: Callable[[str], None] = lambda _label: None,
) -> Prepared:
    """Try each workload, and estimate the time of a pair.

    ``turns`` sets the number of turns; without it, the trial does. ``trying`` is called with the label of
    each workload before it is tried.

    Raises:
        HarnessError: a workload does not run.
        UsageError: the workloads have different data; names the difference.
    """
    start = time.monotonic()
    workloads = alternation.workloads
    with contextlib.ExitStack() as stack:
        workers = alternation.built(list(range(len(workloads))), stack)
        seconds = time.monotonic() - start
        programs = [_program(workload, workers[index]) for index, workload in enumerate(workloads)]
        devices = [worker.device for worker in workers.values()]
        shortest = shortest_block_seconds(programs, devices)
        records, paces = [], []
        for index, worker in workers.items():
            trying(workloads[index].label)
            worker.session.resume()
            worker.make_first_step()
            pace = measure_pace(worker)
            worker.session.pause()
            paces.append(pace)
            records.append(worker.record(alternation.variables[index], proofs[index] if proofs else None))
            seconds += worker.unsteady_seconds(pace.step_seconds)
    built = [worker.built for worker in workers.values()]
    _refuse_unequal([record.label for record in records], built)
    wanted = common_steps(programs, [block_steps(pace, shortest) for pace in paces])
    steps = [worker.even_steps(count) for worker, count in zip(workers.values(), wanted, strict=True)]
    turn_seconds = sum(count * pace.step_seconds for pace, count in zip(paces, steps, strict=True))
    turns = turns or turns_that_pay(turn_seconds)
    # One more than the blocks that settle: the first call of this length, which is not counted.
    warm_up_blocks = fewest_blocks(turn_seconds / len(workers)) + 1
    between = _SECONDS_BETWEEN_BLOCKS * len(workers)
    seconds += (turn_seconds + between) * (turns + warm_up_blocks)
    return Prepared(records, built[0], steps, turns, seconds)


def _program(workload: Program, worker: TimedProgram) -> tuple[object, ...]:
    """What workloads have in common whose speed only code, variables or interpreter can set apart."""
    configuration = workload.configuration
    target = workload.target.target if isinstance(workload, OwnStep) else ""
    return (
        target,
        configuration.backend,
        configuration.mode,
        worker.batch_size,
        configuration.threads,
        configuration.precision,
    )


def _refuse_unequal(labelled: Sequence[str], built: Sequence[Built | None]) -> None:
    ours = built[0]
    for label, theirs in zip(labelled[1:], built[1:], strict=True):
        if ours is None or theirs is None:  # steps of the user's own have their own data
            continue
        labels = f"{labelled[0]} and {label}"
        if theirs.dataset_fingerprint != ours.dataset_fingerprint:
            raise UsageError(
                f"{labels} train on different data: sha256 {ours.dataset_fingerprint[:12]}… "
                f"({ours.dataset_origin}) and {theirs.dataset_fingerprint[:12]}… "
                f"({theirs.dataset_origin}). Give both the same data."
            )
        if theirs.samples != ours.samples:
            raise UsageError(f"{labels} split the data differently: {ours.samples} and {theirs.samples}")
