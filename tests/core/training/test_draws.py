"""Random draws: pinned to literal values, because committed references and records depend on them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.core.training import draws

SEEDS = st.integers(0, 2**32 - 1)
KEYS = st.tuples(SEEDS, st.sampled_from(["batches", "weights", "model/dense_1/kernel"]), st.integers(0, 100))


def test_uniform_draws_are_pinned():
    drawn = draws.uniform((2, 2), 0, "weights", "model/conv2d_1/kernel")
    assert drawn.tolist() == [
        [0.12752824211288305, 0.8085965516709295],
        [0.6602737794858657, 0.5605926893253323],
    ]


def test_permutations_are_pinned():
    assert draws.permutation(10, 7, "batches", 2).tolist() == [3, 4, 8, 7, 5, 6, 2, 1, 9, 0]
    assert draws.permutation(8, "validation split").tolist() == [4, 5, 6, 7, 3, 0, 2, 1]


@given(KEYS, st.integers(0, 50))
def test_a_permutation_holds_each_number_once_and_is_reproducible(key, count):
    drawn = draws.permutation(count, *key)
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(count))
    assert np.array_equal(drawn, draws.permutation(count, *key))


@given(KEYS)
def test_a_shape_is_filled_in_c_order_from_one_stream(key):
    table = draws.uniform((3, 4), *key)
    assert np.array_equal(table.ravel(), draws.uniform((12,), *key))
    assert table.min() >= 0
    assert table.max() < 1


@given(KEYS.map(lambda key: key[:2]) | KEYS, KEYS)
def test_another_key_is_another_stream(key, other):
    same = np.array_equal(draws.uniform((4,), *key), draws.uniform((4,), *other))
    assert same == (key == other)


def test_a_key_that_ends_in_a_zero_is_another_key():
    assert draws.uniform((1,), 1, "a") != draws.uniform((1,), 1, "a", 0)
