"""Where the time of a step goes: what the profilers report, and which operation is named as slower."""

import pytest

from harness.core.documents.document import plain, shown
from harness.core.plugins.configuration import Configuration
from harness.timing.engine.page import profile_sections
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import StepTarget
from harness.timing.engine.steps.profiles import changed_most
from harness.timing.engine.steps.profiling import profile_sides
from harness.timing.engine.steps.program import _self_times

PLAIN = """
def wait_here(rounds):
    return sum(i * i for i in range(rounds))
def other_work():
    return sorted(range(2000), key=lambda i: -i)
def make_step(rounds=2000):
    def step():
        other_work()
        return wait_here(rounds)
    return step
def make_torch(size=64):
    import torch
    x = torch.ones(size, size)
    return lambda: (torch.sin(x) @ x).sum()
def raises():
    raise RuntimeError("no model here")
"""


@pytest.fixture
def workload(tmp_path):
    (tmp_path / "bench.py").write_text(PLAIN)

    def make(name="make_step", **arguments):
        target = StepTarget(target=f"bench.py:{name}", arguments=arguments, folder=str(tmp_path))
        return OwnStep(label="step", configuration=Configuration("", "", "cpu", 1), target=target)

    return make


def profiled(*workloads):
    said = []
    found = profile_sides(workloads, "", said.append)
    assert said[: len(found.sides)] == ["profiling step"] * len(found.sides)
    return found


def test_the_function_that_became_slower_is_named_first(workload):
    (base,), (head,) = profiled(workload(), workload(rounds=20_000)).sides
    changes = changed_most(base, head, 2)
    assert {change.name.partition(" ")[0] for change in changes} <= {"<genexpr>", "<built-in", "wait_here"}
    assert changes[0].seconds > 0
    other = next(each for each in head.operations if each.name.startswith("other_work"))
    assert other.calls == 1
    assert "bench.py" in other.name


@pytest.mark.slow
def test_the_operations_of_pytorch_are_named(workload):
    pytest.importorskip("torch")
    (base, python), (head, _) = profiled(workload("make_torch"), workload("make_torch", size=256)).sides
    assert (base.profiler, python.profiler) == ("torch", "Python")
    assert changed_most(base, head, 5)[0].name in {"aten::mm", "aten::sin"}
    (mm,) = [each for each in head.operations if each.name == "aten::mm"]
    assert mm.calls == 1


def test_what_encloses_other_operations_keeps_its_own_time_alone():
    events = [
        ("lane", "outer", 0.0, 10.0),
        ("lane", "inner", 1.0, 4.0),
        ("lane", "", 5.0, 2.0),
        ("lane", "inner", 5.5, 1.0),
        ("other lane", "outer", 0.0, 3.0),
    ]
    assert _self_times(events) == {"outer": [2, 10.0 - 4.0 - 2.0 + 3.0], "inner": [2, 5.0]}


def test_a_profile_that_fails_is_a_sentence_and_no_error(workload):
    found = profiled(workload("raises"))
    assert "RuntimeError: no model here" in found.fault
    (section,) = profile_sections(found, ["step"])
    assert plain(shown(section.nodes, "page")[0].text).startswith("It could not be profiled: ")


def test_each_profiler_of_both_sides_has_its_table(workload):
    both = profiled(workload(), workload())
    (section,) = profile_sections(both, ["base", "head"])
    (table,) = section.nodes[-1].nodes
    assert table.headers == ["function", "ms, base", "ms, head", "change", "calls, base", "calls, head"]
    assert len(table.rows) <= 10
    assert profile_sections(None, ["base", "head"]) == []
