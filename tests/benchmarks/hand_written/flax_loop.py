"""``resnet`` and ``lm`` as Flax's users write them: linen modules, optax, one jitted step called in a loop.

Needs ``pip install flax optax``, which nothing else here uses. Nothing of the harness is used; weights are
canonical arrays by their names.
"""

import functools
import itertools
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np
import optax
from flax import linen as nn
from jax import numpy as jnp

VOCABULARY, CONTEXT, WIDTH, HEADS, BLOCKS = 65, 64, 128, 4, 4
RESNET_WIDTHS = (16,) * 4 + (32,) * 3 + (64,) * 3
RESNET_EPOCHS, RESNET_BATCH, RESNET_DECAY = 182, 128, 1e-4
Arrays = Mapping[str, np.ndarray]


class ResidualBlock(nn.Module):
    filters: int
    strides: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = functools.partial(nn.Conv, self.filters, use_bias=False)
        norm = functools.partial(nn.BatchNorm, use_running_average=False, momentum=0.9, epsilon=1e-5)
        y = nn.relu(norm(name="bn1")(conv((3, 3), self.strides, padding=1, name="conv1")(x)))
        y = norm(name="bn2")(conv((3, 3), padding=1, name="conv2")(y))
        if self.strides > 1:
            x = norm(name="bn3")(conv((1, 1), self.strides, padding=0, name="conv3")(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(16, (3, 3), padding=1, use_bias=False, name="conv1")(x)
        norm = nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5, name="bn1")
        x = nn.relu(norm(x))
        for number, (inputs, filters) in enumerate(itertools.pairwise(RESNET_WIDTHS), 1):
            x = ResidualBlock(filters, filters // inputs, name=f"block{number}")(x)
        return nn.Dense(10, name="head")(x.mean((1, 2)))


class TransformerBlock(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        y = nn.LayerNorm(epsilon=1e-5, name="ln1")(x)
        x = x + nn.MultiHeadDotProductAttention(HEADS, name="attention")(y, mask=mask)
        y = nn.LayerNorm(epsilon=1e-5, name="ln2")(x)
        y = nn.gelu(nn.Dense(4 * WIDTH, name="up")(y), approximate=False)
        return x + nn.Dense(WIDTH, name="down")(y)


class Gpt(nn.Module):
    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        embed = nn.Embed(VOCABULARY, WIDTH, name="tokens")
        positions = nn.Embed(CONTEXT, WIDTH, name="positions")
        x = embed(tokens) + positions(jnp.arange(tokens.shape[1]))
        mask = nn.make_causal_mask(tokens)
        for number in range(1, BLOCKS + 1):
            x = TransformerBlock(name=f"block{number}")(x, mask)
        return embed.attend(nn.LayerNorm(epsilon=1e-5, name="ln")(x))


# --- Weights, from canonical layout and names -----------------------------------------------------


def _under(weights: Arrays, path: str) -> dict[str, np.ndarray]:
    """The parameters of a layer; Flax starts its running statistics at zeros and ones itself."""
    own = {name.rpartition("/")[2]: array for name, array in weights.items() if name.startswith(f"{path}/")}
    return {name: array for name, array in own.items() if not name.startswith("running_")}


def resnet_parameters(weights: Arrays) -> dict:
    names = {"conv1": "body/conv2d_1", "bn1": "body/batch_norm_1", "conv2": "body/conv2d_2"}
    names |= {"bn2": "body/batch_norm_2", "conv3": "shortcut/conv2d_1", "bn3": "shortcut/batch_norm_1"}
    tree = {"conv1": "conv2d_1", "bn1": "batch_norm_1", "head": "dense_1"}
    parameters: dict = {name: _under(weights, f"model/{layer}") for name, layer in tree.items()}
    for number in range(1, len(RESNET_WIDTHS)):
        made = {name: _under(weights, f"model/residual_{number}/{layer}") for name, layer in names.items()}
        parameters[f"block{number}"] = {name: own for name, own in made.items() if own}
    return parameters


def gpt_parameters(weights: Arrays) -> dict:
    parameters: dict = {
        "tokens": {"embedding": weights["model/embedding_1/table"]},
        "positions": {"embedding": weights["model/position_embedding_1/table"]},
        "ln": _under(weights, "model/layer_norm_1"),
    }
    for number in range(BLOCKS):
        first, second = (f"model/residual_{2 * number + part}/body" for part in (1, 2))
        parameters[f"block{number + 1}"] = {
            "ln1": _under(weights, f"{first}/layer_norm_1"),
            "attention": _attention(_under(weights, f"{first}/self_attention_1")),
            "ln2": _under(weights, f"{second}/layer_norm_1"),
            "up": _under(weights, f"{second}/dense_1"),
            "down": _under(weights, f"{second}/dense_2"),
        }
    return parameters


def _attention(own: dict[str, np.ndarray]) -> dict:
    heads = (HEADS, WIDTH // HEADS)
    kernels, biases = np.split(own["qkv_kernel"], 3, 1), np.split(own["qkv_bias"], 3)
    made = {
        name: {"kernel": kernel.reshape(WIDTH, *heads), "bias": bias.reshape(heads)}
        for name, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True)
    }
    return made | {"out": {"kernel": own["output_kernel"].reshape(*heads, WIDTH), "bias": own["output_bias"]}}


# --- Loops ----------------------------------------------------------------------------------------


def _decayed(parameters: dict) -> dict:
    """Kernels and tables, but no bias and no scale."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key in {"kernel", "embedding"}, parameters
    )


def resnet_optimizer(samples: int) -> optax.GradientTransformation:
    total = RESNET_EPOCHS * -(-samples // RESNET_BATCH)
    rate = optax.piecewise_constant_schedule(0.1, {total // 2: 0.1, 3 * total // 4: 0.1})
    return optax.chain(optax.add_decayed_weights(RESNET_DECAY, mask=_decayed), optax.sgd(rate, momentum=0.9))


def gpt_optimizer() -> optax.GradientTransformation:
    rate = optax.warmup_cosine_decay_schedule(1e-3 / 101, 1e-3, 100, 2000, 1e-4)
    adamw = optax.adamw(rate, b1=0.9, b2=0.99, eps=1e-8, weight_decay=0.1, mask=_decayed)
    return optax.chain(optax.clip_by_global_norm(1.0), adamw)


def training_step(model: nn.Module, optimizer: optax.GradientTransformation) -> Callable:
    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: tuple, data: tuple[jax.Array, jax.Array], rows: jax.Array) -> tuple[tuple, jax.Array]:
        parameters, statistics, moments = state
        inputs, targets = data[0][rows], data[1][rows]

        def loss_of(parameters: dict) -> tuple[jax.Array, dict]:
            variables = {"params": parameters, **statistics}
            logits, changed = model.apply(variables, inputs, mutable=list(statistics))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
            return losses.mean(), changed

        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
        updates, moments = optimizer.update(gradients, moments, parameters)
        return (optax.apply_updates(parameters, updates), statistics, moments), loss

    return step


class Loop:
    """A training in progress."""

    def __init__(self, task: str, inputs: np.ndarray, targets: np.ndarray, weights: Arrays) -> None:
        """Take canonical inputs ``(n, *input)``, targets and weights by their names."""
        resnet = task == "resnet"
        inputs = inputs if resnet else inputs.astype(np.int32)
        self._data = (jnp.asarray(inputs), jnp.asarray(targets.astype(np.int32)))
        model = ResNet() if resnet else Gpt()
        variables = model.init(jax.random.key(0), self._data[0][:2])
        made = resnet_parameters(weights) if resnet else gpt_parameters(weights)
        parameters = jax.tree.map(
            lambda like, array: jnp.asarray(array, like.dtype), variables.pop("params"), made
        )
        optimizer = resnet_optimizer(len(inputs)) if resnet else gpt_optimizer()
        self._state = (parameters, variables, optimizer.init(parameters))
        self._step = training_step(model, optimizer)
        self._decay = RESNET_DECAY if resnet else 0.0

    def block(self, indices: np.ndarray, latents: np.ndarray | None) -> tuple[float, float]:
        """Seconds of steps ``(steps, batch)``, and their mean loss, with the decay of SGD as a penalty."""
        start = time.perf_counter()
        losses = []
        for rows in indices.astype(np.int32):
            self._state, loss = self._step(self._state, self._data, rows)
            losses.append(loss)
        mean = float(jnp.stack(losses).mean())
        jax.block_until_ready(self._state)
        seconds = time.perf_counter() - start
        kernels = jax.tree.leaves(
            jax.tree.map(lambda w, kept: w if kept else 0.0, self._state[0], _decayed(self._state[0]))
        )
        return seconds, mean + self._decay / 2 * sum(float(jnp.square(w).sum()) for w in kernels)
