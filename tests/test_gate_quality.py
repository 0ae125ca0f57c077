"""When head's task counts as another: real descriptions, with losses that agree."""

import msgspec
import pytest

from harness import plugins
from harness.duel.sides import Side
from harness.gate import quality
from harness.gate.learner import Maths
from harness.spec import Plan

SAME = [Maths("float64", [[1.0], [0.9]], {"accuracy": 0.5}), Maths("float32", [[1.0]], {})]


@pytest.fixture
def compare(monkeypatch):
    """Holds two sides of ``mlp`` against each other, whose options and descriptions are changed as given."""
    monkeypatch.setattr(quality, "observe", lambda *_: SAME)
    task = plugins.task("mlp").define(plugins.task("mlp").options())

    def side(label, options, changes):
        plan = Plan(
            task=msgspec.structs.replace(task, **changes), mode="eager", device="cpu", threads=1, seed=0
        )
        return Side(label=label, backend="torch", plan=plan, options=options)

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
