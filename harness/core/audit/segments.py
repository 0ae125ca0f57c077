"""Parts of a training that can be repeated: whole segments between two readings of its state.

States are read at a steady pace. The segment that is repeated is drawn during the training.
"""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from harness.core.audit import budgets
from harness.core.certify.certificate import Losses
from harness.core.certify.dropout import uses_dropout
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.session import Session
from harness.spec.backend import Plan

_RNG = random.SystemRandom()
#: The beginning of a training, for programs whose state cannot be read, has so many calls of several steps,
#: or so many of one.
_FIRST_CALLS, _FIRST_SINGLE_STEPS = 2, 8


class Segment:
    """Consecutive steps from ``step`` on, counted from 0, with the losses that were reported.

    ``start`` and ``end`` are files with the states before and after them. Without ``start`` it is that of a
    new program; without ``end`` the state after them is not known. ``complete``: the files have the training
    state, not the weights alone.
    """

    def __init__(self, step: int, start: Path | None, *, complete: bool = True) -> None:
        self.step = step
        self.start = start
        self.end: Path | None = None
        self.needs_new_program = start is None
        self.complete = complete and start is not None
        self.losses: Losses = []
        self.seconds = 0.0

    def add(self, trained: protocol.Trained) -> None:
        """Add the next call of the training."""
        self.losses += trained.losses
        self.seconds += trained.seconds

    def beginning(self, steps: int) -> Self:
        """Cut the segment to its first ``steps`` steps; the state after them is not known."""
        if steps >= len(self.losses):
            return self
        part = copy.copy(self)
        part.losses, part.end = self.losses[:steps], None
        part.seconds = self.seconds * steps / len(self.losses)
        return part

    def within(self, seconds: float) -> Self:
        """Cut the segment to the steps that are repeated within this time, at least a few."""
        step_seconds = budgets.SHORT_CALLS * self.seconds / max(1, len(self.losses))
        possible = min(seconds / max(step_seconds, 1e-9), len(self.losses))
        return self.beginning(max(int(possible), budgets.FEWEST_STEPS))

    def after(self, steps: int, start: Path) -> Self:
        """Cut off the first ``steps`` steps, which a program has just made; continue from ``start``."""
        part = copy.copy(self)
        part.step, part.start, part.losses = self.step + steps, start, self.losses[steps:]
        part.seconds = self.seconds * len(part.losses) / max(1, len(self.losses))
        part.needs_new_program = False
        return part


class Segments:
    """The segments of one training, of which one is drawn at random and kept."""

    def __init__(self, save_state: Callable[[str], tuple[bool, float]]) -> None:
        """Save states by ``save_state``, which returns True for a complete state, and its seconds."""
        self._save_state = save_state
        self._folder = GuardedFolder("audit")
        self._drawn: Segment | None = None
        self._first_step = 0
        self._open: Segment | None = None
        self._step = 0
        self._training_seconds = self._reading_seconds = self._last_seconds = 0.0
        #: The number of whole segments so far.
        self.count = 0
        #: A segment from the beginning needs no file.
        self.first = Segment(0, None)
        self._first_calls = self._first_single_steps = 0
        #: Whether the training state can be read; None before the first reading.
        self.complete: bool | None = None

    def add(self, trained: protocol.Trained) -> None:
        """Note that a call of the training has ended."""
        self._step += len(trained.losses)
        self._training_seconds += trained.seconds
        if self._first_calls < _FIRST_CALLS and self._first_single_steps < _FIRST_SINGLE_STEPS:
            self.first.add(trained)
            self._first_calls += len(trained.losses) > 1
            self._first_single_steps += len(trained.losses) == 1
        if self._open is not None:
            self._open.add(trained)

    @property
    def is_due(self) -> bool:
        """Whether the pace of readings asks for one now."""
        if self._open is None:
            return self._step > 0
        taken, since = self._training_seconds, self._open.seconds
        # However slow reading is, the last segment begins in the second half of most trainings.
        has_doubled = since >= taken / 2
        share = budgets.DOUBLED_READING_SHARE if has_doubled else budgets.READING_SHARE
        affordable = max(budgets.LEAST_READING_SECONDS, share * taken)
        return (
            since >= min(budgets.SEGMENT_SECONDS, budgets.SEGMENT_SHARE * taken)
            and self._reading_seconds + self._last_seconds <= affordable
        )

    def read(self) -> None:
        """Read the state, with which one segment ends and the next begins."""
        path = self.folder / f"{self._step}.npz"
        self.complete, self._last_seconds = self._save_state(str(path))
        self._reading_seconds += self._last_seconds
        if self._open is None:
            self._first_step = self._step
        else:
            self._open.end = path
            self._keep(self._open)
        self._open = Segment(self._step, path, complete=self.complete)
        kept = {path} if self._drawn is None else {path, self._drawn.start, self._drawn.end}
        for file in self.folder.glob("*.npz"):
            if file not in kept:
                file.unlink()

    def read_last(self) -> None:
        """Read the state after the last step, unless it has just been read."""
        if self._open is None or self._open.losses:
            self.read()

    def _keep(self, segment: Segment) -> None:
        """Keep a segment in place of the one that was drawn before, or drop it, by its number of steps.

        Every step of the training is then equally likely to be in the segment that is kept (reservoir
        sampling; Chao 1982).
        """
        self.count += 1
        share = len(segment.losses) / (segment.step + len(segment.losses) - self._first_step)
        if _RNG.random() < share:
            self._drawn = segment

    @property
    def last_state(self) -> Path | None:
        """The file with the state that was read last."""
        return None if self._open is None else self._open.start

    @property
    def folder(self) -> Path:
        """Where states are saved, until :meth:`close`."""
        return self._folder.path

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self.first.losses[: budgets.FIRST_LOSSES]

    def to_repeat(self, *, needs_state: bool) -> Segment | None:
        """Return the drawn segment; the beginning of the training if it cannot be repeated; None without any.

        ``needs_state``: steps depend on more than the weights, so that only a complete state will do.
        """
        if self._drawn is not None and (self._drawn.complete or not needs_state):
            return self._drawn
        return self.first if self.first.losses else None

    def close(self) -> None:
        """Delete the saved states."""
        self._folder.close()


#: Starts a process like that of the training.
Start = Callable[[], Session]


class Work(NamedTuple):
    """A training: by which backend, of which plan, on which data, in which order."""

    backend: str
    plan: Plan
    dataset: str
    order: BatchOrder
    start: Start

    @property
    def needs_state(self) -> bool:
        """Whether a training step depends on more than the weights and its batch."""
        return self.uses_dropout or bool(self.plan.task.optimizer.slots)

    @property
    def uses_dropout(self) -> bool:
        """Whether values are dropped, which each framework draws for itself."""
        return uses_dropout(self.plan.task)
