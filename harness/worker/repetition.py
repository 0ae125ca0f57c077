"""Samples of a training that a second program repeats, and how far it follows them."""

import random
import time
from pathlib import Path

import numpy as np

from harness.testing.displacement import EPSILON, MOST_APART, Weights, share_apart
from harness.testing.independent_work import Deviation
from harness.testing.losses import Losses
from harness.testing.replay import Span, Verifier, compare_replay, deviation_at
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.sampled_work import SampledWork
from harness.worker.saved_state import save_nearby, weights_in
from harness.worker.session import Session
from harness.worker.work_sampler import WorkSample

_CHANCE = random.SystemRandom()
#: About how many calls a replay makes, and of how many steps at least: a call has a fixed cost.
_CALLS = 24
#: How much longer than the timed work short calls take, or more if they did.
_SHORT_CALLS = 1.3
#: Ends of replays from weights that rounding sets apart may be so far apart, as a share of the way.
_REPLAYS_APART = 0.05


class Recomputer:
    """The worker in which samples are recomputed, by which of its programs, and for how long."""

    def __init__(
        self, session: Session, verifier: Verifier, seconds: float, fewest_steps: int | None = None
    ) -> None:
        """``other process``: a program was just built in it.

        Samples are repeated for these ``seconds``, and in any case so many steps, or the whole first sample.
        """
        self._session = session
        self.verifier = verifier
        self._fewest_steps = fewest_steps
        self._end = time.monotonic() + seconds
        self._is_new = verifier == "other process"
        self._slowdown = _SHORT_CALLS

    def prepare(self) -> None:
        """Build the second program, if it is one of this process."""
        if self.verifier == "second program":
            self._rebuild()

    def _rebuild(self) -> None:
        self._session.call(protocol.Rebuild(), protocol.Done)
        self._is_new = True

    def affordable(self, sample: WorkSample, made: int) -> WorkSample | None:
        """The sample, its beginning, or None, as time allows, after ``made`` steps have been repeated."""
        steps, wanted = len(sample.losses), (self._fewest_steps or 0) - made
        step_seconds = self._slowdown * sample.seconds / steps
        possible = int((self._end - time.monotonic()) / max(step_seconds, 1e-9))
        if steps <= possible or (not made and self._fewest_steps is None):
            return sample
        return sample.beginning(max(possible, wanted)) if wanted > 0 else None

    def replay(self, sample: WorkSample, calls: list[int]) -> Losses:
        """The losses of a sample's steps in these calls; raises as :meth:`Session.receive` does."""
        if sample.path is None and not self._is_new:
            self._rebuild()
        self._is_new = False
        path = None if sample.path is None else str(sample.path)
        start = time.monotonic()
        request = protocol.Replay(sample.step, calls, path, sample.complete)
        losses = self._session.call(request, protocol.Replayed).losses
        self._slowdown = max(self._slowdown, (time.monotonic() - start) / max(sample.seconds, 1e-9))
        return losses

    def weights(self, file: Path) -> dict[str, np.ndarray]:
        """The program's weights, by way of a file; raises as :meth:`Session.receive` does."""
        self._session.call(protocol.SaveState(str(file)), protocol.StateSaved)
        return weights_in(file)


class Repetition:
    """The recomputed losses of a sample, and the weights after it."""

    def __init__(self, sample: WorkSample, work: SampledWork, by: Recomputer) -> None:
        self._sample, self._work, self._by = sample, work, by
        self._calls = _short_calls(work.order, sample.step, len(sample.losses))
        self._recomputed = by.replay(sample, self._calls)
        self._found = compare_replay(sample.losses, self._recomputed, work.plan.precision)
        self._weights: Weights | None = None
        self.span = Span(
            sample.step + 1,
            len(sample.losses),
            len(self._calls),
            self._found.compared_steps,
            self._found.worst,
            self._apart(),
        )

    def _apart(self) -> float | None:
        """How far the weights after the sample are from those after the latest replay."""
        sample, folder = self._sample, self._work.sampler.folder
        if sample.path is None or sample.after is None:
            return None
        self._weights = self._by.weights(folder / "recomputed.npz")
        before, after, precision = (
            weights_in(sample.path),
            weights_in(sample.after),
            self._work.plan.precision,
        )
        state = self._work.plan.task.state()
        return share_apart(before, after, self._weights, len(sample.losses), precision, state)

    @property
    def is_suspicious(self) -> bool:
        """Whether it is not what was reported, as far as one replay can say."""
        return self._found.fault_at is not None or self._has_moved_elsewhere(self.span.weights_apart)

    def _has_moved_elsewhere(self, apart: float | None) -> bool:
        return apart is not None and apart > MOST_APART and self._found.explains_little

    def differs_again(self) -> bool:
        """Whether another replay is not what was reported either.

        Of losses neither is within rounding, whether or not the replays agree with each other: calls of other
        lengths would differ if they depend on them, so their lengths are the same. Weights count only where a
        replay from weights that are moved by rounding ends at the same place. Else rounding alone leads
        trainings apart, although a replay from equal weights may be equal in every bit.
        """
        sample, first, precision = self._sample, self._weights, self._work.plan.precision
        if self._found.fault_at is not None:
            again = self._by.replay(sample, self._calls)
            return compare_replay(sample.losses, again, precision).fault_at is not None
        if sample.path is None or first is None:
            return False
        nearby = self._work.sampler.folder / "nearby.npz"
        save_nearby(sample.path, nearby, EPSILON[precision])
        self._by.replay(sample.beginning_at(nearby), self._calls)
        apart = self._apart()
        if self._weights is None:
            return False
        state, start = self._work.plan.task.state(), weights_in(sample.path)
        alike = share_apart(start, first, self._weights, len(sample.losses), precision, state)
        return self._has_moved_elsewhere(apart) and alike is not None and alike < _REPLAYS_APART

    @property
    def deviation(self) -> Deviation | None:
        """The loss that is at fault; None if the weights are."""
        if self._found.fault_at is None:
            return None
        return deviation_at(self.span, self._sample.losses, self._recomputed)


def _short_calls(order: BatchOrder, step: int, steps: int) -> list[int]:
    """Lengths of calls that make these steps: single ones at first, then lengths drawn at random."""
    most = max(3, 2 * -(-steps // _CALLS))
    calls: list[int] = []
    end = step + steps
    while step < end:
        wanted = 1 if len(calls) < 2 else _CHANCE.randint(1, most)  # noqa: PLR2004
        calls.append(min(wanted, order.run_length(step), end - step))
        step += calls[-1]
    return calls
