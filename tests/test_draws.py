"""Random draws: pinned to literal values, because committed references and records rest on them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness import draws

SEEDS = st.integers(0, 2**32 - 1)
KEYS = st.tuples(SEEDS, st.sampled_from(["batches", "weights", "model/dense_1/kernel"]), st.integers(0, 100))


def test_uniform_draws_are_pinned():
    drawn = draws.uniform((2, 2), 0, "weights", "model/conv2d_1/kernel")
    assert drawn.tolist() == [
        [0.5041095254471886, 0.7030897150090872],
        [0.6145209621409897, 0.1274830938368452],
    ]


def test_permutations_are_pinned():
    assert draws.permutation(10, 7, "batches", 2).tolist() == [3, 0, 6, 2, 9, 5, 8, 4, 7, 1]
    assert draws.permutation(8, "validation split").tolist() == [5, 6, 7, 2, 1, 3, 4, 0]


@given(KEYS, st.integers(0, 50))
def test_a_permutation_holds_each_number_once_and_comes_again(key, count):
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


@given(KEYS, KEYS)
def test_another_key_is_another_stream(key, other):
    # Keys of one length only: NumPy pads a short seed with zeros, so (1, "a") and (1, "a", 0) are one.
    same = np.array_equal(draws.uniform((4,), *key), draws.uniform((4,), *other))
    assert same == (key == other)


def test_draws_are_uniform():
    drawn = draws.uniform((100_000,), 1, "uniformity")
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    chi_square = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_square < 45  # 0.1 % of uniform samples lie above 43.8 with 19 degrees of freedom
