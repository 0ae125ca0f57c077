"""Copied values in other places than the pairs say, and names that both sides have for other arrays."""

import numpy as np
import pytest

from harness.port.causes.exchanges import exchanged_names, misplaced
from harness.port.pairing.matching import Matching
from harness.tracing.calls import Stored

RNG = np.random.default_rng(0)
P, Q, R = RNG.standard_normal((3, 4, 4))
ONE, TWO = RNG.standard_normal((2, 4))


def matching(*pairs):
    return Matching([], [(Stored(one), Stored(other)) for one, other in pairs], [], [])


CROSSED = matching(("p", "q"), ("q", "p"))


def found(a, b, pairs=CROSSED, worst=0.5, second=(), *, may_share_seeds=False):
    causes = misplaced(pairs, a, b, worst, second, may_share_seeds=may_share_seeds)
    return [(cause.path_a, cause.path_b, cause.b, cause.more) for cause in causes]


def test_values_of_b_in_another_array_are_named():
    assert found({"p": P, "q": Q}, {"p": P, "q": Q}) == [("p", "q", "q, while p has its values", ["q"])]
    rounded = {name: array.astype(np.float32).astype(np.float64) for name, array in (("p", P), ("q", Q))}
    assert found({"p": P, "q": Q}, rounded)


def test_parts_are_named_by_their_places():
    pairs = Matching([], [(Stored("p"), Stored("w", 1, 4, 8)), (Stored("q"), Stored("w", 1, 0, 4))], [], [])
    assert found({"p": P, "q": Q}, {"w": np.hstack([P, Q])}, pairs) == [
        ("p", "w", "w[:, 4:8], while w[:, 0:4] has its values", ["q"])
    ]


@pytest.mark.parametrize(
    ("b", "worst"),
    [
        ({"p": P, "q": Q}, 1e-6),  # the outputs as made agree
        ({"p": Q, "q": P}, 0.5),  # the pairs have equal values
        ({"p": R, "q": R + 1}, 0.5),  # nothing is copied
    ],
)
def test_no_other_values_are_accused(b, worst):
    assert found({"p": P, "q": Q}, b, worst=worst) == []


def test_constants_are_no_copies():
    zeros = {"p": np.zeros(4), "q": np.ones(4)}
    assert found(zeros, zeros) == []


def test_numbers_of_one_seed_are_copies_only_where_the_names_are_the_same():
    assert found({"p": P, "q": Q}, {"p": P, "q": Q}, may_share_seeds=True)
    other_names = matching(("p", "two"), ("q", "one"))
    assert found({"p": P, "q": Q}, {"one": P, "two": Q}, other_names)
    assert found({"p": P, "q": Q}, {"one": P, "two": Q}, other_names, may_share_seeds=True) == []


@pytest.mark.parametrize(("bias", "is_lost"), [(ONE, True), (ONE + TWO, False)])
def test_a_second_bias_whose_sum_is_not_copied_is_named(bias, is_lost):
    a, b = {"p": P, "b": ONE, "c": TWO}, {"p": P, "b": bias}
    pairs = matching(("p", "p"), ("b", "b"))
    # With the sum the outputs as made agree.
    made = found(a, b, pairs, 0.5 if is_lost else 0.0, ["c"])
    assert made == ([("c", "", "a bias that is not the sum with it", [])] if is_lost else [])
    assert found(a, {**b, "p": Q}, pairs, 0.5, ["c"]) == []


def test_names_of_b_for_other_arrays_are_harmless():
    (cause,) = exchanged_names(
        matching(("enc.w", "dec/w"), ("dec.w", "enc/w"), ("b", "b")), {"dec/w": P, "enc/w": Q, "b": ONE}
    )
    assert (cause.kind, cause.harmless, cause.path_a, cause.more) == (
        "exchanged names",
        True,
        "enc.w",
        ["dec.w"],
    )
    assert cause.b == "dec/w, although B has a enc/w, too"
    assert exchanged_names(matching(("p", "w1"), ("q", "w2")), {"w1": P, "w2": Q}) == []
