"""A run is repeated in its order and in a new one: only knowledge of an order wins nearly all turns."""

import itertools
from types import SimpleNamespace

import pytest

from harness.core.audit import known_order
from harness.core.audit.known_order import take_turns
from harness.core.training.batches import BatchOrder

ORDER = BatchOrder(805, 8, seed=0)  # 100 full steps of an epoch, and a short one


class Program:
    """A clock whose calls cost as much as ``cost`` says of their steps."""

    def __init__(self, cost):
        self.calls, self._cost = [], cost

    def cost(self, steps):
        self.calls.append(steps)
        return self._cost(steps)


@pytest.fixture(autouse=True)
def coin(monkeypatch):
    coins = itertools.cycle([False, True])
    alternate = SimpleNamespace(shuffle=lambda sides: sides.reverse() if next(coins) else None)
    monkeypatch.setattr(known_order, "_RNG", alternate)


def turns_of(known, new, steps=500):
    sides = Program(known), Program(new)
    return take_turns(*sides, ORDER, steps, 0.001), *(side.calls for side in sides)


def test_a_program_that_knew_the_order_wins_all_turns():
    turns, known, new = turns_of(lambda steps: 0.01 * steps, lambda steps: 0.1 * steps)
    assert (turns.made, turns.cheaper) == (20, 20)
    assert known == new
    assert known[:2] == [1, 20]
    assert 1 in known[2:]  # the short batch of an epoch, which does not count
    assert sum(known) <= 500  # only steps that the run made


def test_a_program_that_knows_nothing_is_done_after_two_turns():
    turns, *_ = turns_of(lambda steps: 0.1 * steps, lambda steps: 0.1 * steps)
    assert (turns.made, turns.cheaper) == (2, 0)


def test_load_that_comes_and_goes_meets_both_orders():
    """A call costs ten times as much while others are at work, every second time."""
    load = itertools.cycle([1.0, 10.0])

    def call(steps):
        return next(load) * steps

    turns, *_ = turns_of(call, call)
    assert turns.dearer == 2


def test_a_run_that_is_too_short_for_all_turns_decides_nothing():
    turns, *_ = turns_of(lambda _: 0.01, lambda _: 0.1, steps=9)
    assert (turns.made, turns.cheaper) == (7, 7)


def test_turns_end_in_time(monkeypatch):
    now = itertools.count(step=50.0)
    monkeypatch.setattr(known_order.time, "monotonic", lambda: next(now))
    turns, *_ = turns_of(lambda _: 0.01, lambda _: 0.1)
    assert 0 < turns.made < 4
