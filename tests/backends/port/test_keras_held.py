"""What a variable held before an evaluation is there again afterwards, whatever the engine does in place."""

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("tensorflow")

import keras

from harness_keras.port import engines

pytestmark = pytest.mark.filterwarnings("ignore")


def test_what_is_held_does_not_follow_the_variable():
    layer = keras.layers.BatchNormalization()
    layer.build((None, 3))
    layer.moving_mean.assign(np.array([1.0, 2.0, 3.0]))
    before, read = engines.held(layer.moving_mean), engines.numbers(layer.moving_mean)
    layer(np.ones((4, 3), np.float32), training=True)
    assert not np.array_equal(engines.numbers(layer.moving_mean), before)
    layer.moving_mean.assign(before)
    assert engines.numbers(layer.moving_mean).tolist() == read.tolist() == [1.0, 2.0, 3.0]
