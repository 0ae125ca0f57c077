"""Functions of arrays and their backward passes: activations, normalisation, attention, objectives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.core.reference.mistakes import CONTRACT_RULES, Rules
from harness.layers import (
    LEAKY_RELU_SLOPE,
    ActivationName,
    BatchNorm,
    GroupNorm,
    Layer,
    LayerNorm,
    SelfAttention,
)
from harness.spec.task import BinaryClassification, Classification, Objective, Regression

# What layers in plain NumPy share: types, gradients that add up, and sequences of backward passes.

Array = np.ndarray[Any, np.dtype[Any]]
Gradients = dict[str, Array]
#: From the gradient of a layer's output to that of its input; adds those of its weights to a dictionary.
Backward = Callable[[Array, Gradients], Array]


class Pass:
    """One pass through a network: its weights by full name, its mode, and the state that it leaves."""

    def __init__(
        self, weights: dict[str, Array], rules: Rules = CONTRACT_RULES, *, training: bool = False
    ) -> None:
        self.weights, self.rules, self.training = weights, rules, training
        self.state: dict[str, Array] = {}


def add(gradients: Gradients, name: str, gradient: Array) -> None:
    """Add a gradient to that of other uses of the same weights."""
    gradients[name] = gradients[name] + gradient if name in gradients else gradient


def backwards(passes: Sequence[Backward]) -> Backward:
    """The backward pass of layers that were applied in this order."""

    def backward(gradient: Array, gradients: Gradients) -> Array:
        for each in reversed(passes):
            gradient = each(gradient, gradients)
        return gradient

    return backward


# Activations in plain NumPy: each value's output and slope.


def _linear(y: Array) -> tuple[Array, Array]:
    return y, np.ones((), y.dtype)


def _relu(y: Array) -> tuple[Array, Array]:
    return np.maximum(y, 0), (y > 0).astype(y.dtype)


def _leaky_relu(y: Array) -> tuple[Array, Array]:
    slope = np.where(y > 0, 1.0, LEAKY_RELU_SLOPE)
    return y * slope, slope


def _tanh(y: Array) -> tuple[Array, Array]:
    y = np.tanh(y)
    return y, 1 - y * y


def logistic(y: Array) -> Array:
    """``1 / (1 + exp(-y))``, without overflow."""
    result: Array = 0.5 * (1 + np.tanh(0.5 * y))
    return result


def _sigmoid(y: Array) -> tuple[Array, Array]:
    y = logistic(y)
    return y, y * (1 - y)


def _silu(y: Array) -> tuple[Array, Array]:
    share = logistic(y)
    return y * share, share * (1 + y * (1 - share))


def _gelu(y: Array) -> tuple[Array, Array]:
    from scipy.special import ndtr  # the normal distribution function, to the last digits in its tails too

    share = ndtr(y)
    return y * share, share + y * np.exp(-0.5 * y * y) / np.sqrt(2 * np.pi)


def _gelu_tanh(y: Array) -> tuple[Array, Array]:
    root = np.sqrt(2 / np.pi)
    bent = np.tanh(root * (y + 0.044715 * y**3))
    slope = 0.5 * (1 + bent) + 0.5 * y * (1 - bent * bent) * root * (1 + 3 * 0.044715 * y * y)
    return 0.5 * y * (1 + bent), slope


ACTIVATIONS: dict[ActivationName | None, Callable[[Array], tuple[Array, Array]]] = {
    None: _linear,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}


# Normalisation in plain NumPy.


def batch_norm(name: str, layer: BatchNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output; in training the new running statistics are left in the pass."""
    mean_name, variance_name = f"{name}/running_mean", f"{name}/running_variance"
    mean, variance = made.weights[mean_name], made.weights[variance_name]
    if not made.training:
        deviation = np.sqrt(variance + layer.epsilon)
        return _scaled(name, (x - mean) / deviation, lambda gradient, _: gradient / deviation, made)
    by_sample = made.rules.batch_norm == "instance"
    made.state[mean_name], made.state[variance_name] = running_statistics(
        x,
        (mean, variance),
        layer.update_rate,
        unbiased=made.rules.unbiased_running,
        by_sample=by_sample,
    )
    axes = tuple(range(1 if by_sample else 0, x.ndim - 1))
    return _scaled(name, *normalised(x, axes, layer.epsilon), made)


def running_statistics(
    x: Array, before: tuple[Array, Array], update_rate: float, *, unbiased: bool, by_sample: bool = False
) -> tuple[Array, Array]:
    """The running mean and variance ``(channels,)`` after a training step on ``x``.

    ``unbiased`` is whether the variance of the batch that enters is that of ``n - 1``; with ``by_sample`` it
    is the mean of those of each sample.
    """
    axes = tuple(range(1 if by_sample else 0, x.ndim - 1))
    now, spread = x.mean(axis=axes), x.var(axis=axes)
    if by_sample:
        now, spread = now.mean(axis=0), spread.mean(axis=0)
    count = x.size // x.shape[-1]
    spread = spread * (count / max(1, count - 1) if unbiased else 1.0)
    mean, variance = before
    return mean + update_rate * (now - mean), variance + update_rate * (spread - variance)


def layer_norm(name: str, layer: LayerNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output, normalised over the last axis."""
    axes = {"features": (-1,), "steps": (1,), "sample": tuple(range(1, x.ndim))}[made.rules.layer_norm]
    return _scaled(name, *normalised(x, axes, layer.epsilon), made)


def group_norm(name: str, layer: GroupNorm, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The output, each sample normalised over all positions and the channels of a group."""
    grouped = x.reshape(*x.shape[:-1], layer.groups, -1)
    y, backward = normalised(grouped, (*range(1, x.ndim - 1), x.ndim), layer.epsilon)

    def ungrouped(gradient: Array, gradients: Gradients) -> Array:
        return backward(gradient.reshape(grouped.shape), gradients).reshape(x.shape)

    return _scaled(name, y.reshape(x.shape), ungrouped, made)


def normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Backward]:
    """The array with mean 0 and variance 1 over these axes."""
    centred = x - x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + epsilon)
    y = centred * inverse

    def backward(gradient: Array, _: Gradients) -> Array:
        along = (gradient * y).mean(axis=axes, keepdims=True)
        result: Array = inverse * (gradient - gradient.mean(axis=axes, keepdims=True) - y * along)
        return result

    return y, backward


def _scaled(name: str, y: Array, inner: Backward, made: Pass) -> tuple[Array, Backward]:
    scale, bias = made.weights[f"{name}/scale"], made.weights[f"{name}/bias"]
    leading = tuple(range(y.ndim - 1))

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, f"{name}/scale", (gradient * y).sum(axis=leading))
        add(gradients, f"{name}/bias", gradient.sum(axis=leading))
        return inner(gradient * scale, gradients)

    return y * scale + bias, backward


NORMALISATIONS: dict[type[Layer], Callable[[str, Any, Array, Pass], tuple[Array, Backward]]] = {
    BatchNorm: batch_norm,
    LayerNorm: layer_norm,
    GroupNorm: group_norm,
}


# Embeddings and self-attention in plain NumPy.
#
# Shapes in comments: B samples, T steps, W features, H heads of S features each.

#: The name of the second table that a network has whose tables are not tied.
OUTPUT_TABLE = "{} of the output"
#: The score of a key that is masked.
_MASKED = -1e30


def embed(table_name: str, tokens: Array, made: Pass) -> tuple[Array, Backward]:
    """The rows of a table."""
    table, rows = made.weights[table_name], tokens.astype(np.int64)

    def backward(gradient: Array, gradients: Gradients) -> Array:
        table_gradient = np.zeros_like(table)
        np.add.at(table_gradient, rows, gradient)
        add(gradients, table_name, table_gradient)
        return gradient

    return table[rows], backward


def add_positions(table_name: str, x: Array, made: Pass) -> tuple[Array, Backward]:
    """The first rows of a table, added."""
    table, steps = made.weights[table_name], x.shape[1]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        table_gradient = np.zeros_like(table)
        table_gradient[:steps] = gradient.sum(axis=0)
        add(gradients, table_name, table_gradient)
        return gradient

    return x + table[:steps], backward


def unembed(table_name: str, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Logits by a table."""
    name = table_name if made.rules.tied else OUTPUT_TABLE.format(table_name)
    table = made.weights[name]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, name, np.einsum("...v,...w->vw", gradient, x, optimize=True))
        x_gradient: Array = gradient @ table
        return x_gradient

    return x @ table.T, backward


def softmax(x: Array, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along an axis, without overflow."""
    shares: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares


def attention_shares(
    q: Array,
    k: Array,
    scale: float,
    causal_offset: int | None = None,
    mask: Array | None = None,
    axis: int = -1,
) -> Array:
    """The share of each key in each query's output, ``(..., queries, keys)``; ``q``, ``k`` ``(..., T, S)``.

    With a ``causal_offset`` of 0 a query attends to its own place and earlier ones, with 1 to the next one
    too. ``mask`` is added to the scores, or says where they count.
    """
    scores = scale * q @ k.swapaxes(-1, -2)
    if causal_offset is not None:
        queries, keys = scores.shape[-2:]
        seen = np.tri(queries, keys, causal_offset, dtype=bool)
        scores = np.where(seen, scores, _MASKED)
    if mask is not None:
        scores = np.where(mask, scores, _MASKED) if mask.dtype == bool else scores + mask
    return softmax(scores, axis)


def attend(name: str, layer: SelfAttention, x: Array, made: Pass) -> tuple[Array, Backward]:
    """Multi-head attention without dropout."""
    weights, rules = made.weights, made.rules
    width = x.shape[-1]
    scale = 1 / np.sqrt(width / layer.heads) if rules.attention_scaled else 1.0
    columns = _columns(width, layer.heads, rules.heads)  # (3, H, S)
    packed = x @ weights[f"{name}/qkv_kernel"] + weights[f"{name}/qkv_bias"]  # (B, T, 3W)
    q, k, v = (packed[..., own].transpose(0, 2, 1, 3) for own in columns)  # (B, H, T, S)
    shares = attention_shares(q, k, scale, rules.mask_offset if layer.causal else None)  # (B, H, T, T)
    out_columns = _out_columns(width, layer.heads, rules.heads)  # (H, S)
    joined = np.zeros_like(x)
    joined[..., out_columns] = (shares @ v).transpose(0, 2, 1, 3)
    out = weights[f"{name}/output_kernel"]

    def backward(gradient: Array, gradients: Gradients) -> Array:
        add(gradients, f"{name}/output_bias", gradient.sum(axis=(0, 1)))
        add(gradients, f"{name}/output_kernel", np.tensordot(joined, gradient, ((0, 1), (0, 1))))
        heads = (gradient @ out.T)[..., out_columns].transpose(0, 2, 1, 3)
        towards = heads @ v.swapaxes(2, 3)
        score_gradient = scale * shares * (towards - (towards * shares).sum(axis=-1, keepdims=True))
        parts = (score_gradient @ k, score_gradient.swapaxes(2, 3) @ q, shares.swapaxes(2, 3) @ heads)
        packed_gradient = np.zeros_like(packed)
        for own, part in zip(columns, parts, strict=True):
            packed_gradient[..., own] = part.transpose(0, 2, 1, 3)
        add(gradients, f"{name}/qkv_bias", packed_gradient.sum(axis=(0, 1)))
        add(gradients, f"{name}/qkv_kernel", np.tensordot(x, packed_gradient, ((0, 1), (0, 1))))
        x_gradient: Array = packed_gradient @ weights[f"{name}/qkv_kernel"].T
        return x_gradient

    return joined @ out + weights[f"{name}/output_bias"], backward


def _columns(width: int, heads: int, order: str) -> Array:
    """Where the columns of queries, keys and values are, ``(3, heads, size)``."""
    places, size = np.arange(3 * width), width // heads
    if order in {"interleaved", "split interleaved"}:
        return places.reshape(3, size, heads).swapaxes(1, 2)
    if order == "packed by head":
        return places.reshape(heads, 3, size).swapaxes(0, 1)
    return places.reshape(3, heads, size)


def _out_columns(width: int, heads: int, order: str) -> Array:
    """Where the outputs of each head go, ``(heads, size)``."""
    places = np.arange(width)
    return places.reshape(-1, heads).T if order == "interleaved" else places.reshape(heads, -1)


# Losses in plain NumPy, with their gradients.


def loss_and_gradient(
    objective: Objective, outputs: Array, targets: Array, rules: Rules = CONTRACT_RULES
) -> tuple[float, Array]:
    """The mean loss of a batch, and its gradient with respect to the outputs."""
    match objective:
        case Classification(loss="cross_entropy"):
            return _cross_entropy(objective, outputs, targets)
        case BinaryClassification(loss="cross_entropy"):
            return _binary_cross_entropy(objective, outputs, targets)
        case Classification() | BinaryClassification():
            loss, gradient = _class_errors(objective, outputs, targets)
        case Regression():
            loss, gradient = _errors(objective.loss, outputs - targets.reshape(outputs.shape))
        case _:
            raise ValueError(f"{objective} has no loss of targets")
    factor = 1 if rules.errors_averaged else outputs.shape[-1]
    return factor * loss, factor * gradient


def _errors(loss: str, errors: Array) -> tuple[float, Array]:
    """The mean over errors ``(batch, outputs)`` and its gradient."""
    match loss:
        case "mse":
            terms, slopes = errors**2, 2 * errors
        case "mae":
            terms, slopes = np.abs(errors), np.sign(errors)
        case _:
            small = np.clip(errors, -1, 1)
            terms, slopes = small * (errors - small / 2), small
    return float(terms.mean()), slopes / errors.size


def _class_errors(
    objective: Classification | BinaryClassification, outputs: Array, targets: Array
) -> tuple[float, Array]:
    """Squared errors of the softmax, the sigmoid, or the logits, with the gradient for the logits."""
    classes, labels = outputs.shape[-1], targets.ravel()
    logits = outputs.reshape(-1, classes)
    wanted = labels[:, None] if classes == 1 else np.eye(classes)[labels]
    values = logits
    if objective.loss == "mse_softmax":
        values = softmax(logits)
    elif objective.loss == "mse_sigmoid":
        values = logistic(logits)
    weight = _weight_of(objective, labels)
    errors = values - wanted
    gradient = 2 * weight[:, None] * errors / errors.size
    if objective.loss == "mse_softmax":
        gradient = values * (gradient - (gradient * values).sum(axis=1, keepdims=True))
    elif objective.loss == "mse_sigmoid":
        gradient = gradient * values * (1 - values)
    return float((weight[:, None] * errors**2).mean()), gradient.reshape(outputs.shape)


def _cross_entropy(objective: Classification, outputs: Array, targets: Array) -> tuple[float, Array]:
    classes, labels = outputs.shape[-1], targets.ravel()
    logits, rows = outputs.reshape(-1, classes), np.arange(len(labels))
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1)
    weight, smoothing = _weight_of(objective, labels), objective.label_smoothing
    wanted = (1 - smoothing) * logits[rows, labels] + smoothing * logits.mean(axis=1)
    gradient = exponentials / sums[:, None] - smoothing / classes
    gradient[rows, labels] -= 1 - smoothing
    loss = (weight * (np.log(sums) - wanted)).mean()
    return float(loss), (gradient * weight[:, None] / len(labels)).reshape(outputs.shape)


def _binary_cross_entropy(
    objective: BinaryClassification, outputs: Array, targets: Array
) -> tuple[float, Array]:
    logits, labels = outputs[:, 0], targets.ravel()
    weight = _weight_of(objective, labels)
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    gradient = weight * (logistic(logits) - labels) / len(labels)
    return float((weight * losses).mean()), gradient[:, None]


def _weight_of(objective: Classification | BinaryClassification, labels: Array) -> Array:
    """The weight of each sample, that of its class."""
    return np.array(objective.class_weights)[labels] if objective.class_weights else np.ones(len(labels))
