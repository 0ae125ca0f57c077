"""Where the time of a step goes: what the profilers report, and which operation is named as slower."""

import sys

import pytest

from harness.core.documents.document import plain, shown, text_of
from harness.core.documents.numbers import NOTHING
from harness.core.plugins.configuration import Configuration
from harness.timing.engine.page import profile_sections
from harness.timing.engine.steps import profiling
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import StepTarget
from harness.timing.engine.steps.profiles import Operation, Profiles, StepProfile, changes, merged
from harness.timing.engine.steps.profiling import profile_sides
from harness.timing.engine.steps.program_profile import _own_file, _self_times

PLAIN = """
import copy
def wait_here(rounds):
    return sum(i * i for i in range(rounds))
def other_work():
    return sorted(range(2000), key=lambda i: -i)
def make_step(rounds=2000):
    def step():
        other_work()
        return wait_here(rounds)
    return step
def remember(state):
    return copy.deepcopy(state)
def make_trainer(remembers=False):
    state = {f"w{i}": [0.0] * 9 for i in range(40)}
    def train_step():
        if remembers:
            remember(state)
        return other_work()
    return train_step
def make_torch(size=64):
    import torch
    x = torch.ones(size, size)
    return lambda: (torch.sin(x) @ x).sum()
def raises():
    raise RuntimeError("no model here")
"""


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """As many repetitions as there are at least, of few calls."""
    monkeypatch.setattr(profiling, "_MOST_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "_PROFILE_SECONDS", 0.05)


@pytest.fixture
def workload(tmp_path):
    (tmp_path / "bench.py").write_text(PLAIN)

    def make(name="make_step", **arguments):
        target = StepTarget(target=f"bench.py:{name}", arguments=arguments, folder=str(tmp_path))
        return OwnStep(label="step", configuration=Configuration("", "", "cpu", 1), target=target)

    return make


def profiled(*workloads):
    """The profiles of each side by their kinds."""
    found = profile_sides(workloads, "", lambda _line: None)
    assert not found.fault
    return [{profile.kind: profile for profile in side} for side in found.sides]


ALONE, INCLUSIVE = ("Python", False), ("Python", True)


def test_the_function_that_became_slower_is_named_first(workload):
    base, head = profiled(workload(), workload(rounds=20_000))
    first, *_ = changes(base[ALONE], head[ALONE])
    assert first.name.partition(" ")[0] in {"make_step.<locals>.<genexpr>", "wait_here.<locals>.<genexpr>"}
    assert first.seconds > 0
    other = next(each for each in head[ALONE].operations if each.name == "other_work (bench.py)")
    assert (other.calls, len(other.repeated)) == (1, 3)


def test_the_own_function_that_calls_a_library_is_named_with_all_that_it_calls(workload):
    """The library's functions are many; none of them is the cause."""
    base, head = profiled(workload("make_trainer"), workload("make_trainer", remembers=True))
    every = changes(base[INCLUSIVE], head[INCLUSIVE])
    (remember,) = [each for each in every if each.is_new]
    assert (remember.name, remember.head.calls) == ("remember (bench.py)", 1)
    alone = {each.name: each for each in changes(base[ALONE], head[ALONE])}
    assert alone["deepcopy (python" + alone_place() + "/copy.py)"].is_new
    assert remember.seconds > 5 * alone["remember (bench.py)"].seconds
    assert not any("copy.py" in each.name for each in head[INCLUSIVE].operations)


def alone_place():
    return ".".join(map(str, sys.version_info[:2]))


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("/top/net/trainer.py", "net/trainer.py"),
        ("/top/src/net/trainer.py", "src/net/trainer.py"),  # the same in the checkout of the other side
        ("/top/.venv/lib/site-packages/numpy/core.py", ""),
        ("/top/.venv/lib/site-packages/net/trainer.py", "net/trainer.py"),  # installed of the checkout
        ("/topping/trainer.py", ""),
        ("<string>", ""),
    ],
)
def test_own_files_are_those_of_the_checkout_and_what_is_installed_of_it(file, own):
    places = ["/top/src", "/top"], ["/top/.venv/lib/site-packages/net"]
    assert _own_file(file, places) == own


@pytest.mark.slow
def test_the_operations_of_pytorch_are_named(workload):
    pytest.importorskip("torch")
    base, head = profiled(workload("make_torch"), workload("make_torch", size=256))
    assert list(base) == [INCLUSIVE, ("torch", False), ALONE]
    of_torch = head["torch", False]
    assert changes(base["torch", False], of_torch)[0].name in {"aten::mm", "aten::sin"}
    (mm,) = [each for each in of_torch.operations if each.name == "aten::mm"]
    assert mm.calls == 1


def profile(**operations):
    """A profile of one repetition: for each operation its calls and seconds."""
    every = [Operation(name, calls, seconds) for name, (calls, seconds) in operations.items()]
    return StepProfile("Python", 1.0, every)


def compared(*repetitions):
    """The changes of repetitions, each a pair of tables of operations."""
    (base,), (head,) = merged([[[profile(**side)] for side in both] for both in repetitions])
    return {each.name: each for each in changes(base, head)}


def test_what_adds_to_the_step_comes_first_and_what_only_one_side_has_is_marked():
    both = {"less": (1, 9.0), "more": (1, 1.0), "gone": (2, 0.5)}, {"less": (1, 1.0), "more": (1, 2.0)}
    both[1]["new"] = (3, 4.0)
    found = compared(both, both, both)
    assert [*found] == ["new", "more", "less", "gone"]
    marks = {name: (each.is_new, each.is_gone) for name, each in found.items()}
    assert [name for name, mark in marks.items() if any(mark)] == ["new", "gone"]
    assert (marks["new"], marks["gone"]) == ((True, False), (False, True))


@pytest.mark.parametrize(
    ("base", "head", "is_shown"),
    [
        ((1.0, 1.1, 1.0, 1.05), (1.3, 1.4, 1.3, 1.35), True),
        ((1.0, 1.1, 1.0, 1.05), (1.1, 1.0, 1.1, 1.15), False),  # not always slower
        ((1.0, 1.3, 1.0, 1.2), (1.1, 1.8, 1.4, 1.3), False),  # always slower, by 0.1 to 0.5
        ((1.0, 1.0, 3.0, 1.0), (1.5, 1.5, 4.5, 1.5), True),  # other programs met one repetition
        ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), False),
    ],
)
def test_a_change_within_the_spread_of_the_repetitions_is_not_shown(base, head, is_shown):
    found = compared(*(({"work": (1, a)}, {"work": (1, b)}) for a, b in zip(base, head, strict=True)))
    assert ("work" in found) == is_shown


@pytest.mark.parametrize(("last", "is_shown"), [(4, True), (5, False)])
def test_another_number_of_calls_is_no_noise_unless_it_varies(last, is_shown):
    times = zip((1.0, 1.2, 1.1), (1.1, 1.0, 1.2), (4, 4, last), strict=True)
    found = compared(*(({"add": (3, base)}, {"add": (calls, head)}) for base, head, calls in times))
    assert ("add" in found) == is_shown


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
    found = profile_sides([workload("raises")], "", lambda _line: None)
    assert "RuntimeError: no model here" in found.fault
    (section,) = profile_sections(found, ["step"])
    assert plain(shown(section.nodes, "page")[0].text).startswith("It could not be profiled: ")


def test_what_is_shown_is_added_up_beside_the_change_of_the_step():
    sides = {"old": (1, 0.004), "gone": (1, 0.001)}, {"old": (1, 0.006), "new": (2, 0.001)}
    found = Profiles(merged([[[profile(**side)] for side in sides]] * 3))
    (section,) = profile_sections(found, ["base", "head"], increases=[0.0025])
    table, added = section.nodes[-1].nodes
    assert table.headers == ["function", "ms, base", "ms, head", "change", "calls, base", "calls, head"]
    assert [[text_of(cell) for cell in row] for row in table.rows] == [
        ["old", "4", "6", "+2", "1", "1"],
        ["new", NOTHING, "1", "+1, new", NOTHING, "2"],
        ["gone", "1", NOTHING, "-1, gone", "1", NOTHING],
    ]
    assert "add up to +3 ms and -1 ms a step" in added.text
    assert "changed by +2.5 ms in the pairs" in added.text
    assert profile_sections(None, ["base", "head"]) == []


def test_a_profile_of_no_change_says_so():
    found = Profiles(merged([[[profile(old=(1, 0.004))]] * 2] * 3))
    (section,) = profile_sections(found, ["base", "head"])
    (sentence,) = section.nodes[-1].nodes
    assert sentence.text.startswith("By the profiler of Python, no functions were added")
