"""The Keras model with a loss that is summed over the batch, and the default decay."""

import keras
from training_keras import make

__all__ = ["make", "make_loss", "make_optimizer"]


def make_optimizer():
    return keras.optimizers.AdamW(1e-3, epsilon=1e-8)


def make_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
