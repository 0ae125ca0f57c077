"""Checks before a duel: each workload runs, is certified, and trains the same task on the same data.

One process of each workload is started. It determines the length of the blocks and the time of a pair.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
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
from harness.timing.engine.lengths import (
    block_steps,
    common_steps,
    measure_pace,
    shortest_block_seconds,
    turns_that_pay,
    within_time,
)
from harness.timing.engine.pairs import Alternation, Program, TimedProgram
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.workloads import Workload

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
        """Return the ``chosen`` data set with its fingerprint, origin and numbers of samples."""
        built = self.built
        if built is None:
            return chosen
        return msgspec.structs.replace(
            chosen, fingerprint=built.dataset_fingerprint, origin=built.dataset_origin, samples=built.samples
        )


def certificates(
    workloads: list[Workload], certifying: Callable[[str], None] = lambda _label: None
) -> list[Certificate]:
    """Return the certificate of each configuration, made by its own interpreter.

    ``certifying`` is called with each label before its configuration is certified.
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
    alone = [block_steps(pace, shortest) for pace in paces]
    wanted = common_steps(programs, alone)
    if len(set(wanted)) == 1:
        wanted = within_time(wanted, alone, paces)
    steps = [worker.even_steps(count) for worker, count in zip(workers.values(), wanted, strict=True)]
    turn_seconds = sum(count * pace.step_seconds for pace, count in zip(paces, steps, strict=True))
    turns = turns or turns_that_pay(turn_seconds)
    # One more than the blocks that settle: the first call of this length, which is not counted.
    warm_up_blocks = fewest_blocks(turn_seconds / len(workers)) + 1
    between = _SECONDS_BETWEEN_BLOCKS * len(workers)
    seconds += (turn_seconds + between) * (turns + warm_up_blocks)
    return Prepared(records, built[0], steps, turns, seconds)


def _program(workload: Program, worker: TimedProgram) -> tuple[object, ...]:
    """Return all that decides the speed of a workload apart from code, variables and interpreter."""
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
