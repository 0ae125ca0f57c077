"""How the first steps of base and head are made: side by side if possible, else one after the other."""

import contextlib
import math
import threading
from types import SimpleNamespace

import pytest
from support.workloads import workload

from harness.errors import Declined, MemoryRanOut, WorkerLost, WorkerTimeout
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.gate import first_steps
from harness.timing.gate.first_steps import compare_first_steps
from harness.timing.gate.training_worker import FirstSteps, TrainingWorker

SAME = [FirstSteps("float64", [[1.0], [0.9]], {"accuracy": 0.5}), FirstSteps("float32", [[1.0]], {})]


@pytest.mark.parametrize(
    ("trouble", "processes"), [(Declined("no float64"), 1), (MemoryRanOut("memory ran out", ""), 2)]
)
def test_a_task_that_does_not_fit_in_float64_runs_in_the_timed_precision(monkeypatch, trouble, processes):
    """Where memory ran out it may be fragmented, so a fresh process is started."""
    started = []

    class Worker:
        def first_steps(self, precision, _steps):
            if precision == "float64":
                raise trouble
            return FirstSteps(precision, [[1.0]], {})

    @contextlib.contextmanager
    def training_worker(*_):
        started.append(Worker())
        yield started[-1]

    monkeypatch.setattr(first_steps, "training_worker", training_worker)
    steps = first_steps.observe(workload("head"), "mnist1d")
    assert (steps[-1].precision, steps[-1].losses, len(started)) == ("float32", [[1.0]], processes)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
def test_a_later_loss_or_score_that_is_not_finite_fails_the_gate(wrong):
    right = FirstSteps("float64", [[1.0, 1.0], [0.9, 0.9]], {"loss": 0.9, "accuracy": 0.5})
    for head in (
        FirstSteps("float64", [[1.0, wrong], [0.9, 0.9]], right.scores),
        FirstSteps("float64", [[1.0, 1.0], [0.9, wrong]], right.scores),
        FirstSteps("float64", right.losses, {"loss": 0.9, "accuracy": wrong}),
    ):
        assert first_steps._judged([right], [head], None).verdict == "FAIL"
    assert first_steps._judged([right], [right], None).verdict == "PASS"


@pytest.fixture
def side_by_side(monkeypatch):
    """Compares workloads with a CPU each; ``work(label)`` gives the fingerprint of the data.

    Returns the result, the labels that ran alone afterwards, and whether the workers were ended.
    """
    alone = []

    def observe(observed, *_):
        alone.append(observed.label)
        return SAME

    def call(work, places=((0,), (1,))):
        class Worker(TrainingWorker):
            def first_steps(self, precision, _steps):
                return FirstSteps(precision, [[1.0]], {}, work(self._workload.label) or "")

        @contextlib.contextmanager
        def training_worker(started, dataset, _cpus):
            def with_last_lines(error):
                return str(error)

            session = SimpleNamespace(kill=ended.set, last_lines=list, with_last_lines=with_last_lines)
            yield Worker(started, session, dataset)

        ended = threading.Event()
        monkeypatch.setattr(first_steps, "training_worker", training_worker)
        monkeypatch.setattr(first_steps, "observe", observe)
        monkeypatch.setattr(first_steps, "places_to_start", lambda _: list(places))
        both = [workload("base"), workload("head")]
        return compare_first_steps(both, "mnist1d"), alone, ended.is_set()

    return call


def test_both_run_at_the_same_time_if_each_has_a_cpu(side_by_side):
    met = threading.Barrier(2, timeout=20)
    result, alone, _ = side_by_side(lambda _: met.wait() < 0)
    assert (result.verdict, alone) == ("PASS", [])


def test_workloads_that_share_cpus_run_one_after_the_other(side_by_side):
    assert side_by_side(lambda _: pytest.fail("not reached"), [(0, 1), (0, 1)])[1] == ["head", "base"]


KILLED = WorkerLost("the worker process was killed by SIGKILL", None, "SIGKILL")
HANGS = WorkerTimeout("the worker was silent for 600 s and was killed as hung", silent=True)


@pytest.mark.parametrize("trouble", [KILLED, MemoryRanOut("memory ran out", "")])
def test_a_worker_without_memory_beside_the_other_is_tried_alone(side_by_side, trouble):
    def work(label):
        if label == "head":
            raise trouble

    result, alone, ended = side_by_side(work)
    assert (result.verdict, alone, ended) == ("PASS", ["head", "base"], True)


@pytest.mark.parametrize("trouble", [HANGS, WorkerLost("the worker process exited with code 3", 3, None)])
@pytest.mark.parametrize(("failing", "blamed"), [("base", "base"), ("head", "head"), ("base head", "head")])
def test_a_failure_is_raised_once_and_that_of_head_before_that_of_base(
    side_by_side, trouble, failing, blamed
):
    """A crash or a hang is not tried again."""

    def work(label):
        if label in failing:
            raise trouble

    with pytest.raises(ConfigurationFailed) as raised:
        side_by_side(work)
    assert (raised.value.label, raised.value.__cause__) == (blamed, trouble)


def test_data_that_seems_to_differ_is_read_again_one_after_the_other(side_by_side):
    """One may have read what the other was unpacking."""
    result, alone, _ = side_by_side(lambda label: label)
    assert (result.verdict, alone) == ("PASS", ["head", "base"])
