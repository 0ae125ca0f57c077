"""When head's task counts as another: real descriptions, with losses that agree."""

import contextlib
import threading
from types import SimpleNamespace

import msgspec
import pytest

from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload
from harness.errors import Declined
from harness.gate import quality
from harness.gate.learner import Learner, Maths
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.worker.errors import MemoryRanOut, WorkerLost, WorkerTimeout

SAME = [Maths("float64", [[1.0], [0.9]], {"accuracy": 0.5}), Maths("float32", [[1.0]], {})]

TORCH = Configuration("torch", "eager", "cpu", threads=1)


@pytest.fixture
def compare(monkeypatch):
    """Holds two sides of ``mlp`` against each other, whose options and descriptions are changed as given."""
    monkeypatch.setattr(quality, "observe", lambda *_: SAME)
    monkeypatch.setattr(quality, "places_to_start", lambda _: None)
    task = registry.task("mlp").define(registry.task("mlp").options())

    def side(label, options, changes):
        changed = msgspec.structs.replace(task, **changes)
        return Workload(label=label, configuration=TORCH, task=changed, options=options)

    def call(base=(), head=(), **changes):
        return quality.same_maths(
            [side("base", dict(base), {}), side("head", dict(head), changes)], "mnist1d", 1
        )

    return call


def test_an_option_that_base_did_not_know_yet_is_no_other_task(compare):
    width = ("width", 2)
    assert compare([width], [width, ("smoothing", 0.0)]).verdict == "PASS"


def test_an_option_with_another_value_is_another_task(compare):
    found = compare([("width", 2)], [("width", 4)])
    assert (found.verdict, found.reason) == ("FAIL", "head's task is another (width 2 is now 4)")


def test_a_description_that_differs_later_than_in_the_first_steps_is_another_task(compare):
    found = compare(epochs=99)
    assert (found.verdict, found.reason) == ("FAIL", "head's task is another (in epochs)")
    assert compare(epochs=99, version=7).reason == "head's task is another (in version and epochs)"


def only_float32(losses, loss=0.5, accuracy=0.5):
    return [Maths("float32", losses, {"loss": loss, "accuracy": accuracy})]


def test_without_float64_the_loss_after_the_timed_steps_tells_of_another_evaluation():
    """One sample that is answered otherwise is rounding, a loss that is another is not."""
    base = only_float32([[1.0]])
    assert quality.compare_maths(base, only_float32([[1.0 + 1e-7]], accuracy=0.51), "").verdict == "PASS"
    found = quality.compare_maths(base, only_float32([[1.0]], loss=0.51), "")
    assert (found.verdict, "evaluation differs" in found.reason) == ("FAIL", True)
    assert quality.compare_maths(base, only_float32([[1.0 + 1e-7]]), "").worst == pytest.approx(1e-7, rel=0.1)


def test_another_number_of_losses_a_step_is_other_maths():
    found = quality.compare_maths(only_float32([[1.0]]), only_float32([[1.0, 2.0]]), "")
    assert found.verdict == "FAIL"
    assert "another number of losses" in found.reason


def test_other_bytes_of_the_data_are_named_before_the_losses_that_follow_from_them():
    base, head = ([Maths("float32", [[loss]], {}, data * 12)] for loss, data in ((1.0, "a"), (2.0, "b")))
    found = quality.compare_maths(base, head, "")
    assert found.verdict == "FAIL"
    assert found.reason == "head reads other data: sha256 bbbbbbbbbbbb… where base reads aaaaaaaaaaaa…"


def test_losses_that_neither_side_has_are_no_equal_maths():
    lost = only_float32([[1.0], [None]])
    found = quality.compare_maths(lost, lost, "")
    assert (found.verdict, found.unsound) == ("INCONCLUSIVE", True)
    assert "no loss of either is finite from step 2 on" in found.reason
    assert quality.compare_maths(only_float32([[1.0], [1.0]]), lost, "").verdict == "FAIL"


@pytest.mark.parametrize(
    ("trouble", "processes"), [(Declined("no float64"), 1), (MemoryRanOut("memory ran out", ""), 2)]
)
def test_a_task_that_does_not_fit_in_float64_is_compared_in_what_is_timed(monkeypatch, trouble, processes):
    """Memory may be left in pieces where it ran out, so another process begins anew."""
    begun = []

    class Learner:
        def maths(self, precision, _steps):
            if precision == "float64":
                raise trouble
            return Maths(precision, [[1.0]], {})

    @contextlib.contextmanager
    def learner(*_):
        begun.append(Learner())
        yield begun[-1]

    monkeypatch.setattr(quality, "learner", learner)
    mlp = registry.task("mlp")
    workload = Workload(label="head", configuration=TORCH, task=mlp.define(mlp.options()), options={})
    maths = quality.observe(workload, "mnist1d", 1)
    assert (maths[-1].precision, maths[-1].losses, len(begun)) == ("float32", [[1.0]], processes)


@pytest.fixture
def beside_each_other(monkeypatch):
    """Compares sides with a CPU each; ``work(label)`` gives the data's fingerprint. Tells who came again."""
    alone = []

    def observe(side, *_):
        alone.append(side.label)
        return SAME

    def call(work, places=((0,), (1,))):
        class FakeLearner(Learner):
            def maths(self, precision, _steps):
                return Maths(precision, [[1.0]], {}, work(self._side.label) or "")

        @contextlib.contextmanager
        def learner(side, dataset, _limit, _cpus):
            session = SimpleNamespace(kill=ended.set, last_lines=list)
            yield FakeLearner(side, session, dataset)

        ended = threading.Event()
        monkeypatch.setattr(quality, "learner", learner)
        monkeypatch.setattr(quality, "observe", observe)
        monkeypatch.setattr(quality, "places_to_start", lambda _: list(places))
        mlp = registry.task("mlp")
        task = mlp.define(mlp.options())
        sides = [
            Workload(label=label, configuration=TORCH, task=task, options={}) for label in ("base", "head")
        ]
        return quality.same_maths(sides, "mnist1d", 1), alone, ended.is_set()

    return call


def test_both_sides_compute_at_the_same_time_where_each_has_a_cpu(beside_each_other):
    met = threading.Barrier(2, timeout=20)
    found, alone, _ = beside_each_other(lambda _: met.wait() < 0)
    assert (found.verdict, alone) == ("PASS", [])


def test_sides_that_share_cpus_compute_one_after_the_other(beside_each_other):
    assert beside_each_other(lambda _: pytest.fail("not reached"), [(0, 1), (0, 1)])[1] == ["head", "base"]


KILLED = WorkerLost("the worker process was killed by SIGKILL", None, "SIGKILL")
HANGS = WorkerTimeout("the worker was silent for 600 s and was killed as hung", silent=True)


@pytest.mark.parametrize("trouble", [KILLED, MemoryRanOut("memory ran out", "")])
def test_a_side_without_memory_beside_the_other_is_tried_by_itself(beside_each_other, trouble):
    def work(label):
        if label == "head":
            raise trouble

    found, alone, ended = beside_each_other(work)
    assert (found.verdict, alone, ended) == ("PASS", ["head", "base"], True)


@pytest.mark.parametrize("trouble", [HANGS, WorkerLost("the worker process exited with code 3", 3, None)])
@pytest.mark.parametrize(("failing", "blamed"), [("base", "base"), ("head", "head"), ("base head", "head")])
def test_who_fails_is_told_once_and_head_before_base(beside_each_other, trouble, failing, blamed):
    """What neither can do is head's fault. A crash or a hang is not tried again."""

    def work(label):
        if label in failing:
            raise trouble

    with pytest.raises(ConfigurationFailed, match=f"side {blamed}: ") as raised:
        beside_each_other(work)
    assert raised.value.__cause__ is trouble


def test_data_that_seem_to_differ_are_read_again_one_after_the_other(beside_each_other):
    """One side may have read what the other was unpacking."""
    found, alone, _ = beside_each_other(lambda label: label)
    assert (found.verdict, alone) == ("PASS", ["head", "base"])


def test_memory_that_runs_out_on_one_side_is_no_other_maths():
    exact, timed = Maths("float64", [[1.0]], {}), Maths("float32", [[1.0]], {})
    lost = Maths("float64", [], {}, memory_ran_out=True)
    for base, head in (
        ([exact, timed], [lost, timed]),
        ([lost, timed], [exact, timed]),
        ([timed], [lost, timed]),
    ):
        found = quality.compare_maths(base, head, "")
        assert (found.verdict, "memory ran out in float64" in found.reason) == ("PASS", True)
    found = quality.compare_maths([lost, timed], [exact, Maths("float32", [[1.1]], {})], "")
    assert "head does other maths: in float32" in found.reason
    assert quality.compare_maths([exact, timed], [timed], "").verdict == "FAIL"  # which declined it
