"""Where frameworks differ by default, and what the tasks pin so that all frameworks do the same work."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.stats.estimate import Estimate

# What each framework does by default, and what the tasks pin, difference by difference.


class Entry(NamedTuple):
    """One semantic difference: what each framework does by default, and what the tasks pin."""

    topic: str
    torch: str
    keras: str
    jax: str
    pinned: str


#: JAX has no layers. Entries that begin with "flax" state what flax.linen and flax.nnx do.
LEDGER = (
    Entry(
        "initial kernel of dense and convolution",
        "uniform ±1/sqrt(fan_in) (kaiming_uniform with a=sqrt(5))",
        "Glorot uniform",
        "flax: LeCun normal",
        "Glorot uniform, from the harness's own draws",
    ),
    Entry("initial bias", "uniform ±1/sqrt(fan_in)", "zeros", "flax: zeros", "zeros"),
    Entry(
        "initial recurrent kernels and biases",
        "uniform ±1/sqrt(units)",
        "Glorot uniform, orthogonal, zeros (LSTM: forget bias 1)",
        "flax: LeCun normal, orthogonal, zeros",
        "uniform ±1/sqrt(units), all of them",
    ),
    Entry(
        "Adam: position of epsilon",
        "after the bias correction: sqrt(v_hat) + epsilon",
        "before it: sqrt(v) + epsilon, the step corrected (epsilon-hat)",
        "optax: after the bias correction",
        "after the bias correction (Kingma and Ba 2015, algorithm 1)",
    ),
    Entry("Adam: epsilon", "1e-8", "1e-7", "optax: 1e-8", "1e-7"),
    Entry(
        "RMSprop: epsilon",
        "outside the root, 1e-8",
        "inside the root, 1e-7",
        "optax: inside the root, 1e-8",
        "outside the root, 1e-7",
    ),
    Entry("RMSprop: decay of the mean square", "0.99", "0.9", "optax: 0.9", "0.9"),
    Entry(
        "momentum",
        "v = m v + g; w -= lr v",
        "v = m v - lr g; w += v",
        "optax: trace = g + m trace; w -= lr trace",
        "v = m v + g; w -= lr v (all equal at a constant learning rate)",
    ),
    Entry(
        "weight decay",
        "coupled in SGD and Adam (0), decoupled in AdamW (0.01), biases too",
        "decoupled (none; AdamW: 0.004), biases too",
        "optax: adamw decoupled (1e-4), all parameters",
        "decoupled, before the update, kernels only",
    ),
    Entry(
        "weight decay of biases, scales and embeddings",
        "AdamW: all parameters",
        "AdamW: all variables that are not excluded",
        "optax: adamw: all parameters unless masked",
        "none of biases and scales; of embeddings where the task says so",
    ),
    Entry(
        "clipping by norm",
        "of all gradients together, divided by the norm + 1e-6",
        "clipnorm: of each array; global_clipnorm: of all together",
        "optax: clip_by_global_norm, of all together",
        "of all together, divided by the norm",
    ),
    Entry(
        "momentum under a changing learning rate",
        "a new rate scales all of v",
        "a new rate scales new gradients only: v holds steps of earlier rates",
        "optax: a new rate scales all of the trace",
        "a new rate scales all of v",
    ),
    Entry(
        "label smoothing with class weights",
        "the smoothed share has each class's own weight; divided by the sum of weights",
        "a sample's whole loss has the weight of its class; divided by the number",
        "optax: smooth_labels, without weights",
        "a sample's whole loss has the weight of its class; divided by the number",
    ),
    Entry(
        "mean squared error",
        "mse_loss: mean over batch and outputs",
        "mean over batch and outputs",
        "optax: l2_loss halves each square, squared_error does not",
        "mean over batch and outputs, not halved; of a softmax over batch and classes",
    ),
    Entry(
        "l2 penalty",
        "none (weight_decay c adds c/2 · |w|²)",
        "factor · |w|²",
        "none (optax.add_decayed_weights c adds c/2 · |w|²)",
        "factor · |w|², kernels only, in the loss that is minimised",
    ),
    Entry(
        "GRU",
        "reset gate after the product, two biases, gates r z n",
        "the same (reset_after), gates z r h",
        "flax.nnx: reset gate after the product, no recurrent bias (flax.linen: the candidate's alone)",
        "reset gate after the product, two biases, gates r z n",
    ),
    Entry("LSTM biases", "two (their sum counts, so steps on it are doubled)", "one", "flax: one", "one"),
    Entry(
        "leaky ReLU: slope below zero",
        "0.01",
        "0.3 as a layer, 0.2 as a function",
        "0.01",
        "0.2 (Radford et al. 2016)",
    ),
    Entry(
        "leaky ReLU: gradient at zero",
        "the slope below zero",
        "TensorFlow, PyTorch: the slope below zero; JAX: 1",
        "1",
        "the slope below zero",
    ),
    Entry("padding of a convolution", "none", "none ('valid')", "flax: 'same'", "stated by each layer"),
    Entry(
        "padding 'same' with strides",
        "not offered",
        "the extra zero after (TensorFlow's rule)",
        "as Keras",
        "TensorFlow's rule",
    ),
    Entry(
        "transposed convolution",
        "the gradient of a convolution; kernel (in, out, h, w)",
        "the gradient of a convolution; kernel (h, w, out, in)",
        "kernel not flipped unless transpose_kernel=True",
        "the gradient of a convolution; kernel (h, w, in, out)",
    ),
    Entry(
        "short last batch",
        "kept; loss averaged over its own size",
        "kept; loss averaged over its own size",
        "up to the training loop",
        "kept; loss averaged over its own size",
    ),
    Entry(
        "order of samples",
        "reshuffled by its own generator",
        "reshuffled by its own generator",
        "up to the training loop",
        "the harness's",
    ),
    Entry(
        "flattening images",
        "channel, height, width",
        "height, width, channel",
        "height, width, channel",
        "height, width, channel",
    ),
    Entry("BatchNorm: epsilon", "1e-5", "1e-3", "flax: 1e-5", "1e-5"),
    Entry(
        "BatchNorm: momentum",
        "0.1, the weight of the new value",
        "0.99, the weight of the old value",
        "flax: 0.99, the weight of the old value",
        "update_rate 0.1, the weight of the new value",
    ),
    Entry(
        "BatchNorm: running variance",
        "unbiased (n - 1)",
        "biased (n)",
        "flax: biased (n)",
        "unbiased (n - 1): PyTorch keeps no other",
    ),
    Entry("GroupNorm: epsilon", "1e-5", "1e-3", "flax: 1e-6", "1e-5"),
    Entry("LayerNorm: epsilon", "1e-5", "1e-3", "flax: 1e-6", "1e-5"),
    Entry("GELU", "exact", "exact", "approximated by tanh", "exact; the approximation is gelu_tanh"),
    Entry(
        "initial embeddings",
        "normal, deviation 1",
        "uniform ±0.05",
        "flax: normal, deviation 1/sqrt(width)",
        "normal, deviation 0.02 (GPT-2)",
    ),
    Entry(
        "attention: kernels of q, k, v",
        "one, (3 * width, width): q, k, v",
        "three, (width, heads, size)",
        "flax: three, (width, heads, size)",
        "one, (width, 3 * width): q, k, v, each of heads side by side",
    ),
    Entry(
        "attention: scale of the scores",
        "1/sqrt(size of a head)",
        "1/sqrt(key_dim), applied to the query",
        "1/sqrt(size of a head)",
        "1/sqrt(size of a head)",
    ),
    Entry(
        "tied output weights",
        "by assigning one parameter to both layers",
        "up to the model",
        "flax: Embed.attend",
        "one table, to which both uses add their gradients",
    ),
    Entry(
        "TF32 in float32 on NVIDIA GPUs",
        "on in convolutions, off in products",
        "TensorFlow: on",
        "on (default precision)",
        "off",
    ),
    Entry(
        "float64 models",
        "float64 throughout",
        "some constants and means pass through float32",
        "off unless jax_enable_x64",
        "float64 throughout",
    ),
    Entry(
        "normalisation in float64",
        "float64",
        "JAX, PyTorch: statistics pass through float32",
        "float64",
        "float64 throughout",
    ),
    Entry(
        "GELU in float64",
        "to the last digits",
        "TensorFlow: off by 5e-9, a constant has the digits of float32",
        "to the last digits",
        "to the last digits",
    ),
)


__all__ = ["LEDGER", "Cost", "Costs", "Entry", "measured_costs"]

#: Written by ``tests/benchmarks/ledger_costs.py``.
COSTS_FILE = Path(__file__).parent / "ledger_costs.json"


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The effect of one default in place of the pin, paired by seed.

    ``pinned`` is the mean score with the pin; ``difference`` is the mean score with the default minus that.
    """

    topic: str
    default: str
    task: str
    score: str
    pinned: float
    difference: Estimate


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All measured costs, the day of the measurement and the version of JAX."""

    made: str
    jax: str
    costs: list[Cost]


def measured_costs() -> Costs:
    """The measured costs of those defaults that are numbers."""
    return msgspec.json.decode(COSTS_FILE.read_bytes(), type=Costs)
