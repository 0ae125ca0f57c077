"""What must be so before a duel begins: each side works, is certified, and does the same on the same data.

A process of each side is started once. What it shows sets the length of the blocks, and what a pair
will cost.
"""

import contextlib
import time
from typing import NamedTuple

import msgspec

from harness.duel import lengths, settling
from harness.duel.clock import Clock, prove_clock
from harness.duel.pairs import Alternation
from harness.duel.record import ConfigurationRecord
from harness.duel.timed_worker import TimedWorker
from harness.duel.workloads import Workload
from harness.errors import HarnessError, UsageError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.runs.record import DatasetRecord
from harness.spec.flops import training_flops_per_sample
from harness.testing.certificate import Certificate
from harness.testing.certificate_cache import certificate
from harness.training.batches import BatchOrder
from harness.worker.examiner import Examiner
from harness.worker.protocol import Built


class Prepared(NamedTuple):
    """``steps`` of a block, one entry for each side; a pair has ``turns`` blocks of each."""

    records: list[ConfigurationRecord]
    built: Built
    steps: list[int]
    turns: int
    pair_seconds: float

    def read(self, chosen: DatasetRecord) -> DatasetRecord:
        """The data set that was chosen, as the sides have read it."""
        built = self.built
        return msgspec.structs.replace(
            chosen, fingerprint=built.dataset_fingerprint, origin=built.dataset_origin, samples=built.samples
        )


def certificates(sides: list[Workload]) -> list[Certificate]:
    """The certificate of each side's backend and mode, made by the side's own interpreter.

    Raises:
        HarnessError: a side has none; names it and the reason.
    """
    return [_certificate(side) for side in sides]


def _certificate(side: Workload) -> Certificate:
    plan = side.plan
    proven = Configuration(
        side.backend,
        plan.mode,
        plan.device,
        plan.threads,
        plan.precision,
        python=side.python,
        variables=tuple(sorted(side.environment.items())),
    )
    with Examiner(proven) as examiner:
        proof = certificate(examiner, registry.task(plan.task.name))
    if not proof.certified:
        raise HarnessError(
            f"side {side.label} is not certified, so its time would not be of the same work: {proof.reason}"
        )
    return proof


class _Trial(NamedTuple):
    built: Built
    record: ConfigurationRecord
    clock: Clock
    order: BatchOrder
    unsteady_seconds: float


def prepare(
    ring: Alternation,
    proofs: list[Certificate] | None,
    turns: int | None = None,
    block_steps: int | None = None,
) -> Prepared:
    """Try each side, and reckon what a pair will cost.

    Of so many turns, or of as many as pay; of blocks of about so many steps, or as long as they must be.

    Raises:
        HarnessError: a side does not work or has no honest clock.
        UsageError: the sides do not do the same; names the difference.
    """
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        contenders = ring.built(list(range(len(ring.sides))), stack)
        seconds = time.monotonic() - start
        programs = [_program(side, contenders[number].built) for number, side in enumerate(ring.sides)]
        devices = [contender.built.device for contender in contenders.values()]
        shortest = lengths.shortest_block_seconds(programs, devices)
        trials = [
            _try(ring, number, contender, shortest, proofs[number] if proofs else None)
            for number, contender in contenders.items()
        ]
    _refuse_unequal(trials)
    own = [lengths.block_steps(trial.clock, shortest) for trial in trials]
    wanted = [block_steps] * len(trials) if block_steps else lengths.common_steps(programs, own)
    steps = [trial.order.even_steps(count) for trial, count in zip(trials, wanted, strict=True)]
    turn_seconds = sum(count * trial.clock.step_seconds for trial, count in zip(trials, steps, strict=True))
    turns = turns or lengths.turns_that_pay(turn_seconds)
    seconds += sum(trial.unsteady_seconds for trial in trials)
    # One block more than those that settle: the first of its length, which is not counted.
    warm_up_blocks = settling.fewest_blocks(turn_seconds / len(trials)) + 1
    seconds += turn_seconds * (turns + warm_up_blocks)
    return Prepared([trial.record for trial in trials], trials[0].built, steps, turns, seconds)


def _program(side: Workload, built: Built) -> tuple[object, ...]:
    """What is alike in sides of which nothing but their code can set the paces apart."""
    plan = side.plan
    return side.backend, plan.mode, _batch_size(side, built), plan.threads, plan.precision


def _batch_size(side: Workload, built: Built) -> int:
    return side.plan.task.batch_size or built.samples["train"]


def _try(
    ring: Alternation,
    number: int,
    contender: TimedWorker,
    shortest_block_seconds: float,
    proof: Certificate | None,
) -> _Trial:
    side = ring.sides[number]
    contender.session.resume()
    contender.make_first_step()
    with contender.blamed():
        clock = prove_clock(contender, shortest_block_seconds)
    contender.session.pause()
    # What is not steady belongs to a start, whenever it comes: a compiler sees a short batch late.
    steady = contender.steps * clock.step_seconds + contender.calls * clock.call_seconds
    unsteady_seconds = max(0.0, contender.training_seconds - steady)
    plan = side.plan
    record = ConfigurationRecord(
        label=side.label,
        backend=side.backend,
        mode=plan.mode,
        python=side.python,
        framework=contender.described.environment,
        device=contender.built.device,
        precision=plan.precision,
        threads=plan.threads,
        batch_size=_batch_size(side, contender.built),
        options=side.options,
        settings=ring.settings[number],
        certificate=proof,
        training_flops_per_sample=training_flops_per_sample(plan.task),
        clock_ratio=clock.ratio,
    )
    return _Trial(contender.built, record, clock, contender.order, unsteady_seconds)


def _refuse_unequal(trials: list[_Trial]) -> None:
    first = trials[0]
    for trial in trials[1:]:
        labels = f"{first.record.label} and {trial.record.label}"
        if trial.built.dataset_fingerprint != first.built.dataset_fingerprint:
            raise UsageError(
                f"{labels} train on different data: sha256 {first.built.dataset_fingerprint[:12]}… "
                f"({first.built.dataset_origin}) and {trial.built.dataset_fingerprint[:12]}… "
                f"({trial.built.dataset_origin}); give both the same"
            )
        if trial.built.samples != first.built.samples:
            raise UsageError(
                f"{labels} split the data differently: {first.built.samples} and {trial.built.samples}"
            )
