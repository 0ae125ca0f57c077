"""Arrays are compared whole; rounding is what was observed, in float64 where that was possible."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from harness.timing.engine.steps import program_values
from harness.timing.engine.steps.deviations import Observed, differences, first_number
from harness.timing.engine.steps.findings import comparison_text, difference_text
from harness.timing.engine.steps.work import Rounded, compare


def observed(*values, state=None, versions=None):
    """The values of a process; a number is one of float32 unless it is a whole array."""
    made = type("Made", (), {"versions": versions or {"torch": "2"}})()
    calls = [{"loss": np.asarray(value)} for value in values]
    return Observed(made, calls, {} if state is None else {"w": np.asarray(state)})


def single(*values, **more):
    return observed(*np.asarray(values, np.float32), **more)


def judged(base, head, **more):
    more.setdefault("exact_head_rounded", more.get("exact_head"))
    names = ("rounded", "exact_base", "exact_rounded", "exact_head", "exact_head_rounded")
    rounded = Rounded(*(more.get(name) for name in names))
    return compare([base, more.get("again", base)], head, lambda: rounded, tolerance=more.get("tolerance"))


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ([1.0, 1.0, np.nan], [7.0, 7.0, np.nan]),
        ([np.nan], [np.inf]),
        ([np.inf], [-np.inf]),
        ([1 + 2j], [1 - 7j]),
        ([1.0], [1 + 1j]),
        ([[1.0, 2.0]], [1.0, 2.0]),
        (np.zeros(1000), np.eye(1, 1000, 777)[0]),
    ],
)
def test_no_number_is_left_out(base, head):
    assert judged(observed(base), observed(head)).outcome == "differs"
    assert judged(observed(base), observed(base)).outcome in {"same", "not finite"}


def test_numbers_are_printed_to_the_digit_in_which_they_differ():
    found = differences({"": np.array([0.5, 0.123456789])}, {"": np.array([0.5, 0.123456798])}, 16)[""]
    assert (
        difference_text(found) == "the values differ by up to 1.8e-08 (call 16: 0.123456789 and 0.123456798)"
    )
    assert first_number(np.array([3 + 1j])) == 3.0
    assert first_number(np.array([])) is None
    assert first_number(np.array([np.nan])) is None


def test_the_largest_deviation_is_stated_and_not_the_first():
    head = judged(single(1.0, 1.0, 1.0), single(1.0, 1.001, 1.1))
    assert (head.outcome, head.difference.call) == ("differs", 3)
    assert len(head.deviations) == len(head.envelope) == 3


def test_a_jump_from_equal_bits_is_no_rounding_even_where_rounding_grows_later():
    base, rounded = single(1.0, 1.0, 1.0), single(1.0 + 1e-7, 1.0 + 1e-6, 1.01)
    assert judged(base, single(1.0, 1.0 + 1e-3, 1.0), rounded=rounded).outcome == "differs"
    assert judged(base, single(1.0, 1.0, 1.02), rounded=rounded).outcome == "not distinguished"


def test_float64_decides_where_it_can():
    base, head = single(1.0, 1.0), single(1.0, 1.0 + 1e-4)
    exact = observed(0.1, 0.2)
    noise = observed(0.1 + 1e-16, 0.2 + 1e-15)
    same = judged(base, head, exact_base=exact, exact_rounded=noise, exact_head=observed(0.1, 0.2 + 1e-14))
    assert (same.outcome, same.exact[0]) == ("rounding", 0.0)
    assert "as rounding does: in float64 they agree to" in comparison_text(same)
    other = observed(0.1, 0.2 + 1e-9)
    close = single(1.0, 1.0 + 1e-7)
    differs = judged(base, close, exact_base=exact, exact_rounded=noise, exact_head=other)
    assert differs.outcome == "differs"
    assert ", in float64, where rounding explains 1e-11" in comparison_text(differs)


@pytest.mark.parametrize(("deviation", "outcome"), [(5e-12, "rounding"), (2e-11, "differs")])
def test_in_float64_rounding_explains_no_more_than_a_hundred_billionth(deviation, outcome):
    exact, head = observed(0.1, 0.2), observed(0.1, 0.2 * (1 + deviation))
    found = judged(
        single(1.0, 1.0), single(1.0, 1.0 + 1e-7), exact_base=exact, exact_rounded=exact, exact_head=head
    )
    assert found.outcome == outcome


def test_what_is_called_float64_and_is_not_decides_nothing():
    base, head = single(1.0, 1.0), single(1.0, 1.0 + 1e-7)
    fake = single(0.1, 0.2)
    found = judged(base, head, exact_base=fake, exact_rounded=fake, exact_head=single(0.1, 0.2 + 1e-6))
    assert (found.outcome, found.exact) == ("not distinguished", [])
    loose = observed(0.1 + 1e-6, 0.2)  # a part of it computes in float32
    found = judged(
        base, head, exact_base=observed(0.1, 0.2), exact_rounded=loose, exact_head=observed(0.1, 0.2)
    )
    assert found.outcome == "not distinguished"


def test_bits_need_no_further_process():
    def never():
        raise AssertionError

    same = compare([single(1.0)] * 2, single(1.0), never)
    assert (same.outcome, same.envelope) == ("same", [])
    assert compare([single(1.0, state=2.0)] * 2, single(1.0, state=2.0), never).states


def test_a_step_is_called_not_deterministic_only_where_rounding_cannot_be_why():
    assert judged(single(1.0), single(1.0), again=single(1.1)).outcome == "not deterministic"
    assert judged(single(1.0), single(1.0), again=single(1.0 + 1e-6)).outcome == "same"


def test_a_state_is_compared_like_a_call_after_the_last():
    found = judged(single(1.0, state=2.0), single(1.0, state=2.1))
    assert (found.outcome, found.difference.is_state) == ("differs", True)
    assert difference_text(found.difference).startswith("the state w differs by up to")


@pytest.mark.parametrize("state", [[2.0, 3.0], np.nan], ids=["shape", "not finite"])
def test_a_state_without_a_size_of_its_difference_has_a_text(state):
    found = judged(single(1.0, state=2.0), single(1.0, state=state))
    assert found.outcome == "differs"
    assert "the state w differs" in comparison_text(found)


def test_integers_are_compared_as_such_and_zeros_have_no_sign():
    large = [Observed(None, [{"n": np.array([2**60 + more, 5])}], {}) for more in (0, 1)]
    found = differences(large[0].calls[0], large[1].calls[0], 1)["n"]
    assert found.deviation == pytest.approx(2.0**-60)
    assert not differences({"n": np.array([0.0])}, {"n": np.array([-0.0])}, 1)
    values = program_values.Values(SimpleNamespace(array=lambda value: value))
    zeros = [values.sampled({"a": np.float32([zero, 1.0]), "b": zero}) for zero in (0.0, -0.0)]
    assert zeros[0] == zeros[1]


def test_a_value_that_one_side_lacks_is_named():
    found = differences({"a": np.array(1.0)}, {"a": np.array(1.0), "b": np.array(2.0)}, 3)
    assert difference_text(found["b"]) == "only one side returns the value b (call 3)"


def test_empty_arrays_are_no_values():
    empty = observed(np.zeros(0), np.zeros((0, 3)))
    assert judged(empty, empty).outcome == "not returned"
    assert judged(empty, single(1.0, 2.0)).outcome == "differs"


def test_two_values_of_one_name_are_refused():
    values = program_values.Values(SimpleNamespace(array=lambda value: value))
    with pytest.raises(program_values.WrongInputError, match=r"two values of the name a\.b"):
        values.write({"a": {"b": 1.0}, "a.b": 2.0}, io.BytesIO())


def test_a_tolerance_takes_the_place_of_rounding():
    found = judged(single(1.0), single(1.0 + 1e-4), tolerance=1e-3)
    assert (found.outcome, found.largest) == ("within tolerance", pytest.approx(1e-4, rel=0.01))
    assert judged(single(1.0), single(1.0 + 1e-2), tolerance=1e-3).outcome == "differs"


def many(*calls, state=None):
    """Values of several arrays, as float32; the state too."""
    made = type("Made", (), {"versions": {"torch": "2"}})()
    arrays = [{name: np.float32(each) for name, each in call.items()} for call in calls]
    return Observed(made, arrays, {name: np.float32(each) for name, each in (state or {}).items()})


def double(*calls, state=None):
    made = type("Made", (), {"versions": {"torch": "2"}})()
    arrays = [{name: np.float64(each) for name, each in call.items()} for call in calls]
    return Observed(made, arrays, {name: np.float64(each) for name, each in (state or {}).items()})


def test_an_array_that_is_noise_hides_no_other():
    weights = {"bias": 1.0, "mean": 0.1, "kernel": 0.3}
    base = many({"loss": 0.1}, state=weights)
    exact = double({"loss": 0.1}, state=weights)
    other = {
        "rounded": many({"loss": 0.1}, state=weights | {"bias": 0.5, "kernel": 0.3 + 1e-6}),
        "exact_base": exact,
        "exact_rounded": double({"loss": 0.1}, state=weights | {"bias": 1.0 + 1e-8}),
    }
    noise = weights | {"bias": 0.3}
    found = judged(base, many({"loss": 0.1}, state=noise), **other, exact_head=exact)
    assert (found.outcome, found.deviations[-1]) == ("rounding", pytest.approx(0.7))
    mean = noise | {"mean": 0.1003}
    moved = double({"loss": 0.1}, state=weights | {"mean": 0.1003})
    found = judged(base, many({"loss": 0.1}, state=mean), **other, exact_head=moved)
    assert (found.outcome, found.difference.name) == ("differs", "mean")
    assert found.exact[-1] > found.envelope[-1] == 1e-11
    without = judged(base, many({"loss": 0.1}, state=mean), rounded=other["rounded"])
    assert (without.outcome, without.difference.name) == ("differs", "mean")
    assert without.deviations[-1] > without.envelope[-1]


def test_one_number_that_agrees_by_chance_has_the_limit_of_the_others():
    base = many({"loss": 1.0}, state={"a": 1.0, "b": 1.0, "scale": 1.0})
    rounded = many({"loss": 1.0}, state={"a": 1.001, "b": 1.001, "scale": 1.0})
    head = many({"loss": 1.0}, state={"a": 1.001, "b": 1.0, "scale": 1.001})
    assert judged(base, head, rounded=rounded).outcome == "not distinguished"


def test_a_state_of_more_precision_is_other_work_although_it_agrees_in_float64():
    base, exact = many({"loss": 0.1}, state={"w": 0.1}), double({"loss": 0.1}, state={"w": 0.1})
    also = {"exact_base": exact, "exact_rounded": exact, "exact_head": exact}
    found = judged(base, exact, **also)
    assert (found.outcome, found.difference.types) == ("differs", ["float32", "float64"])
    assert difference_text(found.difference) == (
        "the state w differs in precision (after call 1: float32 and float64)"
    )
    only_loss = judged(base._replace(state={}), exact._replace(state={}), **also)
    assert only_loss.outcome == "not distinguished"  # such as the mean of two losses as numbers of Python
    same = many({"loss": 0.5}, state={"w": 0.5})
    assert judged(same, double({"loss": 0.5}, state={"w": 0.5})).outcome == "same"


def test_a_call_that_float64_did_not_reach_is_not_decided_by_it():
    base, head = single(1.0, 1.0), single(1.0, 1.0 + 1e-7)
    exact = observed(0.1, 0.2)
    found = judged(base, head, exact_base=exact, exact_rounded=exact, exact_head=observed(0.1))
    assert found.outcome == "not distinguished"


def test_a_state_that_float64_mostly_does_not_decide_is_no_rounding():
    base, exact = many({"loss": 0.1}, state={"a": 0.1, "b": 0.1, "c": 0.1}), {"loss": 0.1}
    head = many({"loss": 0.1}, state={"a": 0.1000001, "b": 0.1, "c": 0.1})
    noise = {"a": 0.1, "b": 0.1 + 1e-7, "c": 0.1 + 1e-7}
    also = {"exact_base": double(exact, state={"a": 0.1, "b": 0.1, "c": 0.1})}
    also |= {"exact_rounded": double(exact, state=noise), "exact_head": also["exact_base"]}
    assert judged(base, head, **also).outcome == "not distinguished"
    also["exact_rounded"] = double(exact, state=noise | {"b": 0.1})
    assert judged(base, head, **also).outcome == "rounding"


def test_a_head_that_computes_a_part_in_less_than_float64_is_not_accused_by_float64():
    base, head = single(1.0, 1.0), single(1.0, 1.0 + 1e-7)
    exact, part = observed(0.1, 0.2), observed(0.1 + 1e-9, 0.2 + 1e-8)
    also = {"exact_base": exact, "exact_rounded": exact, "exact_head": part}
    assert judged(base, head, **also).outcome == "differs"
    found = judged(base, head, **also, exact_head_rounded=observed(0.1 + 1e-9, 0.2 + 3e-9))
    assert found.outcome == "not distinguished"
