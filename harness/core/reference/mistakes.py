"""Known mistakes in a training: what is often done otherwise than the contract says, as data.

What deviates says where to look; that an altered training gives exactly the observed numbers says what to
change. Each alternative is a task with one formula as another framework or a usual slip has it.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AnyLayer,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    SelfAttention,
    Unembedding,
)
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adversarial, Classification, Regression, Sgd, Task


class Rules(NamedTuple):
    """What a training does; the defaults are the contract, every other value is a known mistake."""

    unbiased_running: bool = True
    """Whether the running variance is that of ``n - 1``."""
    batch_norm: Literal["batch", "instance"] = "batch"
    """Whether a channel is normalised over the batch and all positions, or over the positions alone."""
    layer_norm: Literal["features", "steps", "sample"] = "features"
    """The axes over which a position is normalised: the last, the first, or all of a sample."""
    attention_scaled: bool = True
    mask_offset: int = 0
    """How many positions later than itself a position attends to."""
    heads: Literal["blocks", "interleaved", "split interleaved", "packed by head"] = "blocks"
    """A head's columns: side by side, every ``heads``-th, or its query, key and value together.

    With ``split interleaved`` the outputs of the heads are side by side nevertheless.
    """
    flipped: bool = False
    """Whether a transposed convolution turns its kernel by 180 degrees."""
    gates: tuple[str, ...] = ()
    """The order of a recurrent layer's columns; empty: that of its class."""
    reset: Literal["after the bias", "before the bias", "before the product"] = "after the bias"
    """When the reset gate of a GRU is applied: to ``h @ U + c``, to ``h @ U``, or to ``h``."""
    update: Literal["keeps the state", "takes the candidate"] = "keeps the state"
    """What the update gate of a GRU is the share of."""
    backward_outputs: Literal["of their steps", "as made", "of the last step"] = "of their steps"
    """Whether outputs of the backward direction are in the order of time, and which is its last one."""
    tied: bool = True
    """Whether logits and embedding share one table in training."""
    decays: Literal["kernels", "all"] = "kernels"
    clipped: Literal["globally", "by norm + 1e-6", "each array", "each value"] = "globally"
    momentum: Literal["gradients", "steps"] = "gradients"
    """Whether the momentum gathers gradients, or steps of each step's own learning rate."""
    sample_clip: Literal["each sample", "mean", "each array", "none"] = "each sample"
    """Of DP-SGD: what is clipped to ``clip``."""
    noise: Literal["by clip", "alone", "none"] = "by clip"
    """Of DP-SGD: what scales the noise besides its multiplier."""
    divided_by: Literal["declared", "realised", "padded", "floored"] = "declared"
    """Of DP-SGD: the batch size of the task, the samples in the step, the rows of its batch, or the training
    samples divided by the steps of an epoch, rounded down."""
    errors_averaged: bool = True
    """Whether the errors of a target are averaged over its outputs or summed; cross-entropy has none."""


CONTRACT_RULES = Rules()


_WRONG_AXIS = "LayerNorm normalises over the wrong axis: over {}, not over the features"
_WRONG_HEADS = (
    "the heads are split in the wrong order: their columns are {}; q, k, v, each of heads side by side"
)
_WRONG_MASK = "the causal mask is off by one: a position attends to {}; it attends to itself and earlier ones"
_LATE_RESET = "the GRU's reset gate is applied {}; n = tanh(x @ W + b + r * (h @ U + c))"
_WRONG_DIVISOR = "DP-SGD divides by {}; it divides by the batch size of the task, whatever was drawn"

#: The mistakes by the rule that they break, and by its value.
_BROKEN: dict[str, dict[Any, str]] = {
    "unbiased_running": {False: "BatchNorm's running variance is the biased one; it is that of n - 1"},
    "batch_norm": {
        "instance": "BatchNorm normalises over the wrong axes: over each sample's positions, not over the "
        "batch too"
    },
    "layer_norm": {
        "steps": _WRONG_AXIS.format("the steps"),
        "sample": _WRONG_AXIS.format("steps and features"),
    },
    "attention_scaled": {False: "attention lacks its scale: scores are divided by sqrt(size of a head)"},
    "heads": {
        "interleaved": _WRONG_HEADS.format("interleaved"),
        "split interleaved": _WRONG_HEADS.format("interleaved, but not where they are joined"),
        "packed by head": _WRONG_HEADS.format("packed as q, k, v of each head"),
    },
    "mask_offset": {
        1: _WRONG_MASK.format("the one after it"),
        -1: _WRONG_MASK.format("earlier ones alone"),
    },
    "tied": {False: "the logits have a table of their own; it is that of the embedding"},
    "reset": {
        "before the product": _LATE_RESET.format("before the product: (r * h) @ U + c"),
        "before the bias": _LATE_RESET.format("before the recurrent bias: r * (h @ U) + c"),
    },
    "update": {
        "takes the candidate": "the GRU's update gate is the share of the candidate, not of the state: "
        "h = z * n + (1 - z) * h; it is (1 - z) * n + z * h"
    },
    "backward_outputs": {
        "as made": "the outputs of the backward direction are in the order in which they were made, not in "
        "that of time",
        "of the last step": "the backward direction's last output is read at the end of the sequence, where "
        "it begins; it is at the first step",
    },
    "flipped": {True: "the kernel of a transposed convolution is turned by 180 degrees; nothing is flipped"},
    "errors_averaged": {
        False: "errors are summed over the outputs; the loss is their mean over batch and outputs"
    },
    "decays": {"all": "weight decay shrinks biases and scales too; it is of kernels alone"},
    "clipped": {
        "each array": "gradients are clipped one by one; the norm is that of all together",
        "each value": "gradients are clipped value by value, not by their norm",
        "by norm + 1e-6": "gradients are divided by their norm + 1e-6, as by torch's clip_grad_norm_; it is "
        "the norm",
    },
    "sample_clip": {
        "mean": "DP-SGD clips the mean gradient; it clips the gradient of each sample before they are added",
        "each array": "DP-SGD clips each layer by itself; the norm of a sample is that of all its gradients "
        "together",
        "none": "DP-SGD does not clip the gradients of samples",
    },
    "noise": {
        "none": "DP-SGD lacks its noise: noise * clip * N(0, 1)",
        "alone": "the noise of DP-SGD is not scaled by the clip: it is noise * clip * N(0, 1)",
    },
    "divided_by": {
        "realised": _WRONG_DIVISOR.format("the number of samples in the step"),
        "padded": _WRONG_DIVISOR.format("the rows of the batch, padding included"),
        "floored": _WRONG_DIVISOR.format(
            "the number of training samples divided by the steps of an epoch, rounded down"
        ),
    },
    "momentum": {
        "steps": "the momentum gathers steps at their own rates (v = m * v - rate * g); it gathers gradients"
    },
}


class Alternative(NamedTuple):
    """A mistake: what it is, the task and the rules that have it, and how many steps the rates are ahead."""

    mistake: str
    task: Task
    rules: Rules = CONTRACT_RULES
    rates_ahead: int = 0


def alternatives(task: Task) -> Iterator[Alternative]:
    """Yield the known mistakes that a task can show: first broken rules, then other fields of the task."""
    for rule in _rules_of(task):
        for value, mistake in _BROKEN[rule].items():
            yield Alternative(mistake, task, CONTRACT_RULES._replace(**{rule: value}))
    for kind in (GRU, LSTM):
        for order in _WRONG_GATES[kind] if kind in _kinds(task) else ():
            ours, theirs = (", ".join(gates) for gates in (kind.gates, order))
            mistake = f"the {kind.__name__}'s gates are in the order {theirs}; it is {ours}"
            yield Alternative(mistake, task, CONTRACT_RULES._replace(gates=order))
    yield from _other_layers(task)
    yield from _other_fields(task)


_WRONG_GATES: dict[type[GRU | LSTM], list[tuple[str, ...]]] = {
    GRU: [("update", "reset", "candidate")],
    LSTM: [
        ("input", "candidate", "forget", "output"),
        ("input", "forget", "output", "candidate"),
        ("input", "output", "forget", "candidate"),
        ("forget", "input", "candidate", "output"),
    ],
}


def _layers(task: Task) -> list[Layer]:
    return [place.layer for network in task.networks.values() for place in network.leaves()]


def _kinds(task: Task) -> set[type[Layer]]:
    return {type(layer) for layer in _layers(task)}


def _rules_of(task: Task) -> list[str]:
    """Name the rules that a task needs, the rules of its layers first."""
    kinds, private = _kinds(task), task.privacy is not None
    changes_rates = task.schedule != ConstantRate()
    cross_entropy = task.special_loss() is None and not isinstance(task.objective, Regression)
    needed = {
        "unbiased_running": BatchNorm in kinds,
        "batch_norm": BatchNorm in kinds,
        "layer_norm": LayerNorm in kinds,
        "attention_scaled": SelfAttention in kinds,
        "heads": SelfAttention in kinds,
        "mask_offset": SelfAttention in kinds,
        "tied": Unembedding in kinds,
        "reset": GRU in kinds,
        "update": GRU in kinds,
        "backward_outputs": any(getattr(layer, "bidirectional", False) for layer in _layers(task)),
        "flipped": ConvTranspose2D in kinds,
        "errors_averaged": not cross_entropy and task.networks["model"].output_shape()[-1] > 1,
        "decays": task.weight_decay > 0,
        "clipped": task.clip_norm > 0,
        "sample_clip": private,
        "noise": private,
        "divided_by": private,
        "momentum": changes_rates and isinstance(task.optimizer, Sgd) and task.optimizer.momentum > 0,
    }
    return [rule for rule, is_needed in needed.items() if is_needed]


def _other_layers(task: Task) -> Iterator[Alternative]:
    kinds = _kinds(task)
    if BatchNorm in kinds:
        yield Alternative("BatchNorm's epsilon is 1e-3", _changed(task, BatchNorm, epsilon=1e-3))
        yield Alternative(
            "BatchNorm's running statistics are weighted the other way round: running = running + "
            "update_rate * (new - running)",
            task.with_layers(_reversed_rate),
        )
    if LayerNorm in kinds:
        for epsilon in ("1e-3", "1e-6"):
            other = _changed(task, LayerNorm, epsilon=float(epsilon))
            yield Alternative(f"LayerNorm's epsilon is {epsilon}", other)
    if SelfAttention in kinds:
        yield Alternative("the causal mask is missing", _changed(task, SelfAttention, causal=False))
    functions = {getattr(layer, name, "") for layer in _layers(task) for name in ("activation", "function")}
    if "gelu" in functions:
        mistake = "GELU approximated by tanh; exact: x * (1 + erf(x / sqrt(2))) / 2"
        yield Alternative(mistake, task.with_layers(_tanh_gelu))


def _other_fields(task: Task) -> Iterator[Alternative]:
    replace, objective, asked = msgspec.structs.replace, task.objective, task.special_loss()
    if isinstance(objective, Classification) and objective.label_smoothing:
        plain = replace(objective, label_smoothing=0.0)
        yield Alternative("labels are not smoothed", replace(task, objective=plain))
    if asked is not None and not isinstance(objective, Adversarial):
        default = type(objective)().loss
        other = replace(objective, loss=default)
        yield Alternative(f"the loss is {default}, not {asked}", replace(task, objective=other))
    if task.weight_decay and Embedding in _kinds(task):
        wrong = "leaves out" if task.decay_embeddings else "shrinks"
        mistake = f"weight decay {wrong} the tables of embeddings, against the task's decay_embeddings"
        yield Alternative(mistake, replace(task, decay_embeddings=not task.decay_embeddings))
    if task.clip_norm:
        yield Alternative("gradients are not clipped", replace(task, clip_norm=0.0))
    if task.schedule != ConstantRate():
        off = "the schedule is off by one: step t has the rate of step t {} 1"
        yield Alternative(off.format("+"), task, rates_ahead=1)
        yield Alternative(off.format("-"), task, rates_ahead=-1)
        constant = replace(task, schedule=ConstantRate())
        yield Alternative("the learning rate does not follow the steps' learning_rates", constant)


def _changed(task: Task, kind: type[AnyLayer], **fields: object) -> Task:
    """Change fields of all layers of a kind in a task."""
    return task.with_layers(
        lambda layer: msgspec.structs.replace(layer, **fields) if isinstance(layer, kind) else layer,
    )


def _reversed_rate(layer: AnyLayer) -> AnyLayer:
    if isinstance(layer, BatchNorm):
        return msgspec.structs.replace(layer, update_rate=1 - layer.update_rate)
    return layer


def _tanh_gelu(layer: AnyLayer) -> AnyLayer:
    match layer:
        case Activation(function="gelu"):
            return Activation("gelu_tanh")
        case Conv2D() | Conv1D() | ConvTranspose2D() | Dense() if layer.activation == "gelu":
            return msgspec.structs.replace(layer, activation="gelu_tanh")
    return layer
