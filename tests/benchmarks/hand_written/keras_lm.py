"""The language model as keras.io writes it: a functional model of Keras's layers, ``model.fit``.

Nothing of the harness is used; weights are canonical arrays by their names.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers, ops

VOCABULARY, CONTEXT, WIDTH, HEADS, BLOCKS = 65, 64, 128, 4, 4
Arrays = Mapping[str, np.ndarray]


class Positions(layers.Layer):
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight((CONTEXT, WIDTH), name="embeddings")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + ops.convert_to_tensor(self.table)


def gpt(weights: Arrays) -> keras.Model:
    inputs = keras.Input((CONTEXT,), dtype="int32")
    embedding = layers.ReversibleEmbedding(VOCABULARY, WIDTH, name="tokens")
    x = Positions(name="positions")(embedding(inputs))
    for number in range(1, BLOCKS + 1):
        name = f"block{number}"
        y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_ln1")(x)
        attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")
        x = layers.Add()([x, attention(y, y, use_causal_mask=True)])
        y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_ln2")(x)
        y = layers.Dense(4 * WIDTH, keras.activations.gelu, name=f"{name}_up")(y)
        x = layers.Add()([x, layers.Dense(WIDTH, name=f"{name}_down")(y)])
    x = layers.LayerNormalization(epsilon=1e-5, name="ln")(x)
    model = keras.Model(inputs, embedding(x, reverse=True))
    for name, arrays in _of_gpt(weights).items():
        model.get_layer(name).set_weights(arrays)
    return model


def _of_gpt(weights: Arrays) -> dict[str, list[np.ndarray]]:
    """The weights of each layer in Keras's order."""

    def under(path: str, *names: str) -> list[np.ndarray]:
        return [weights[f"{path}/{name}"] for name in names]

    made = {
        "tokens": under("model/embedding_1", "table"),
        "positions": under("model/position_embedding_1", "table"),
        "ln": under("model/layer_norm_1", "scale", "bias"),
    }
    for number in range(1, BLOCKS + 1):
        first, second = (f"model/residual_{2 * number + part}/body" for part in (-1, 0))
        made |= {
            f"block{number}_ln1": under(f"{first}/layer_norm_1", "scale", "bias"),
            f"block{number}_attention": _attention(*under(f"{first}/self_attention_1", *_ATTENTION)),
            f"block{number}_ln2": under(f"{second}/layer_norm_1", "scale", "bias"),
            f"block{number}_up": under(f"{second}/dense_1", "kernel", "bias"),
            f"block{number}_down": under(f"{second}/dense_2", "kernel", "bias"),
        }
    return made


_ATTENTION = ("qkv_kernel", "qkv_bias", "output_kernel", "output_bias")


def _attention(
    kernel: np.ndarray, bias: np.ndarray, output_kernel: np.ndarray, output_bias: np.ndarray
) -> list[np.ndarray]:
    heads = (HEADS, WIDTH // HEADS)
    made = []
    for part, part_bias in zip(np.split(kernel, 3, 1), np.split(bias, 3), strict=True):
        made += [part.reshape(WIDTH, *heads), part_bias.reshape(heads)]
    return [*made, output_kernel.reshape(*heads, WIDTH), output_bias]


def compiled(weights: Arrays, jit_compile: bool | str) -> keras.Model:
    """The model with its optimizer, ready for ``fit``."""
    model = gpt(weights)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-3 / 101, 1900, alpha=0.1, warmup_target=1e-3, warmup_steps=100
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, beta_2=0.99, epsilon=1e-8, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit_compile)
    return model
