"""One pair: a fresh process of each side, taken in turn in short blocks, one running at a time."""

import contextlib
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping

import msgspec

from harness.duel.record import BlockRecord, PairRecord
from harness.duel.timed_worker import TimedWorker
from harness.duel.workloads import Workload
from harness.machine.control import Control
from harness.machine.cpus import cpus_of, on_their_cores, places_to_start
from harness.machine.disturbance import between, disturbed, read_counters
from harness.machine.energy import EnergyMeter

#: A pair says something if at least this share of its turns was left undisturbed.
_FEWEST_TURNS_SHARE = 0.5
_TRIMMED_SHARE = 0.2
_FEWEST_TURNS_OF_ITS_OWN = 5


class Alternation:
    """Where the sides of a duel meet: what stays the same from pair to pair."""

    def __init__(
        self,
        sides: list[Workload],
        settings: list[dict[str, str]],
        dataset: str,
        *,
        deadline_seconds: Callable[[], float],
    ) -> None:
        """``deadline_seconds`` says what a process that starts now may take, from start to end."""
        self.sides = sides
        self.settings = settings
        self._dataset = dataset
        self._deadline_seconds = deadline_seconds
        self._control = Control()
        self._energy: EnergyMeter | None = None

    def contender(self, side: int, cpus: list[int] | None = None) -> TimedWorker:
        """A fresh process of a side, not yet started up, on these CPUs or else on its own.

        The caller ends it.
        """
        return TimedWorker(self.sides[side], self.settings[side], self._deadline_seconds(), cpus)

    def pair(self, steps: list[int], turns: int, chance: random.Random) -> PairRecord:
        """Run one pair of ``turns`` turns, each a block of every side, of ``steps[side]``.

        Chance decides who is first.

        Raises:
            ConfigurationFailed: a side fell, hung or declined.
        """
        start = time.monotonic()
        order = list(range(len(self.sides)))
        chance.shuffle(order)
        with contextlib.ExitStack() as stack:
            contenders = self.built(order, stack)
            for side, contender in contenders.items():
                contender.session.resume()
                contender.make_first_step()
                contender.warm_up(steps[side])
                contender.session.pause()
            meter = self._energy = self._energy or self._meter(contenders)
            made = [
                self._block(contenders, side, turn, steps[side], meter)
                for turn in range(turns)
                for side in (order if turn % 2 == 0 else reversed(order))
            ]
            processes = [contenders[side].finish() for side in sorted(contenders)]
        seconds = time.monotonic() - start
        marked = mark_disturbed(made, [side.plan.threads for side in self.sides])
        side_by_side = len(order) > 1 and self._places(order) is not None
        return PairRecord(processes, marked, seconds, side_by_side)

    def built(self, order: list[int], stack: contextlib.ExitStack) -> dict[int, TimedWorker]:
        """A fresh process of each side, which has imported and built and is stopped; ``stack`` ends it.

        This is the longest part of most pairs, and nearly all of it is work of one thread. Where there is
        a CPU for each, they do it side by side, which was seen to make none of them slower: two imports of
        PyTorch, TensorFlow or JAX at once take as long as one. Sides of one thread, which share a CPU, meet
        there when they have built; chance decides which of them starts elsewhere.
        """
        contenders: dict[int, TimedWorker] = {}
        places = self._places(order)
        for group in [order] if places else [[side] for side in order]:
            for number, side in enumerate(group):
                contenders[side] = self.contender(side, places[number] if places else None)
                stack.callback(contenders[side].session.kill_and_close)
                contenders[side].begin(self._dataset)
            for number, side in enumerate(group):
                contenders[side].await_build()
                contenders[side].session.pause()
                if places and places[number] != (home := cpus_of(self.settings[side])):
                    contenders[side].session.process.move_to(home)
        return contenders

    def _places(self, order: list[int]) -> list[list[int]] | None:
        """The CPUs on which they can start side by side, in this order; None where they cannot."""
        return places_to_start([self.settings[side] for side in order])

    def _meter(self, contenders: Mapping[int, TimedWorker]) -> EnergyMeter:
        environments = [os.environ | settings for settings in self.settings]
        return EnergyMeter(
            [
                (contender.built.device, environments[side].get("CUDA_VISIBLE_DEVICES"))
                for side, contender in contenders.items()
            ]
        )

    def _block(
        self, contenders: Mapping[int, TimedWorker], side: int, turn: int, steps: int, meter: EnergyMeter
    ) -> BlockRecord:
        contender = contenders[side]
        pids = [other.session.process.pid for other in contenders.values()]
        # What others do on cores of which it may use no part is no matter.
        cpus = on_their_cores(cpus_of(self.settings[side]))
        control = self._control.seconds()
        contender.session.resume()
        before, energy = read_counters(pids, cpus), meter.read()
        already = contender.training_seconds
        seconds = contender.block(steps)
        joules = meter.between(energy, meter.read())
        if joules is not None:  # steps that are made on the way and not counted take their part of it
            joules *= seconds / (contender.training_seconds - already)
        disturbance = between(before, read_counters(pids, cpus))
        contender.session.pause()
        return BlockRecord(side, turn, steps, seconds, control, disturbance, disturbed=False, joules=joules)


def mark_disturbed(blocks: list[BlockRecord], threads: list[int]) -> list[BlockRecord]:
    """The same blocks, in their order, those marked in which a burst of other work fell.

    ``threads[side]`` are at work in a block of a side. What is usual is told for each side by itself; of few
    turns, of which a burst may meet most blocks of a side, for sides of as many threads together.
    """
    marked = list(blocks)
    few = len(blocks) < _FEWEST_TURNS_OF_ITS_OWN * len(threads)
    groups = [{side for side, own in enumerate(threads) if own == count} for count in set(threads)]
    for group in groups if few else [{side} for side in range(len(threads))]:
        count = threads[min(group)]
        places = [place for place, block in enumerate(blocks) if block.side in group]
        told, seconds = (
            [blocks[place].disturbance for place in places],
            [blocks[place].seconds for place in places],
        )
        for place, mark in zip(places, disturbed(told, seconds, count), strict=True):
            marked[place] = msgspec.structs.replace(blocks[place], disturbed=mark)
    return marked


def log_ratio(pair: PairRecord, side: int, batch_sizes: list[int]) -> float | None:
    """A pair's log ratio of time per sample, ``side`` over side 0: the trimmed mean over its turns.

    Turn by turn, because neighbours share the machine's state of that moment, which drifts within a
    pair. A fifth of the turns is trimmed at each end: a hiccup falls into one block, and of mean, median,
    trimmed mean and ratio of medians this spread least between repeats of 24 turns of equal sides (1.9,
    1.4, 1.2 and 2.3 %). None where disturbances left too few turns.
    """

    def per_sample(block: BlockRecord) -> float:
        return math.log(block.seconds / (block.steps * batch_sizes[block.side]))

    return _over_turns(pair, side, lambda ours, first: per_sample(ours) - per_sample(first))


def whole_log_ratio(pair: PairRecord, side: int, batch_sizes: list[int]) -> float | None:
    """The same of all the time that the turns took: no block is trimmed, however long it was.

    What falls into few blocks of a side and each time anew, such as every hundredth step that also saves
    something, shows here alone.
    """
    kept = _undisturbed_turns(pair)
    if kept is None:
        return None
    seconds = [
        math.fsum(turn[one].seconds for turn in kept)
        / (sum(turn[one].steps for turn in kept) * batch_sizes[one])
        for one in (side, 0)
    ]
    return math.log(seconds[0] / seconds[1])


def control_log_ratio(pair: PairRecord, side: int) -> float | None:
    """The same of the control's own time just before the blocks: what the machine gave to each side."""
    return _over_turns(pair, side, lambda ours, first: math.log(ours.control_seconds / first.control_seconds))


def _over_turns(
    pair: PairRecord, side: int, value: Callable[[BlockRecord, BlockRecord], float]
) -> float | None:
    """The trimmed mean over turns of a value of the blocks of ``side`` and side 0."""
    kept = _undisturbed_turns(pair)
    return None if kept is None else _trimmed_mean([value(turn[side], turn[0]) for turn in kept])


def _undisturbed_turns(pair: PairRecord) -> list[dict[int, BlockRecord]] | None:
    """The blocks of each turn, by side; None where too few are left.

    A turn in which any block was disturbed is dropped, for all sides alike.
    """
    turns: dict[int, dict[int, BlockRecord]] = {}
    for block in pair.blocks:
        turns.setdefault(block.turn, {})[block.side] = block
    kept = [turn for turn in turns.values() if not any(block.disturbed for block in turn.values())]
    return kept if len(kept) >= max(1, _FEWEST_TURNS_SHARE * len(turns)) else None


def _trimmed_mean(values: list[float]) -> float:
    cut = int(_TRIMMED_SHARE * len(values))
    return statistics.fmean(sorted(values)[cut : len(values) - cut])
