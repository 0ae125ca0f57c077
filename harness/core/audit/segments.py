"""Parts of a training that can be repeated: whole segments between two readings of its state.

States are read at a steady pace, whatever the program does, so a program that notices a reading learns
nothing: the calls after it are as likely to be repeated as those before the next one. Which segment is
repeated is drawn when the training is over.
"""

import copy
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from harness.core.audit import budgets
from harness.core.certify.certificate import Losses
from harness.core.certify.dropout import uses_dropout
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins import registry
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
        #: Whether the weights at its end were scored before they were read.
        self.is_scored = False

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

    def after(self, steps: int, start: Path) -> Self:
        """Cut off the first ``steps`` steps, which a program has just made; continue from ``start``."""
        part = copy.copy(self)
        part.step, part.start, part.losses = self.step + steps, start, self.losses[steps:]
        part.seconds = self.seconds * len(part.losses) / max(1, len(self.losses))
        part.needs_new_program = False
        return part


class Segments:
    """The segments of one training that are kept: a few that are drawn at random, and the newest.

    Some are drawn from all, and some from those whose ends were scored.
    """

    def __init__(self, save_state: Callable[[str], tuple[bool, float]]) -> None:
        """Save states by ``save_state``, which returns True for a complete state, and its seconds."""
        self._save_state = save_state
        self._folder = GuardedFolder("audit")
        self._drawn: list[Segment | None] = [None] * budgets.KEPT_SEGMENTS
        self._scored: list[Segment | None] = [None] * budgets.KEPT_SCORED_SEGMENTS
        self._scored_count = 0
        self._first_step = 0
        self._open: Segment | None = None
        self._step = 0
        self._training_seconds = self._last_seconds = 0.0
        #: Seconds of all readings.
        self.reading_seconds = 0.0
        #: The number of whole segments so far.
        self.count = 0
        self.newest: Segment | None = None
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
        # However slow reading is, the newest segment begins in the second half of most trainings.
        has_doubled = since >= taken / 2
        share = budgets.DOUBLED_READING_SHARE if has_doubled else budgets.READING_SHARE
        affordable = max(budgets.LEAST_READING_SECONDS, share * taken)
        return (
            since >= min(budgets.SEGMENT_SECONDS, budgets.SEGMENT_SHARE * taken)
            and self.reading_seconds + self._last_seconds <= affordable
        )

    def read(self, *, scored: bool = False) -> bool:
        """Read the state, with which one segment ends and the next begins.

        ``scored``: the weights have just been scored. Return True if the segment was drawn.
        """
        path = self.folder / f"{self._step}.npz"
        self.complete, self._last_seconds = self._save_state(str(path))
        self.reading_seconds += self._last_seconds
        if self._open is None:
            self._first_step = self._step
        else:
            self._open.end, self._open.is_scored = path, scored
            self._keep(self._open)
        self._open = Segment(self._step, path, complete=self.complete)
        kept = {file for one in self._whole for file in (one.start, one.end)} | {path}
        for file in self.folder.glob("*.npz"):
            if file not in kept:
                file.unlink()
        return self.newest is not None and self.newest in (*self._drawn, *self._scored)

    def read_last(self) -> None:
        """Read the state after the last step, unless it has just been read."""
        if self._open is None or self._open.losses:
            self.read()

    def _keep(self, segment: Segment) -> None:
        """Keep the newest segment, and in each other place a segment drawn by its number of steps.

        Every step of the training is then equally likely to be in the segment of a place (reservoir sampling
        with replacement; Chao 1982).
        """
        self.count += 1
        self.newest = segment
        share = len(segment.losses) / (segment.step + len(segment.losses) - self._first_step)
        for place, _ in enumerate(self._drawn):
            if _RNG.random() < share:
                self._drawn[place] = segment
        if segment.is_scored:
            self._scored_count += 1
            for place, _ in enumerate(self._scored):
                if _RNG.random() * self._scored_count < 1:
                    self._scored[place] = segment

    @property
    def _whole(self) -> list[Segment]:
        kept = dict.fromkeys([*self._drawn, self.newest, *self._scored])
        return [segment for segment in kept if segment is not None]

    @property
    def proving(self) -> list[Segment]:
        """The segments that prove a training: a drawn one, the newest, and one whose end was scored."""
        scored = [one for one in (self._drawn[0], *self._scored) if one is not None and one.is_scored]
        proving = dict.fromkeys([self._drawn[0], self.newest, *scored[:1]])
        return [segment for segment in proving if segment is not None]

    @property
    def last_state(self) -> Path | None:
        """The file with the state after the newest segment."""
        return None if self._open is None else self._open.start

    @property
    def folder(self) -> Path:
        """Where states are saved, until :meth:`close`."""
        return self._folder.path

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self.first.losses[: budgets.FIRST_LOSSES]

    def draw(self, *, needs_state: bool) -> list[Segment]:
        """Order the segments that can be repeated: first those of :attr:`proving`, then the others.

        ``needs_state``: steps depend on more than the weights. Without a saved state, a segment is repeated
        from the start of training.
        """
        usable = [one for one in self._whole if one.complete or not needs_state]
        if not usable:
            return [self.first] if self.first.losses else []
        return [segment for segment in dict.fromkeys([*self.proving, *usable]) if segment in usable]

    def close(self) -> None:
        """Delete the saved states."""
        self._folder.close()


#: Starts a process like that of the training, with these variables in addition.
Start = Callable[[Mapping[str, str]], Session]


class Work(NamedTuple):
    """A training: by which backend, of which plan, on which data, in which order."""

    backend: str
    plan: Plan
    dataset: str
    order: BatchOrder
    certified: bool
    """Whether it counts as that of the reference, so that the harness's own program must do the same."""
    start: Start

    @property
    def is_third_party(self) -> bool:
        """Whether the backend does not ship with the harness."""
        return registry.is_third_party(self.backend)

    @property
    def needs_state(self) -> bool:
        """Whether a training step depends on more than the weights and its batch."""
        return self.uses_dropout or bool(self.plan.task.optimizer.slots)

    @property
    def uses_dropout(self) -> bool:
        """Whether values are dropped, which each framework draws for itself."""
        return uses_dropout(self.plan.task)
