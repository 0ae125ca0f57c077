"""The GRU and the LSTM in Keras."""

import keras
from keras import layers, ops


def make(faults=(), cell="gru"):
    has = set(faults)
    options = {"return_sequences": True, "name": "cell", "go_backwards": "direction" in has}
    if "activation" in has:
        options["activation"] = "relu"
    if "recurrent activation" in has:
        options["recurrent_activation"] = "hard_sigmoid"
    inputs = keras.Input((10, 4))
    if cell == "gru":
        x = layers.GRU(6, reset_after="reset gate" not in has, **options)(inputs)
    else:
        x = layers.LSTM(6, **options)(inputs)
    x = x[:, -1] if "last step" in has else ops.mean(x, 1)
    return keras.Model(inputs, layers.Dense(5, use_bias="missing bias" not in has, name="head")(ops.tanh(x)))
