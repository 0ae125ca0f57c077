"""Checks before a duel: each workload runs, is certified, and trains the same task on the same data.

One process of each workload is started. From it follow the length of the blocks and the time of a pair.
"""

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from harness.certify.certificate import Certificate
from harness.certify.certificates import certificate
from harness.duel import lengths
from harness.duel.pace import Pace, measure_pace
from harness.duel.pairs import Alternation
from harness.duel.record import ConfigurationRecord
from harness.duel.timed_worker import TimedWorker
from harness.duel.workloads import Workload
from harness.errors import HarnessError, UsageError
from harness.plugins import registry
from harness.runs.record import DatasetRecord
from harness.spec.flops import training_flops_per_sample
from harness.stats.settling import fewest_blocks
from harness.training.batches import BatchOrder
from harness.worker.examiner import Examiner
from harness.worker.protocol import Built

#: A block takes so much longer than its steps: a process goes on and is stopped, counters and weights are
#: read. 20 to 27 ms in pairs of ``mlp`` in PyTorch, an eighth of a pair.
_SECONDS_BETWEEN_BLOCKS = 0.02


class Prepared(NamedTuple):
    """``steps`` of a block, one entry for each workload; a pair has ``turns`` blocks of each."""

    records: list[ConfigurationRecord]
    built: Built
    steps: list[int]
    turns: int
    pair_seconds: float

    def read(self, chosen: DatasetRecord) -> DatasetRecord:
        """The chosen data set with what the workers read: fingerprint, origin and numbers of samples."""
        built = self.built
        return msgspec.structs.replace(
            chosen, fingerprint=built.dataset_fingerprint, origin=built.dataset_origin, samples=built.samples
        )


def _ignore(_label: str) -> None:
    """Report nothing."""


def certificates(workloads: list[Workload], certifying: Callable[[str], None] = _ignore) -> list[Certificate]:
    """The certificate of each configuration, made by its own interpreter.

    ``certifying`` is called with the label of each before it is certified.

    Raises:
        HarnessError: a configuration is not certified; says why.
    """
    proofs = []
    for workload in workloads:
        certifying(workload.label)
        proofs.append(_certificate(workload))
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


def _certificate(workload: Workload) -> Certificate:
    proof = _proof(workload)
    if not proof.certified:
        raise HarnessError(
            f"{workload.label} is not certified, so its time may be of different work: {proof.reason}"
        )
    return proof


class _Trial(NamedTuple):
    built: Built
    record: ConfigurationRecord
    pace: Pace
    order: BatchOrder
    unsteady_seconds: float


def prepare(
    alternation: Alternation,
    proofs: list[Certificate] | None,
    turns: int | None = None,
    trying: Callable[[str], None] = _ignore,
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
        programs = [_program(workload, workers[index].built) for index, workload in enumerate(workloads)]
        devices = [worker.built.device for worker in workers.values()]
        shortest = lengths.shortest_block_seconds(programs, devices)
        trials = []
        for index, worker in workers.items():
            trying(workloads[index].label)
            proof = proofs[index] if proofs else None
            trials.append(_try(alternation, index, worker, proof))
    _refuse_unequal(trials)
    alone = [lengths.block_steps(trial.pace, shortest) for trial in trials]
    wanted = lengths.common_steps(programs, alone)
    steps = [trial.order.even_steps(count) for trial, count in zip(trials, wanted, strict=True)]
    turn_seconds = sum(count * trial.pace.step_seconds for trial, count in zip(trials, steps, strict=True))
    turns = turns or lengths.turns_that_pay(turn_seconds)
    seconds += sum(trial.unsteady_seconds for trial in trials)
    # One more than the blocks that settle: the first call of this length, which is not counted.
    warm_up_blocks = fewest_blocks(turn_seconds / len(trials)) + 1
    between = _SECONDS_BETWEEN_BLOCKS * len(trials)
    seconds += (turn_seconds + between) * (turns + warm_up_blocks)
    return Prepared([trial.record for trial in trials], trials[0].built, steps, turns, seconds)


def _program(workload: Workload, built: Built) -> tuple[object, ...]:
    """What workloads have in common whose speed only code, variables or interpreter can set apart."""
    configuration = workload.configuration
    return (
        configuration.backend,
        configuration.mode,
        _batch_size(workload, built),
        configuration.threads,
        configuration.precision,
    )


def _batch_size(workload: Workload, built: Built) -> int:
    return workload.task.batch_size or built.samples["train"]


def _try(
    alternation: Alternation,
    index: int,
    worker: TimedWorker,
    proof: Certificate | None,
) -> _Trial:
    workload = alternation.workloads[index]
    worker.session.resume()
    worker.make_first_step()
    pace = measure_pace(worker)
    worker.session.pause()
    unsteady_seconds = worker.unsteady_seconds(pace.step_seconds)
    configuration = workload.configuration
    record = ConfigurationRecord(
        label=workload.label,
        backend=configuration.backend,
        mode=configuration.mode,
        python=configuration.python,
        framework=worker.described.environment,
        device=worker.built.device,
        precision=configuration.precision,
        threads=configuration.threads,
        batch_size=_batch_size(workload, worker.built),
        options=workload.options,
        variables=alternation.variables[index],
        certificate=proof,
        training_flops_per_sample=training_flops_per_sample(workload.task),
    )
    return _Trial(worker.built, record, pace, worker.order, unsteady_seconds)


def _refuse_unequal(trials: list[_Trial]) -> None:
    first = trials[0]
    for trial in trials[1:]:
        labels = f"{first.record.label} and {trial.record.label}"
        if trial.built.dataset_fingerprint != first.built.dataset_fingerprint:
            raise UsageError(
                f"{labels} train on different data: sha256 {first.built.dataset_fingerprint[:12]}… "
                f"({first.built.dataset_origin}) and {trial.built.dataset_fingerprint[:12]}… "
                f"({trial.built.dataset_origin}). Give both the same data."
            )
        if trial.built.samples != first.built.samples:
            raise UsageError(
                f"{labels} split the data differently: {first.built.samples} and {trial.built.samples}"
            )
