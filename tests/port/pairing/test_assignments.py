"""Assignments by gradients: parts, stacks and sums, ties, and wrong ports that none explains."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from harness.core.models.messages import Description
from harness.errors import UsageError
from harness.port.pairing import assignments
from harness.port.pairing.matching import Matching
from harness.tracing.calls import Stored
from harness.tracing.side import Gradients

RNG = np.random.default_rng(0)
X, WEIGHTS = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))


class Side:
    """A function of parameters and ``X``; its loss is a weighted sum of the outputs, which are (3, 4)."""

    def __init__(self, run, **shapes):
        self.run = run
        self.held = {name: RNG.standard_normal(shape) for name, shape in shapes.items()}

    def describe(self):
        return Description(dict(self.held), [*self.held], None)

    def load(self, parameters):
        self.held |= parameters

    def gradients(self):
        """Differentiate by complex steps, which have no error but rounding (Squire and Trapp 1998)."""
        gradients = {name: np.zeros(array.shape) for name, array in self.held.items()}
        for name, array in self.held.items():
            for place in np.ndindex(array.shape):
                moved = array.astype(complex)
                moved[place] += 1e-30j
                loss = (self.run(X, **{**self.held, name: moved}) * WEIGHTS).sum()
                gradients[name][place] = loss.imag / 1e-30
        return Gradients(0.0, gradients, [], self.run(X, **self.held), WEIGHTS)


def assigned(a, b, given=None, free=()):
    """Assign all arrays of ``b`` that are not in ``free``; return the outcome and the sentence."""
    described = a.describe(), b.describe()
    names = [
        [name for name in held.parameters if name not in {pair[n].name for pair in free}]
        for n, held in enumerate(described)
    ]
    moved = {name: RNG.standard_normal(array.shape) for name, array in a.held.items()}
    sides = SimpleNamespace(a=a, b=b, both=lambda call: (call(a), call(b)))
    matching = Matching([], list(free), *names)
    return assignments.assigned(sides, matching, described, moved, Side.gradients, given or {})


def pairs(found):
    return {(one.name, one.start, other.name, other.start) for one, other in found.matching.free}


def two(x, p, q):
    return np.tanh(x @ p) @ q


SQUARES = {"p": (4, 4), "q": (4, 4)}


def test_parts_of_a_packed_array_and_transposed_arrays_are_found():
    def packed(x, w):
        return np.tanh(x @ w[4:].T) @ w[:4].T

    found, tried = assigned(Side(two, **SQUARES), Side(packed, w=(8, 4)))
    assert pairs(found) == {("p", 0, "w", 4), ("q", 0, "w", 0)}
    assert all((one.axes == (1, 0)) != (other.axes == (1, 0)) for one, other in found.matching.free)
    assert tried == ""


def test_stacked_arrays_are_found_where_all_units_are_0_for_equal_positive_numbers():
    x_is_negative = np.where(X.sum(1, keepdims=True) > 0, -1.0, 1.0)

    def ramp(x):
        return x * (x.real > 0)

    def apart(x, up, down, gain, last):
        x = x * x_is_negative
        return ramp(x @ up) @ down + 0.5 * ramp(x @ gain) @ last

    def stacked(x, up, down):
        return apart(x, up[1], down[1], up[0], down[0])

    shapes = {"up": (4, 5), "down": (5, 4), "gain": (4, 5), "last": (5, 4)}
    found, _ = assigned(Side(apart, **shapes), Side(stacked, up=(2, 4, 5), down=(2, 5, 4)))
    assert pairs(found) == {
        ("up", 0, "up", 1),
        ("down", 0, "down", 1),
        ("gain", 0, "up", 0),
        ("last", 0, "down", 0),
    }


def test_a_bias_that_is_added_to_another_is_a_second_one():
    def biased(x, w, b, c):
        return np.tanh(x @ w + b + c)

    found, _ = assigned(
        Side(biased, w=(4, 4), b=(4,), c=(4,)), Side(lambda x, v, d: np.tanh(x @ v + d), v=(4, 4), d=(4,))
    )
    assert pairs(found) == {("w", 0, "v", 0), ("b", 0, "d", 0)}
    assert found.second_a.keys() == {"c"}
    assert found.second_a["c"].all()
    assert found.second_b == {}


def test_an_array_that_is_added_in_another_way_is_no_second_bias():
    def curved(x, w, b, c):
        return np.tanh(x @ w + b + np.sin(c))

    found, tried = assigned(
        Side(curved, w=(4, 4), b=(4,), c=(4,)), Side(lambda x, v, d: np.tanh(x @ v + d), v=(4, 4), d=(4,))
    )
    assert found is None
    assert "the nearest leaves c of A open" in tried


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, p, q: two(x, p, p) + 0.0 * q.sum(),
        lambda x, p, q: two(x, p, q) @ q,
        lambda x, p, q: 2.0 * two(x, p, q),
        lambda x, p, q: np.tanh(x) @ p @ q,
    ],
    ids=["one array twice", "another product", "factor", "order"],
)
def test_a_wrong_port_has_no_assignment(wrong):
    found, tried = assigned(Side(two, **SQUARES), Side(wrong, **SQUARES))
    assert found is None
    assert re.match(r"Tried: \d+ assignments? of arrays, parts, stacks and sums by equal gradients; ", tried)


def test_exchanged_names_are_assigned_by_what_the_arrays_do():
    found, _ = assigned(Side(two, **SQUARES), Side(lambda x, p, q: two(x, q, p), **SQUARES))
    assert pairs(found) == {("p", 0, "q", 0), ("q", 0, "p", 0)}


@pytest.mark.parametrize("copied", [False, True])
def test_values_decide_ties_then_names(copied):
    def added(x, p, q):
        return np.tanh(x @ p) + np.tanh(x @ q)

    a, b = Side(added, **SQUARES), Side(lambda x, q, p: added(x, p, q), q=(4, 4), p=(4, 4))
    if copied:
        b.load({"p": a.held["q"], "q": a.held["p"]})
    found, _ = assigned(a, b)
    assert pairs(found) == (
        {("p", 0, "q", 0), ("q", 0, "p", 0)} if copied else {("p", 0, "p", 0), ("q", 0, "q", 0)}
    )


def test_pairs_that_the_user_gives_stay():
    free = [(Stored("p"), Stored("p")), (Stored("q"), Stored("q"))]
    exchanged = Side(lambda x, p, q: two(x, q, p), **SQUARES)
    assert pairs(assigned(Side(two, **SQUARES), exchanged, free=free)[0]) == {
        ("p", 0, "q", 0),
        ("q", 0, "p", 0),
    }
    found, _ = assigned(Side(two, **SQUARES), exchanged, {"p": ["p"], "q": ["q"]}, free)
    assert found is None


def test_pairs_that_are_right_are_left_alone():
    free = [(Stored("p"), Stored("p")), (Stored("q"), Stored("q"))]
    assert assigned(Side(two, **SQUARES), Side(two, **SQUARES), free=free) == (None, "")


def test_a_model_that_cannot_be_differentiated_is_named():
    def refuses(x, p, q):
        raise UsageError("m.py:make raised ValueError: no\nmore")

    found, tried = assigned(Side(two, **SQUARES), Side(refuses, **SQUARES))
    assert found is None
    assert tried == "Arrays could not be assigned by gradients: m.py:make raised ValueError: no"


def test_numbers_that_are_none_prove_nothing():
    found, _ = assigned(
        Side(lambda x, p: x @ p * np.nan, p=(4, 4)), Side(lambda x, p: x @ p * np.nan, p=(4, 4))
    )
    assert found is None


def test_the_search_ends_in_time(monkeypatch):
    monkeypatch.setattr(assignments, "LIMIT_SECONDS", 0.0)
    found, tried = assigned(Side(two, **SQUARES), Side(lambda x, p, q: 2.0 * two(x, p, q), **SQUARES))
    assert found is None
    assert tried.startswith("Tried within 0 s: 1 assignment of arrays, ")


@pytest.mark.parametrize(("axes", "is_found"), [((1, 2, 0), True), ((2, 1, 0), False)])
def test_axes_of_one_size_keep_their_order_but_in_matrices(axes, is_found):
    def pictures(x, w, table):
        return np.tanh(x @ w + table.transpose(axes).reshape(9, 4)[[0, 1, 5]])

    a = Side(lambda x, w, table: np.tanh(x @ w + table.reshape(9, 4)[[0, 1, 5]]), w=(4, 4), table=(3, 3, 4))
    found, _ = assigned(a, Side(pictures, w=(4, 4), table=(4, 3, 3)))
    assert (found is not None) == is_found


@pytest.mark.parametrize("axes", [(2, 3, 1, 0), (3, 2, 0, 1)])
def test_kernels_with_axes_of_one_size_are_found_as_frameworks_store_them(axes):
    shape = (2, 3, 3, 3) if axes[0] == 2 else (3, 3, 3, 2)
    scales = RNG.uniform(0.5, 2.0, shape)

    def first(x, kernel):
        return x * np.tanh(kernel * scales).sum()

    def last(x, kernel):
        return x * np.tanh(kernel * scales.transpose(axes)).sum()

    found, _ = assigned(Side(first, kernel=shape), Side(last, kernel=scales.transpose(axes).shape))
    assert pairs(found) == {("kernel", 0, "kernel", 0)}
