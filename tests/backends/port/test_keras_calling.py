"""How a Keras model is called with several inputs, and how its outputs are named."""

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("tensorflow")

import keras

from harness_keras.port.own_models import called
from harness_keras.port.side import _named

X, KEEP = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)


class Each(keras.Model):
    def call(self, x, keep):
        return x * keep


class Listed(keras.Model):
    def call(self, inputs, factor=1.0):
        x, keep = inputs
        return x * keep * factor


@pytest.mark.parametrize("model", [Each, Listed])
def test_inputs_are_given_as_the_call_takes_them(model):
    given = [keras.ops.convert_to_tensor(each) for each in (X, KEEP)]
    assert np.array_equal(called(model(), given, training=False), KEEP)


def test_a_functional_model_takes_what_it_declares():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(inputs, keras.layers.Multiply()(inputs))
    assert np.array_equal(called(model, [X, KEEP], training=True), KEEP)


def test_outputs_in_lists_of_dictionaries_are_named_by_their_way():
    x, keep = (keras.ops.convert_to_tensor(each) for each in (X, KEEP))
    assert list(dict(_named({"b": [x, keep], "a": {"x": x}, "none": None}))) == ["b.0", "b.1", "a.x"]
    assert list(dict(_named(x))) == [""]
