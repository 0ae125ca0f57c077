"""The model with its optimizer and loss in Keras, whose epsilon has another default."""

import keras
from keras import layers


def make(faults=()):
    return keras.Sequential([keras.Input((20,)), layers.Dense(32, activation="tanh"), layers.Dense(10)])


def make_optimizer():
    return keras.optimizers.AdamW(1e-3, weight_decay=0.1, epsilon=1e-8)


def make_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
