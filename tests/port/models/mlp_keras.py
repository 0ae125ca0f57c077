"""The dense network in Keras."""

import keras
from keras import layers


def make(faults=()):
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(32),
            layers.BatchNormalization(epsilon=1e-5, momentum=0.9),
            layers.Activation("silu"),
            layers.Dropout(0.2),
            layers.Dense(16, activation="elu"),
            layers.Dense(4),
        ]
    )
