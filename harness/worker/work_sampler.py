"""Samples of timed work: states saved at random moments of a training, and what was reported after each."""

import copy
import random
from pathlib import Path
from typing import Self

from harness.machine.guarded_folder import GuardedFolder
from harness.testing.losses import Losses
from harness.worker import protocol
from harness.worker.session import Session

_CHANCE = random.SystemRandom()
#: A sample has no more blocks than this.
_MOST_BLOCKS = 2
#: Blocks of a single step count for less: so many of them end a sample.
_MOST_SINGLE_STEPS = 8
#: As many first steps can be compared with those of other frameworks: later ones rounding separates.
_FIRST_LOSSES = 9


class WorkSample:
    """The state of a training before ``step`` (counted from 0), and the losses of the blocks that followed.

    Without ``path``, the state is that of a new program.
    """

    def __init__(self, step: int, path: Path | None, *, complete: bool = True, blocks: int = 1) -> None:
        """``complete`` as in :class:`protocol.StateSaved`; ``blocks`` are those that belong to the sample."""
        self.step = step
        self.path = path
        #: The weights after its last block, once it is whole.
        self.after: Path | None = None
        self.complete = complete
        self.losses: Losses = []
        self.seconds = 0.0
        self._blocks_left = blocks
        self._single_steps_left = _MOST_SINGLE_STEPS

    @property
    def is_whole(self) -> bool:
        """Whether all of its blocks have been made."""
        return self._blocks_left <= 0 or self._single_steps_left <= 0

    def add(self, trained: protocol.Trained) -> None:
        """Add the next block of the training, unless the sample is whole."""
        if self.is_whole:
            return
        if len(trained.losses) > 1:
            self._blocks_left -= 1
        else:  # such as the short last batch of an epoch, which alone would say little
            self._single_steps_left -= 1
        self.losses += trained.losses
        self.seconds += trained.seconds

    def beginning(self, steps: int) -> Self:
        """Its first ``steps`` steps, or all if it has no more. The weights after a part are not known."""
        if steps >= len(self.losses):
            return self
        part = copy.copy(self)
        part.losses, part.after = self.losses[:steps], None
        part.seconds = self.seconds * steps / len(self.losses)
        return part

    def beginning_at(self, path: Path) -> Self:
        """The same steps from another state."""
        other = copy.copy(self)
        other.path = path
        return other

    def delete(self) -> None:
        """Delete its files."""
        for path in (self.path, self.after):
            if path is not None:
                path.unlink()


class WorkSampler:
    """Keeps a few samples of one worker's training, each equally likely, and the newest, until :meth:`close`.

    No program can know which blocks are sampled: states are saved at random moments, a sample may begin with
    the block after the next, and which samples are kept is drawn here. The newest shows what a program does
    late in a training.
    """

    def __init__(self, session: Session, kept: int = 4) -> None:
        self._session = session
        self._kept = kept
        self._folder = GuardedFolder("harness-samples-")
        self._drawn: list[WorkSample] = []
        self._drawn_from = 0
        self._newest: WorkSample | None = None
        #: From the beginning, which needs no saved state: a single step, a few, and the first long block.
        self.first = WorkSample(0, None, blocks=2)
        #: As in :class:`protocol.StateSaved`; None before the first state was saved.
        self.complete: bool | None = None

    def save(self, step: int) -> None:
        """Save the worker's state before this step; raises as :meth:`Session.receive` does."""
        path = self.folder / f"{step}.npz"
        reply = self._session.call(protocol.SaveState(str(path)), protocol.StateSaved)
        self.complete = reply.complete
        if self._newest is not None:
            self._draw(self._newest)
        self._newest = WorkSample(
            step, path, complete=reply.complete, blocks=_CHANCE.randint(1, _MOST_BLOCKS)
        )

    def _draw(self, sample: WorkSample) -> None:
        """Keep the sample or not: of all, each is kept with the same probability (reservoir sampling)."""
        self._drawn_from += 1
        if len(self._drawn) < self._kept:
            self._drawn.append(sample)
            return
        place = _CHANCE.randrange(self._drawn_from)
        replaced = sample
        if place < self._kept:
            replaced, self._drawn[place] = self._drawn[place], sample
        replaced.delete()

    @property
    def samples(self) -> list[WorkSample]:
        """The samples that are kept, the newest last."""
        return self._drawn + ([] if self._newest is None else [self._newest])

    def save_last(self) -> None:
        """Save the weights at the end of the training; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(self.last)), protocol.StateSaved)

    @property
    def last(self) -> Path:
        """The file of :meth:`save_last`."""
        return self.folder / "last.npz"

    @property
    def folder(self) -> Path:
        """Where states are saved, until :meth:`close`."""
        return self._folder.path

    @property
    def first_losses(self) -> Losses:
        """The losses of the first steps."""
        return self.first.losses[:_FIRST_LOSSES]

    def trained(self, trained: protocol.Trained) -> None:
        """A block was made; raises as :meth:`Session.receive` does."""
        for sample in (self.first, *self.samples):
            sample.add(trained)
            if sample.path is not None and sample.is_whole and sample.after is None:
                sample.after = sample.path.with_suffix(".after.npz")
                self._session.call(protocol.SaveState(str(sample.after)), protocol.StateSaved)

    def candidates(self, *, needs_state: bool) -> list[WorkSample]:
        """The samples that a program can be set up for, in random order.

        Whole ones come before those that the end of the training cut off, and the first one comes last.
        ``needs_state``: steps depend on more than the weights.
        """
        usable = [sample for sample in self.samples if sample.losses and (sample.complete or not needs_state)]
        _CHANCE.shuffle(usable)
        usable.sort(key=lambda sample: not sample.is_whole)
        return usable + [self.first] * bool(self.first.losses)

    def close(self) -> None:
        """Delete the saved states."""
        self._folder.close()
