"""Repeat a run that may have known its samples beforehand, in its own order and in a new one, in turn.

Two new processes begin the training as the run did; the samples of one come in an order that is drawn then. A
program that knows no order costs the same in both. Whatever other programs do meets either call of a turn
with the same probability, because which comes first is drawn.
"""

import random
import time
from collections.abc import Iterator

from harness.core.audit import budgets
from harness.core.audit.clock import TrainingClock
from harness.core.audit.findings import Turns
from harness.core.training.batches import BatchOrder

_RNG = random.SystemRandom()


def take_turns(
    known: TrainingClock, new: TrainingClock, order: BatchOrder, steps: int, step_seconds: float
) -> Turns:
    """Repeat the first of a run's ``steps`` with two programs, until the turns show enough.

    ``order`` is the order of the ``known`` program; ``step_seconds`` is the time of a step of the run. Raises
    as :meth:`Session.receive` does.
    """
    turns = Turns(made=0, cheaper=0)
    until = time.monotonic() + max(budgets.TURNS_SECONDS, budgets.TURNS_SHARE * steps * step_seconds)
    for count, is_full in _calls(order, steps, step_seconds):
        sides = [known, new]
        _RNG.shuffle(sides)
        costs = {side: side.cost(count) for side in sides}
        if not is_full:
            continue
        cheaper = costs[known] < budgets.KNOWN_SHARE * costs[new]
        turns = Turns(made=turns.made + 1, cheaper=turns.cheaper + cheaper)
        decided = turns.made == budgets.TURNS or turns.dearer > budgets.DEARER_TURNS
        if decided or time.monotonic() > until:
            break
    return turns


def _calls(order: BatchOrder, steps: int, step_seconds: float) -> Iterator[tuple[int, bool]]:
    """Yield the length of each call, and True if it counts.

    The first step and the next call, which may compile, and short batches do not count.
    """
    fitting = max(1, steps // (budgets.TURNS + 2))
    wanted = min(fitting, round(budgets.TURN_SECONDS / max(step_seconds, 1e-9)) + 1)
    yield 1, False
    step, calls = 1, 1
    while step < steps:
        left = min(order.run_length(step), steps - step)
        count = -(-left // -(-left // wanted))
        is_full = not order.full_steps or step % order.steps_per_epoch < order.full_steps
        yield count, is_full and calls > 1
        step += count
        calls += 1
