"""Equality of arrays up to the order of axes, and the stored forms of parameters."""

import math

import numpy as np
import pytest

from harness.port.values import ValueIndex, are_equal, difference, in_shape_of
from harness.tracing.calls import Stored, Trace, Value

RNG = np.random.default_rng(0)


def test_channels_may_be_first_or_last():
    x = RNG.normal(size=(2, 3, 4, 4))
    assert are_equal(x, np.moveaxis(x, 1, -1))
    assert not are_equal(x, np.moveaxis(x, 1, -1) + 1e-6)


def test_the_order_of_elements_counts_in_a_flattened_array():
    x = RNG.normal(size=(2, 3, 4, 4))
    assert not are_equal(x.reshape(2, -1), np.moveaxis(x, 1, -1).reshape(2, -1))


def test_difference_of_shapes_and_nan_is_infinite():
    assert difference(np.ones(2), np.ones(3)) == math.inf
    assert difference(np.array([np.nan]), np.ones(1)) == math.inf
    assert difference(np.array([-np.inf, 1.0]), np.array([-np.inf, 1.0])) == 0.0


def test_an_array_is_turned_to_the_other_side():
    x = RNG.normal(size=(2, 4, 4, 4))
    assert np.array_equal(in_shape_of(x, np.moveaxis(x, 1, -1)), np.moveaxis(x, 1, -1))


def test_index_finds_values_by_their_numbers():
    arrays = [RNG.normal(size=(2, 3, 4, 4)) for _ in range(5)]
    trace = Trace([Value("call", array) for array in arrays], [], [], [])
    index = ValueIndex(trace)
    assert index.find(np.moveaxis(arrays[3], 1, -1)) == 3
    assert index.find(arrays[3] * (1 + 1e-6)) is None


@pytest.mark.parametrize(
    "stored",
    [
        Stored("w"),
        Stored("w", axes=(1, 0)),
        Stored("w", axis=0, start=2, stop=4, axes=(1, 0)),
        Stored("w", axis=1, start=0, stop=6, shape=(6, 2, 3), axes=(2, 0, 1), final_shape=(3, 12)),
    ],
)
def test_stored_form_and_canonical_array_are_inverse(stored):
    original = RNG.normal(size=(6, 6))
    canonical = stored.canonical(original).copy()
    copy = np.array(original)
    stored.store(np.zeros_like(canonical), copy)
    assert not np.array_equal(copy, original)
    stored.store(canonical, copy)
    assert np.array_equal(copy, original)


@pytest.mark.parametrize("shape", [(3, 50_000), (200_000, 2), (1, 300_000)])
def test_difference_of_large_arrays_is_that_of_all_their_parts(shape):
    one = RNG.normal(size=shape)
    other = one.copy()
    other.flat[one.size // 2] += 3.0
    other.flat[-1] = np.inf
    assert difference(one, other) == math.inf
    one.flat[-1] = np.inf
    finite = other[np.isfinite(other)]
    assert difference(one, other) == pytest.approx(3.0 / np.abs(finite).max(), rel=1e-12)


def test_parameters_are_looked_for_once_and_results_of_calls_each_time():
    array = RNG.normal(size=(4, 4))
    index = ValueIndex(Trace([Value("call", array)], [], [], []))
    assert index.places_of(Value("parameter", array, "w")) == [0]
    assert index.places_of(Value("parameter", array + 1, "w")) == [0]
    assert index.places_of(Value("call", array + 1)) == []
