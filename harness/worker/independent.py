"""Timed work compared with that of a program of the harness, in a process without the backend's plugin.

A second program of the same plugin makes the same mistake twice, and a plugin that recognises a
certification case can make it everywhere else. Here the harness's own program in NumPy computes the first
steps of the training on the data of the run, and the gradients of later steps at weights that were saved.
"""

import itertools
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from harness.errors import Declined, HarnessError
from harness.machine.cpus import WORKER_CPUS
from harness.plugins.files import PLUGIN_FILES_VARIABLE, own_plugin_files
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adversarial, Sgd
from harness.testing.independent_work import Independent, Score
from harness.testing.losses import Losses
from harness.testing.numpy_backend import NUMPY
from harness.testing.replay import (
    compare_losses_at,
    compare_replay,
    deviation_of,
    different_score,
)
from harness.testing.updates import LEAST_AGREEMENT, agreements
from harness.training.measures import Scores
from harness.worker import protocol
from harness.worker.conversation import Conversation
from harness.worker.sampled_work import SampledWork
from harness.worker.saved_state import save_joined, weights_in
from harness.worker.session import Session
from harness.worker.work_sampler import WorkSample

_CHANCE = random.SystemRandom()
#: Starts a process like that of the training, with these variables in addition.
Start = Callable[[Mapping[str, str]], Session]
#: By the parameters' full names.
Gradient = dict[str, np.ndarray]
#: NumPy recomputes first steps for so long, and at least so many.
_SECONDS = 1.0
_FEWEST_STEPS = 2
#: Consecutive later steps whose gradients are computed.
_LATER_STEPS = 4
#: The rate at which a step subtracts a gradient, to show it. At this one a discriminator stays as it is for
#: the generator, whose turn comes after its. A power of two, so that the division is exact.
_GRADIENT_RATE = 2.0**-20


def compare_with_numpy(numpy: "NumpyWork", work: SampledWork, own: Session) -> Independent:
    """Compare the first steps, scores, and gradients of later steps; ``own`` has a program of the backend."""
    try:
        found = numpy.compared_alone()
        end = time.monotonic() + _SECONDS
        for number, sample in enumerate(_later(work.sampler.samples)):
            if not found.differs and (number == 0 or time.monotonic() < end):
                found = numpy.later_steps(found, sample, own)
    except Declined as error:
        found = Independent(gap="not covered", detail=str(error))
    except HarnessError as error:
        found = Independent(gap="program failed", detail=str(error))
    return found


def _later(samples: list[WorkSample]) -> list[WorkSample]:
    """The latest of the samples, and another one."""
    made = sorted((sample for sample in samples if sample.losses), key=lambda sample: sample.step)
    return made[-1:] + _CHANCE.sample(made[:-1], min(1, len(made[:-1])))


class NumpyWork:
    """The harness's program, in a process of its own. What it needs nobody else for, it does at once."""

    def __init__(self, work: SampledWork, start: Start) -> None:
        """Start the process. Use it as a context manager."""
        self._work = work
        # It may use all CPUs: the backend's program is busy on its own.
        self._session = start({PLUGIN_FILES_VARIABLE: own_plugin_files(), WORKER_CPUS: ""})
        self._conversation = Conversation(self._session, NUMPY, work.plan.threads)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._alone = self._thread.submit(self._compare_alone)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._session.kill()  # it may be at work, and the thread waits for it
        self._thread.shutdown()
        self._session.close()

    def compared_alone(self) -> Independent:
        """Wait for the comparison of first steps and scores; raises as :meth:`Session.receive` does."""
        return self._alone.result()

    def _compare_alone(self) -> Independent:
        found = self._first_steps()
        return found if found.differs or self._work.scores is None else self._score(found, self._work.scores)

    def _build(self, *, gradients: bool = False) -> None:
        """``gradients``: a step subtracts the gradient from the weights, at :data:`_GRADIENT_RATE`."""
        work = self._work
        plan = msgspec.structs.replace(work.plan, mode="plain", device="cpu")
        if gradients:
            # A task that clips still does: the weights must follow the clipped gradients.
            task = msgspec.structs.replace(
                plan.task, optimizer=Sgd(_GRADIENT_RATE), weight_decay=0.0, schedule=ConstantRate()
            )
            plan = msgspec.structs.replace(plan, task=task)
        self._conversation.build(plan, work.dataset)
        self._session.call(protocol.Shuffle(work.order.seed), protocol.Done)

    def _first_steps(self) -> Independent:
        """Compare the first steps of the training, as many as time allows."""
        self._build()
        reported, losses = self._work.sampler.first.losses, list[list[float | None]]()
        end = time.monotonic() + _SECONDS
        while len(losses) < len(reported) and (len(losses) < _FEWEST_STEPS or time.monotonic() < end):
            losses += self._session.call(_step(len(losses)), protocol.Replayed).losses
        reported = reported[: len(losses)]
        found = compare_replay(reported, losses, self._work.plan.precision)
        deviation = None if found.fault_at is None else deviation_of(found.fault_at, reported, losses)
        return Independent(steps=found.compared_steps, worst=found.worst, deviation=deviation)

    def later_steps(self, found: Independent, sample: WorkSample, own: Session) -> Independent:
        """Compare the losses and the gradients of consecutive steps with what the backend's program does."""
        task, precision = self._work.plan.task, self._work.plan.precision
        losses, paths = self._own_steps(sample, own)
        self._build(gradients=True)
        gradients, recomputed = [], list[list[float | None]]()
        for index, (before, after) in enumerate(itertools.pairwise(paths)):
            row, gradient = self._gradient(sample.step + index, before, after)
            recomputed.append(row)
            gradients.append(gradient)
        fault = compare_losses_at(losses, recomputed, precision)
        if fault is not None:
            deviation = deviation_of(fault, losses, recomputed, sample.step)
            return msgspec.structs.replace(found, deviation=deviation)
        least = found.agreement
        if sample.complete:  # else its optimizer begins anew
            rates = self._work.order.rates.of_steps(sample.step, len(gradients)).tolist()
            weights = [weights_in(path) for path in paths]
            shares = agreements(task, sample.step, weights, gradients, precision, rates)
            steps = enumerate(shares, sample.step + 2)
            known = {share: step for step, share in steps if share is not None}
            least = min([*known, 1.0 if least is None else least])
            if least in known and least < LEAST_AGREEMENT:
                return msgspec.structs.replace(found, agreement=least, unfollowed_step=known[least])
        return msgspec.structs.replace(found, later_steps=found.later_steps + len(losses), agreement=least)

    def _own_steps(self, sample: WorkSample, own: Session) -> tuple[Losses, list[Path]]:
        """Have the backend's program make steps: their losses, and the files of the weights around them."""
        own.call(protocol.Rebuild(), protocol.Done)
        paths = [self._folder / f"own-{index}.npz" for index in range(_LATER_STEPS + 1)]
        own.call(protocol.Replay(sample.step, [], str(sample.path), sample.complete), protocol.Replayed)
        own.call(protocol.SaveState(str(paths[0])), protocol.StateSaved)
        losses: Losses = []
        for index, path in enumerate(paths[1:]):
            losses += own.call(_step(sample.step + index), protocol.Replayed).losses
            own.call(protocol.SaveState(str(path)), protocol.StateSaved)
        return losses, paths

    def _gradient(self, step: int, before: Path, after: Path) -> tuple[list[float | None], Gradient]:
        """The losses of a step and its gradient, by the files of the weights before and after it."""
        row, gradient = self._gradient_at(step, before)
        if isinstance(self._work.plan.task.objective, Adversarial):
            # The generator's turn: with the discriminator that has been updated.
            turn = self._folder / "turn.npz"
            save_joined(before, after, "discriminator", turn)
            later_row, later = self._gradient_at(step, turn)
            row = [row[0], later_row[1]]
            gradient |= {name: array for name, array in later.items() if name.startswith("generator/")}
        return row, gradient

    def _gradient_at(self, step: int, path: Path) -> tuple[list[float | None], Gradient]:
        """The losses of a step and its gradient at the weights in a file."""
        (row,) = self._session.call(_step(step, path), protocol.Replayed).losses
        stepped = self._folder / "numpy.npz"
        self._session.call(protocol.SaveState(str(stepped)), protocol.StateSaved)
        weights, moved = weights_in(path), weights_in(stepped)
        parameters = self._work.plan.task.parameters()  # running statistics move without gradients
        return row, {name: (weights[name] - moved[name]) / _GRADIENT_RATE for name in parameters}

    @property
    def _folder(self) -> Path:
        return self._work.sampler.folder

    def _score(self, found: Independent, reported: Scores) -> Independent:
        """Compare the scores of the test data with those of the last weights."""
        restore = protocol.Replay(0, [], str(self._work.sampler.last), complete=False)
        self._session.call(restore, protocol.Replayed)
        scored = self._session.call(protocol.Evaluate(["test"]), protocol.Evaluated).scores["test"]
        name = different_score(reported, scored, self._work.plan.precision)
        if name is None:
            return msgspec.structs.replace(found, scored=True)
        return msgspec.structs.replace(found, score=Score(name, reported.get(name), scored[name]))


def _step(step: int, path: Path | None = None) -> protocol.Replay:
    """A single step, from saved weights or from where the program is."""
    return protocol.Replay(step, [1], None if path is None else str(path), complete=False)
