"""Steps of the user's own, without any framework: values, times, and whatever a factory may do wrong."""

import contextlib
import json
import os
import re

import msgspec
import psutil
import pytest

from harness.core.plugins.configuration import Configuration
from harness.errors import UsageError
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps import observation
from harness.timing.engine.steps.equal_work import WorkRequest, compare_work
from harness.timing.engine.steps.findings import comparison_text, difference_text
from harness.timing.engine.steps.own import OwnStep, TimedStep
from harness.timing.engine.steps.process import Foreign, StepTarget, parsed_arguments

PLAIN = """
import random
def make_step(size=300, rate=0.5, fail_at=0, nan_at=0):
    state = {"calls": 0, "value": 1.0}
    def step():
        state["calls"] += 1
        if state["calls"] == fail_at:
            raise ValueError("it broke")
        print("noise on standard output")
        state["value"] -= rate * state["value"] * random.random() / size
        total = sum(i * i for i in range(size))
        return float("nan") if state["calls"] == nan_at else {"loss": state["value"], "total": total}
    step.state = lambda: {"weights": [state["value"]] * 100}
    return step
def exits():
    raise SystemExit(3)
def raises():
    raise RuntimeError("no model here")
def none():
    return None
def texts():
    return lambda: "text"
def unseeded():
    import os
    return lambda: int.from_bytes(os.urandom(4), "little")
def dies():
    import os, signal
    return lambda: os.kill(os.getpid(), signal.SIGKILL)
def changing():
    values = [1.0, [1.0, 2.0], 3.0]
    return lambda: values[0] if not values[1:] else values.pop(0)
def always_changing():
    calls = [0]
    def step():
        calls[0] += 1
        return [1.0] * (calls[0] % 7)
    return step
def of_other_shape():
    import os
    return lambda: [1.0] * (1 + int.from_bytes(os.urandom(1), "little"))
def hangs():
    import subprocess, time
    subprocess.Popen(["sleep", "12345"])
    time.sleep(12345)
def later_hangs(at=30):
    import time
    calls = [0]
    def step():
        calls[0] += 1
        if calls[0] == at:
            time.sleep(12345)
        return 1.0
    return step
def needs(a, b=2):
    return lambda: a
def takes():
    return lambda x, y=1: x
def with_samples(samples=3):
    step = lambda: 1.0
    step.samples = samples
    return step
def bad_state():
    step = lambda: 1.0
    def state():
        raise KeyError("weights")
    step.state = state
    return step
def draws():
    return lambda: random.random()
def stops_clocks(every=True):
    import sys, time
    time.perf_counter = lambda: 1.0
    for module in list(sys.modules.values()) * every:  # as libraries do that freeze the time in tests
        if getattr(module, "perf_counter", None) is not None:
            module.perf_counter = time.perf_counter
    return lambda: None
def nothing():
    return lambda: None
def slow_first(seconds=0.3):
    import time
    pauses = [seconds]
    return lambda: time.sleep(pauses.pop() if pauses else 0) or 1.0
def many(last=1.0):
    return lambda: [*range(1999), last]
"""


@pytest.fixture
def workload(tmp_path):
    (tmp_path / "bench.py").write_text(PLAIN)

    def make(name="make_step", label="step", folder=tmp_path, timeout=None, **arguments):
        target = StepTarget(target=f"bench.py:{name}", arguments=arguments, folder=str(folder))
        return OwnStep(
            label=label,
            configuration=Configuration("", "", "cpu", 1),
            target=target,
            timeout_seconds=timeout,
        )

    return make


def work(*workloads, **request):
    (found,) = compare_work(workloads, WorkRequest(calls=5, **request))
    return found


def test_the_same_step_does_the_same_work(workload):
    same = work(workload(), workload())
    assert (same.outcome, same.calls, same.states, same.spread) == ("same", 5, True, 0.0)


def test_another_rate_is_other_work(workload):
    differs = work(workload(), workload(rate=0.6))
    assert (differs.outcome, differs.difference.name, differs.deviations[0] > 0) == ("differs", "loss", True)
    assert "the values loss differ by up to" in difference_text(differs.difference)
    assert work(workload(), workload(rate=0.6), tolerance=5.0).outcome == "within tolerance"
    assert work(workload(), workload(rate=0.6), values="differ").outcome == "not asked"


def test_values_that_are_not_finite_are_never_the_same(workload):
    assert work(workload(nan_at=2), workload(nan_at=2)).outcome == "not finite"
    differs = work(workload(), workload(nan_at=2))
    assert (differs.outcome, differs.difference.call, differs.largest) == ("differs", 2, None)


SUMS = """
import numpy as np
def make_step(dtype="float32", order=1, decay=0.0, from_call=1, width=30_000):
    rows, state = np.random.default_rng(0), {"calls": 0}
    weights = rows.normal(size=width).astype(dtype)
    def step():
        nonlocal weights
        state["calls"] += 1
        loss = np.dot(weights[::order], weights[::order])
        rate = decay if state["calls"] >= from_call else 0.0
        weights = np.tanh(weights * np.asarray(1 - rate, dtype) + loss / width)
        return loss
    return step
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_another_order_of_sums_is_no_other_work_and_another_decay_is(workload, tmp_path, dtype):
    (tmp_path / "bench.py").write_text(SUMS)
    base = workload(dtype=dtype)
    order = work(base, workload(dtype=dtype, order=-1))
    explained = "rounding" if dtype == "float64" else "not distinguished"  # NumPy computes as its arrays do
    assert order.outcome == explained
    assert all(0 <= one <= limit for one, limit in zip(order.deviations, order.envelope, strict=True))
    decay = work(base, workload(dtype=dtype, decay=1e-3, from_call=2))
    assert (decay.outcome, decay.deviations[0]) == ("differs", 0.0)
    assert "where rounding explains" in comparison_text(decay)


def test_the_number_of_arrays_is_not_limited_by_that_of_open_files(workload):
    found = work(workload("many"), workload("many", last=2.0))
    assert (found.outcome, found.difference.name) == ("differs", "1999")


def test_a_first_call_that_compiles_takes_no_time_from_the_others(workload, monkeypatch):
    monkeypatch.setattr(observation, "_FIRST_CALLS_SECONDS", 0.2)
    (work,) = compare_work([workload("slow_first")] * 2, WorkRequest())
    assert (work.outcome, work.calls) == ("same", 20)


def test_what_is_not_deterministic_is_said_and_never_accused(workload):
    assert work(workload("unseeded"), workload("unseeded")).outcome == "not deterministic"
    assert work(workload("nothing"), workload("nothing")).outcome == "not returned"


def test_values_of_changing_shape_are_compared(workload):
    assert work(workload("changing"), workload("changing")).outcome == "same"
    differs = work(workload("always_changing"), workload("make_step"))
    assert differs.outcome == "differs"
    assert difference_text(differs.difference) == "only one side returns the value 0 (call 1)"
    assert work(workload("of_other_shape"), workload("of_other_shape")).outcome == "not deterministic"


def processes():
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("absent", {}, UsageError),
        ("none", {}, UsageError),
        ("texts", {}, UsageError),
        ("make_step", {"batch": 3}, UsageError),
        ("needs", {}, UsageError),
        ("takes", {}, UsageError),
        ("with_samples", {"samples": 0.5}, UsageError),
        ("raises", {}, ConfigurationFailed),
        ("exits", {}, ConfigurationFailed),
        ("make_step", {"fail_at": 4}, ConfigurationFailed),
        ("bad_state", {}, ConfigurationFailed),
        ("dies", {}, ConfigurationFailed),
    ],
)
def test_what_fails_is_named_in_a_line_and_leaves_no_process(workload, snapshot, name, arguments, error):
    before = processes()
    with pytest.raises(error) as raised:
        work(workload(name, **arguments), workload(name, **arguments))
    own_words = r" \(could not convert .*?\)\)"  # NumPy's
    assert re.sub(own_words, "", str(raised.value)) == snapshot
    assert processes() <= before


@pytest.mark.parametrize(
    ("name", "arguments", "seconds", "what"),
    # On a busy machine a factory that does not hang may take more than half a second.
    [("hangs", {}, 0.5, "the factory"), ("later_hangs", {"at": 2}, 4.0, "the step")],
)
def test_what_hangs_is_killed_with_all_that_it_started(workload, name, arguments, seconds, what):
    before = processes()
    hanging = workload(name, timeout=seconds, **arguments)
    with pytest.raises(ConfigurationFailed, match=f"{what} did not return within {seconds:g} s, and its"):
        work(hanging, hanging)
    assert processes() <= before
    assert not [each for each in psutil.process_iter(["cmdline"]) if "12345" in (each.info["cmdline"] or [])]


@contextlib.contextmanager
def timed(step):
    """The process of a step that has made its first call."""
    running = TimedStep(step, step.worker_variables(quiet=True), 60.0)
    try:
        running.begin("")
        running.await_build()
        running.make_first_step()
        yield running
    finally:
        running.end()


def test_a_step_that_stops_the_clocks_of_its_process_is_timed(workload):
    with timed(workload("stops_clocks")) as step:
        assert 0 < step.block(100) < 10
        assert all(seconds > 0 for seconds in step.single_calls(5, 10.0))


def test_a_pipe_is_not_waited_for(workload, tmp_path):
    (tmp_path / "bench.py").unlink()
    os.mkfifo(tmp_path / "bench.py")
    with pytest.raises(UsageError, match=r"not a file: .*bench\.py"), timed(workload()):
        pass


def test_an_error_in_a_block_names_the_call_and_its_side_once(workload, snapshot):
    with timed(workload(label="bench.py:make_step", fail_at=50)) as step:
        step.block(40)
        with pytest.raises(ConfigurationFailed) as raised:
            step.block(40)
    assert str(raised.value) == snapshot


@pytest.mark.parametrize("label", ["b", "bench.py", "bench.py:needs"])
def test_a_label_that_begins_like_the_target_takes_nothing_from_it(workload, label):
    text = "bench.py:needs: missing a required argument: 'a'; it takes a, b=2"
    with pytest.raises(UsageError) as raised:
        work(workload("needs", label=label), workload("needs", label="other"))
    assert str(raised.value) == (text if label == "bench.py:needs" else f"{label}: {text}")


def test_sides_of_other_samples_are_refused(workload):
    with pytest.raises(UsageError, match="b: a call has 4 samples, and one of a 3: only steps of equal"):
        work(workload("with_samples", label="a"), workload("with_samples", label="b", samples=4))


def test_a_side_that_imports_the_code_of_the_other_checkout_is_refused(workload, tmp_path):
    base, head = tmp_path / "base", tmp_path / "head"
    for folder in (base, head):
        folder.mkdir()
        (folder / "bench.py").write_text(
            f"import sys; sys.path.insert(0, {str(head)!r})\nimport model\ndef make_step():\n return int"
        )
    (head / "model.py").write_text("")
    reference = workload(label="base", folder=base)
    foreign = msgspec.structs.replace(reference.target, foreign=Foreign(str(head.resolve()), ", of head"))
    with pytest.raises(UsageError, match=r"base: bench\.py:make_step: it imports model\.py, of head"):
        work(msgspec.structs.replace(reference, target=foreign), workload(label="head", folder=head))


def test_the_memory_of_a_step_is_without_that_of_the_process_that_started_it(workload):
    large = bytearray(200_000_000)
    with timed(workload()) as step:
        measured = step.finish(verify=False).measured
    assert measured["peak_memory_bytes"] < len(large)


def test_arguments_are_json_or_texts_and_several_values_make_several_sets():
    assert parsed_arguments(["a=1", "b=x", "c=[1,2]"]) == [{"a": 1, "b": "x", "c": [1, 2]}]
    assert parsed_arguments(["size=32,64", "b=true"]) == [{"size": 32, "b": True}, {"size": 64, "b": True}]
    for wrong in (["a"], ["a=1,2", "b=3,4"]):
        with pytest.raises(UsageError):
            parsed_arguments(wrong)


QUICK = ("--threads", "1", "--turns", "2", "--quiet")


@pytest.fixture
def bench(harness):
    """The command beside the file of steps."""
    (harness.folder / "bench.py").write_text(PLAIN)
    return harness


def test_time_prints_and_records(bench):
    more = ("--processes", "2", "--samples", "10", *QUICK)
    done = bench.ok("time", "bench.py:make_step", *more, OMP_SCHEDULE="static")
    assert done.stdout.startswith("bench.py:make_step takes ")
    for text in ("samples/s", "single call, p50", "First values: loss ", "returned the same values"):
        assert text in done.stdout
    assert "noise on standard output" not in done.stdout
    assert "bench.py:make_step takes" in bench("show", "last").stdout
    bench.ok("report", "last", "--to", "time.html")
    assert "dl-harness time" in (bench.folder / "time.html").read_text()
    (record,) = (bench.folder / "results" / "times").glob("*.json")
    recorded = json.loads(record.read_text())
    assert len(recorded["single_calls"]) == 2
    assert recorded["inherited_variables"]["OMP_SCHEDULE"] == "static"


@pytest.mark.slow
def test_a_duel_of_steps_proves_equal_work_first(bench):
    margin = ("--within", "50%", "--budget", "15")  # so wide that few pairs decide
    words = ("bench.py:make_step env.X=1", "--format", "json", *margin, *QUICK)
    (work,) = json.loads(bench.ok("duel", "bench.py:make_step", *words).stdout)["step"]["work"]
    assert (work["outcome"], work["calls"], work["states"]) == ("same", 20, True)
    other = bench("duel", "bench.py:make_step", "--with", "rate=0.5,0.6", *QUICK)
    assert (other.returncode, "do different work" in other.stdout) == (1, True)


@pytest.mark.long
def test_seed_and_timeout_of_steps_on_the_command_line(bench):
    def first_value(*options):
        done = bench("time", "bench.py:draws", "--processes", "1", "--format", "json", *options, *QUICK)
        record = json.loads(done.stdout)
        return record["is_deterministic"], record["step"]["seed"]

    assert first_value() == (True, 0)
    assert first_value("--seed", "own") == (False, None)
    for command in (("time", "bench.py:hangs"), ("duel", "bench.py:hangs", "bench.py:draws")):
        done = bench(*command, "--timeout", "1s", *QUICK)
        assert (done.returncode, "within 1 s" in done.stdout) == (1, True)
        assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.long
def test_a_duel_whose_budget_ends_in_the_trial_says_what_it_takes_in_a_line(bench):
    (bench.folder / "bench.py").write_text(
        "import time\ndef make_step():\n    return lambda: time.sleep(0.1)\n"
    )
    done = bench("duel", "bench.py:make_step", "bench.py:make_step env.X=1", "--budget", "1s", *QUICK)
    first = done.stdout.splitlines()[0]
    assert (done.returncode, "--budget 5s or more" in first, "%" in first) == (1, True, False)
