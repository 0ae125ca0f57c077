"""Calls of timed blocks: drawn afterwards, compared with base, and never judged by what does not repeat."""

import contextlib
from types import SimpleNamespace

import pytest

from harness.core.audit.findings import DishonestClock
from harness.core.machine.usage import Usage
from harness.core.plugins.configuration import Configuration
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps import own
from harness.timing.engine.steps.draws import Draws, PairValues
from harness.timing.engine.steps.findings import WorkComparison, comparison_text
from harness.timing.engine.steps.late import LateCalls
from harness.timing.engine.steps.own import OwnStep, TimedStep
from harness.timing.engine.steps.process import StepTarget

STEPS = """
import random, sys
def trained():
    value = [random.random()]
    def step():
        value[0] += 0.1 * (random.random() - value[0])
        return {"loss": value[0], "calls": 1}
    return step
def stored():
    step, values, known = trained(), [], []
    def head():
        if len(known) < 25:
            known.append(step())
        return known[-1]
    return head
def half():
    step, made, last = trained(), [0], [None]
    def head():
        made[0] += 1
        if made[0] <= 25 or made[0] % 2:
            last[0] = step()
        return last[0]
    return head
def watches():
    step, last = trained(), [None]
    def head():
        if last[0] is None or sys._getframe(1).f_code.co_name != "block":
            last[0] = step()
        return last[0]
    return head
def unsteady():
    step, made = trained(), [0]
    def head():
        made[0] += 1
        if made[0] > 30:
            random.seed()
        return step()
    return head
def buffers(copies=True, width=3):
    import numpy as np
    values = np.zeros(width)
    def step():
        values[:] += random.random()
        return values.copy() if copies else values
    return step
def rounded(order=1, wrong_from=0, width=20_000):
    import numpy as np
    weights, made = np.random.default_rng(random.getrandbits(30)).normal(size=width).astype("float32"), [0]
    def step():
        made[0] += 1
        loss = np.dot(weights[::order], weights[::order])
        if not wrong_from or made[0] < wrong_from:
            weights[:] = weights * np.float32(0.999) + loss / np.float32(1e9)
        return loss
    return step
class Lazy:
    reads = 0
    def __array__(self, *_, **__):
        import numpy as np
        Lazy.reads += 1
        return np.zeros(3)
def lazy(first=True):
    made = [0]
    def step():
        made[0] += 1
        return Lazy() if first or made[0] > 1 else 1.0
    step.state = lambda: float(Lazy.reads)
    return step
def replaced(what):
    step = trained()
    def block(self, steps, keep):
        self.calls += steps
        return {"type": "Timed", "seconds": 1e-6, "kept": steps}
    sys.modules["__main__"].Step.block = block
    return step
"""


@pytest.fixture
def workload(tmp_path):
    (tmp_path / "bench.py").write_text(STEPS)

    def make(name, **arguments):
        target = StepTarget(target=f"bench.py:{name}", arguments=arguments, folder=str(tmp_path))
        return OwnStep(label=name, configuration=Configuration("", "", "cpu", 1), target=target)

    return make


@contextlib.contextmanager
def timed(step, draws, seed=7):
    running = TimedStep(step, step.worker_variables(quiet=True), 60.0, draws=draws)
    try:
        running.begin("", seed)
        running.await_build()
        running.make_first_step()
        yield running
    finally:
        running.end()


def pair(base, head, blocks=4, steps=20, seed=7):
    """What the drawn calls of base and head returned in some blocks."""
    draws, values, calls = Draws(), [], []
    for side in (base, head):
        with timed(side, draws, seed) as running:
            for _ in range(blocks):
                running.block(steps)
            values.append(running.returned)
            calls.append(running.calls)
    return PairValues(seed, draws.start, [steps, steps], calls, values)


def judged(base, head, outcome="same", pairs=2, **first):
    """The comparison after some pairs."""
    late, work = LateCalls([base, head]), [WorkComparison(outcome=outcome, calls=20, **first)]
    for number in range(pairs):
        work = late.compare(work, pair(base, head, seed=number))
    return work[0]


def test_equal_steps_are_equal_up_to_the_last_call(workload):
    found = judged(workload("trained"), workload("trained"))
    assert (found.outcome, found.late_call, found.late_made) == ("same", 81, 81)
    assert 10 <= found.late_compared <= 18
    assert comparison_text(found).endswith(f"{found.late_compared} timed calls compared, up to call 81 of 81")


@pytest.mark.parametrize("cheat", ["stored", "half", "watches"])
def test_work_that_is_skipped_after_the_first_calls_differs(workload, cheat):
    found = judged(workload("trained"), workload(cheat))
    assert (found.outcome, found.difference.name) == ("differs", "loss")
    assert (1 if cheat == "watches" else 25) < found.difference.call <= 81
    assert f"(call {found.difference.call}: " in comparison_text(found)


def test_one_pair_alone_accuses_nobody(workload):
    assert judged(workload("trained"), workload("half"), pairs=1).difference is None


def test_nothing_is_judged_from_where_base_does_not_repeat(workload):
    found = judged(workload("unsteady"), workload("unsteady"))
    assert (found.outcome, found.difference) == ("same", None)
    assert 1 <= found.late_call <= 30 < found.late_made


@pytest.mark.parametrize("outcome", ["not returned", "not asked", "not deterministic"])
def test_what_the_first_calls_do_not_show_later_ones_do_not(workload, outcome):
    found = judged(workload("trained"), workload("half"), outcome)
    assert (found.outcome, found.late_made) == (outcome, 0)


@pytest.mark.parametrize("width", [3, 100_000])
def test_a_buffer_that_is_written_again_is_compared_at_the_last_calls_of_blocks(workload, width):
    base, head = workload("buffers", width=width), workload("buffers", copies=False, width=width)
    found = judged(base, head)
    assert (found.outcome, found.difference, found.late_compared) == ("same", None, 10)
    assert set(pair(head, head).values[0]) == {1, 21, 41, 61, 81}


@pytest.mark.slow
def test_other_rounding_is_no_other_work_and_a_skipped_update_is(workload):
    base = workload("rounded")
    found = judged(base, workload("rounded", order=-1), "rounding")
    assert (found.difference, found.late_compared > 5, found.late_call) == (None, True, 81)
    skips = judged(base, workload("rounded", order=-1, wrong_from=25), "rounding")
    assert (skips.outcome, skips.difference.call > 25) == ("differs", True)
    assert (
        judged(base, workload("rounded", wrong_from=25), "within tolerance", tolerance=0.5).difference is None
    )


def test_numbers_that_reading_would_compute_are_read_in_the_block(workload):
    with timed(workload("lazy"), Draws()) as running:
        running.block(20)
        assert set(running.returned) >= {1, 21}
    with pytest.raises(
        ConfigurationFailed, match=r"OtherTypeError: call .* of other types than the first call"
    ):
        pair(workload("lazy", first=False), workload("trained"))


def test_a_process_that_returns_no_value_is_not_trusted(workload):
    with (
        pytest.raises(ConfigurationFailed, match="did not return the value of the last call") as raised,
        timed(workload("replaced", what="block"), Draws()) as running,
    ):
        running.block(20)
    assert isinstance(raised.value.__cause__, DishonestClock)


@pytest.mark.parametrize(("share", "fault"), [(1.0, None), (0.95, None), (0.8, "missing time")])
def test_the_sums_of_the_parent_judge_what_a_process_reports(workload, monkeypatch, share, fault):
    now = iter([step * 0.1 for step in range(1000)])
    meter = SimpleNamespace(begin=lambda: None, end=lambda: Usage(0.0, 0.0, 0.0, 0.0, 0.0), knows_others=True)
    monkeypatch.setattr(own, "UsageMeter", lambda *_: meter)
    monkeypatch.setattr(own, "time", SimpleNamespace(monotonic=lambda: next(now)))
    monkeypatch.setattr(own.StepSession, "call", lambda *_: own.Timed(0.1 * share, 0))
    monkeypatch.setattr(own.StepSession, "receive", lambda *_: SimpleNamespace())
    running = TimedStep(workload("trained"), workload("trained").worker_variables(quiet=True), 60.0)
    try:
        running.begin("", 0)
        running.await_build()
        for _ in range(20):
            running.block(1)
        if fault is None:
            assert running._sums.judged().outcome == "confirmed"
            return
        with pytest.raises(DishonestClock, match=r"reported 1\.6 s for 20 calls that took 2 s"):
            running._sums.judged()
    finally:
        running.end()
