"""Timed work compared with that of a program of the harness, in a process without the backend's plugin.

A second program of the same plugin makes the same mistake twice, and a plugin that recognises a
certification case can make it everywhere else. Here the harness's own program in NumPy computes the first
steps of the training on the data of the run, and the gradients of later steps at weights that were saved.
"""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from harness.core.audit import budgets
from harness.core.audit.comparison import compare_losses, deviation_of, differs_at_same_weights
from harness.core.audit.findings import Independent
from harness.core.audit.repetition import Examined
from harness.core.audit.scores import ScoredState, compare_scores
from harness.core.audit.segments import Segment, Segments, Work
from harness.core.audit.updates import LEAST_AGREEMENT, agreements
from harness.core.certify.certificate import Losses
from harness.core.machine.cpus import WORKER_CPUS
from harness.core.plugins.files import PLUGIN_FILES_VARIABLE
from harness.core.reference.training import NUMPY, without_dropout
from harness.core.worker import protocol
from harness.core.worker.saved_state import save_joined, save_nearby, weights_in
from harness.core.worker.session import Conversation
from harness.errors import Declined, HarnessError
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adversarial, Sgd

#: By the parameters' full names.
Gradient = dict[str, np.ndarray]
#: The rate at which a step subtracts a gradient, to show it: a power of two, so that the division is exact.
_GRADIENT_RATE = 2.0**-20
#: In an adversarial task. The discriminator is updated before the generator's loss is computed, which shifts
#: this loss by the rate times the product of their gradients; at 2**-20 that has been 5e-5.
_ADVERSARIAL_GRADIENT_RATE = 2.0**-32


def compare_with_numpy(
    numpy: "NumpyWork", examined: Sequence[Examined], segments: Sequence[Segment]
) -> Independent:
    """Compare first steps, scores, and gradients of the steps that a repetition has ``examined``.

    For ``segments`` that cannot be repeated, for lack of a training state, compare the first losses.
    """
    found = Independent()
    try:
        found = numpy.compared_alone()
        if not found.differs and found.gap is None:
            numpy.build(gradients=True)
        for steps in examined:
            if found.differs or found.gap:
                break
            found = numpy.later_steps(found, steps)
        for segment in segments:
            if segment.start is None or segment.complete or found.differs or found.gap:
                break
            found = numpy.first_loss(found, segment, segment.start)
    except Declined as error:
        found = msgspec.structs.replace(found, gap="not covered", detail=str(error))
    except HarnessError as error:
        found = msgspec.structs.replace(found, gap="program failed", detail=str(error))
    return found


class NumpyWork:
    """The harness's program, in a process of its own. What it needs nobody else for, it does at once."""

    def __init__(self, work: Work, segments: Segments, states: Sequence[ScoredState]) -> None:
        """Start the process. Use it as a context manager."""
        self._work, self._segments, self._states = work, segments, states
        # It may use all CPUs: the backend's program is busy on its own.
        self._session = work.start({PLUGIN_FILES_VARIABLE: "", WORKER_CPUS: ""})
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
        if self._work.uses_dropout:
            found = Independent(gap="dropout")
        elif self._work.plan.task.privacy is not None:
            found = Independent(gap="noise")
        else:
            found = self._first_steps()
        return found if found.differs else self._score(found)

    def build(self, *, gradients: bool = False) -> None:
        """Build the program; with ``gradients``, a step subtracts the gradient from the weights at its rate.

        :meth:`later_steps` and :meth:`first_loss` need a program with gradients.
        """
        work = self._work
        # Scores are made without dropping anything; steps are compared only where no step does.
        task = without_dropout(work.plan.task)
        plan = msgspec.structs.replace(work.plan, task=task, mode="plain", device="cpu")
        if gradients:
            # A task that clips still does: the weights must follow the clipped gradients.
            task = msgspec.structs.replace(
                plan.task, optimizer=Sgd(self._gradient_rate), weight_decay=0.0, schedule=ConstantRate()
            )
            plan = msgspec.structs.replace(plan, task=task)
        self._conversation.build(plan, work.dataset)
        self._session.call(protocol.Shuffle(work.order.seed), protocol.Done)

    def _first_steps(self) -> Independent:
        """Compare the first steps of the training, as many as time allows."""
        self.build()
        initial = self._folder / "numpy-initial.npz"
        self._session.call(protocol.SaveState(str(initial)), protocol.StateSaved)
        reported, losses = self._segments.first.losses, list[list[float | None]]()
        end = time.monotonic() + budgets.NUMPY_SECONDS
        fewest = budgets.NUMPY_FEWEST_STEPS
        while len(losses) < len(reported) and (len(losses) < fewest or time.monotonic() < end):
            losses += self._session.call(_step(len(losses)), protocol.Trained).losses
        reported, precision = reported[: len(losses)], self._work.plan.precision
        found = compare_losses(reported, losses, precision)
        if found.fault_at is not None:  # unless rounding leads as far
            nearby = self._nearby(initial, found.fault_at + 1)
            found = compare_losses(reported, losses, precision, (losses, nearby))
        deviation = None if found.fault_at is None else deviation_of(found.fault_at, reported, losses)
        return Independent(steps=found.compared_steps, worst=found.worst, deviation=deviation)

    def _nearby(self, initial: Path, steps: int) -> Losses:
        """Compute the first losses from initial weights that are a few roundings away."""
        moved = self._folder / "numpy-nearby.npz"
        save_nearby(initial, moved, budgets.NUMPY_ROUNDINGS * self._epsilon)
        self._session.call(protocol.Rebuild(), protocol.Done)
        losses = self._session.call(_step(0, moved), protocol.Trained).losses
        for step in range(1, steps):
            losses += self._session.call(_step(step), protocol.Trained).losses
        return losses

    def later_steps(self, found: Independent, examined: Examined) -> Independent:
        """Compare losses and gradients of consecutive ``examined`` steps with those of the backend's program.

        The steps come from a repetition with the losses of the training, at a place that was drawn: the
        program cannot compute them in another way than the training's steps.
        """
        task, precision = self._work.plan.task, self._work.plan.precision
        first, losses, paths = examined
        gradients, recomputed = [], list[list[float | None]]()
        pairs = list(itertools.pairwise(paths))
        for index, (before, after) in enumerate(pairs):
            row, gradient = self._gradient(first + index, before, after)
            recomputed.append(row)
            gradients.append(gradient)
        fault = differs_at_same_weights(losses, recomputed, precision)
        if fault is not None:  # unless rounding of the weights changes as much
            nearby = [self._losses_nearby(first + i, *pair) for i, pair in enumerate(pairs)]
            fault = differs_at_same_weights(losses, recomputed, precision, nearby)
        if fault is not None:
            deviation = deviation_of(fault, losses, recomputed, first)
            return msgspec.structs.replace(found, deviation=deviation)
        rates = self._work.order.rates.of_steps(first, len(gradients)).tolist()
        weights = [weights_in(path) for path in paths]
        shares = agreements(task, first, weights, gradients, precision, rates)
        known = {share: step for step, share in enumerate(shares, first + 2) if share is not None}
        least = min([*known, 1.0 if found.agreement is None else found.agreement])
        if least in known and least < LEAST_AGREEMENT:
            return msgspec.structs.replace(found, agreement=least, unfollowed_step=known[least])
        return msgspec.structs.replace(found, later_steps=found.later_steps + len(losses), agreement=least)

    def first_loss(self, found: Independent, segment: Segment, start: Path) -> Independent:
        """Compare the first loss of a segment as the training reported it with the loss at its ``start``."""
        precision = self._work.plan.precision
        # Of an adversarial task, the discriminator's: the generator's is of later weights.
        reported, (row, _) = [segment.losses[0][:1]], self._gradient_at(segment.step, start)
        fault = differs_at_same_weights(reported, [row[:1]], precision)
        if fault is not None:
            nearby = [self._loss_nearby(segment.step, start)[:1]]
            fault = differs_at_same_weights(reported, [row[:1]], precision, nearby)
        if fault is None:
            return found
        deviation = deviation_of(fault, reported, [row[:1]], segment.step)
        return msgspec.structs.replace(found, deviation=deviation)

    def _gradient(self, step: int, before: Path, after: Path) -> tuple[list[float | None], Gradient]:
        """Derive a step's losses and gradient from the files of the weights before and after it."""
        row, gradient = self._gradient_at(step, before)
        if self._is_adversarial:
            later_row, later = self._gradient_at(step, self._turn(before, after))
            row = [row[0], later_row[1]]
            gradient |= {name: array for name, array in later.items() if name.startswith("generator/")}
        return row, gradient

    @property
    def _is_adversarial(self) -> bool:
        return isinstance(self._work.plan.task.objective, Adversarial)

    @property
    def _gradient_rate(self) -> float:
        return _ADVERSARIAL_GRADIENT_RATE if self._is_adversarial else _GRADIENT_RATE

    def _turn(self, before: Path, after: Path) -> Path:
        """Return the weights at the generator's turn: with the updated discriminator."""
        turn = self._folder / "turn.npz"
        save_joined(before, after, "discriminator", turn)
        return turn

    def _losses_nearby(self, step: int, before: Path, after: Path) -> list[float | None]:
        """Compute the losses of a step at weights that are a few roundings away."""
        row = self._loss_nearby(step, before)
        return (
            [row[0], self._loss_nearby(step, self._turn(before, after))[1]] if self._is_adversarial else row
        )

    def _loss_nearby(self, step: int, path: Path) -> list[float | None]:
        moved = self._folder / "numpy-nearby.npz"
        save_nearby(path, moved, budgets.NUMPY_ROUNDINGS * self._epsilon)
        (row,) = self._session.call(_step(step, moved), protocol.Trained).losses
        return row

    @property
    def _epsilon(self) -> float:
        return budgets.ROUNDING[self._work.plan.precision].epsilon

    def _gradient_at(self, step: int, path: Path) -> tuple[list[float | None], Gradient]:
        """Compute the losses of a step and its gradient at the weights in a file."""
        (row,) = self._session.call(_step(step, path), protocol.Trained).losses
        stepped = self._folder / "numpy.npz"
        self._session.call(protocol.SaveState(str(stepped)), protocol.StateSaved)
        weights, moved = weights_in(path), weights_in(stepped)
        parameters = self._work.plan.task.parameters()  # running statistics move without gradients
        return row, {name: (weights[name] - moved[name]) / self._gradient_rate for name in parameters}

    @property
    def _folder(self) -> Path:
        return self._segments.folder

    def _score(self, found: Independent) -> Independent:
        """Compare the reported scores with scores of the weights to which they belong."""
        if not self._states:
            return found
        if found.gap is not None:  # nothing has been built
            self.build()
        plan = self._work.plan
        scores = compare_scores(self._session, self._states, self._folder, plan.task, plan.precision)
        return msgspec.structs.replace(
            found, score=scores.score, scored_rows=scores.scored_rows, scored_epochs=scores.scored_epochs
        )


def _step(step: int, path: Path | None = None) -> protocol.Replay:
    """Make a single step, from saved weights or from the program's present state."""
    return protocol.Replay(step, [1], None if path is None else str(path), complete=False)
