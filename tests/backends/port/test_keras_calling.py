"""How a Keras model is called, how its outputs are named, and what is read of its variables."""

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")

X, KEEP = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)


@pytest.fixture
def keras():
    """Imported by the tests alone: collection would take seconds longer in every process."""
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def test_inputs_are_given_as_the_call_takes_them(keras):
    from harness_keras.port.models import called

    class Each(keras.Model):
        def call(self, x, keep):
            return x * keep

    class Listed(keras.Model):
        def call(self, inputs, factor=1.0):
            x, keep = inputs
            return x * keep * factor

    for model in (Each(), Listed()):
        given = [keras.ops.convert_to_tensor(each) for each in (X, KEEP)]
        assert np.array_equal(called(model, given, training=False), KEEP)


def test_a_functional_model_takes_what_it_declares(keras):
    from harness_keras.port.models import called

    inputs = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(inputs, keras.layers.Multiply()(inputs))
    assert np.array_equal(called(model, [X, KEEP], training=True), KEEP)


def test_what_is_held_does_not_follow_the_variable(keras):
    """Whatever the engine does in place."""
    from harness_keras.port.recorder import numbers

    layer = keras.layers.BatchNormalization()
    layer.build((None, 3))
    layer.moving_mean.assign(np.array([1.0, 2.0, 3.0]))
    before, read = np.array(numbers(layer.moving_mean)), numbers(layer.moving_mean)
    layer(np.ones((4, 3), np.float32), training=True)
    assert not np.array_equal(numbers(layer.moving_mean), before)
    layer.moving_mean.assign(before)
    assert numbers(layer.moving_mean).tolist() == read.tolist() == [1.0, 2.0, 3.0]


def test_outputs_in_lists_of_dictionaries_are_named_by_their_way(keras):
    from harness.tracing.recorder import named_tensors
    from harness_keras.port.recorder import is_array

    x, keep = (keras.ops.convert_to_tensor(each) for each in (X, KEEP))
    assert list(dict(named_tensors({"b": [x, keep], "a": {"x": x}, "none": None}, is_array))) == [
        "a.x",
        "b.0",
        "b.1",
    ]
    assert list(dict(named_tensors(x, is_array))) == [""]


def test_the_sign_of_a_float64_is_read_in_its_own_bits(keras):
    import tensorflow as tf

    from harness_keras.port.tensorflow_float64 import replacements

    signbit = next(change for _, name, change in replacements() if name == "signbit")
    numbers = tf.constant([-1e-300, 0.0, -0.0, 1e-300], tf.float64)
    assert signbit(numbers).numpy().tolist() == [True, False, True, False]


def test_a_loss_has_a_gradient_of_zero_for_an_input_that_it_does_not_use(keras):
    from harness_keras.port.training import gradients

    inputs = [keras.ops.convert_to_tensor(each) for each in (X, KEEP)]
    value, _, made = gradients(lambda given: keras.ops.sum(given[0]), [], inputs)
    assert value == X.sum()
    assert [np.asarray(each).tolist() for each in made] == [X.tolist(), KEEP.tolist()]
