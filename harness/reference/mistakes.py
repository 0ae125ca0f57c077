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


class Alternative(NamedTuple):
    """A mistake: what it is, the task and the rules that have it, and how many steps the rates are ahead."""

    mistake: str
    task: Task
    rules: Rules = CONTRACT_RULES
    rates_ahead: int = 0


def alternatives(task: Task) -> Iterator[Alternative]:
    """The known mistakes that a task can show, those of its layers first."""
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    kinds = {type(layer) for layer in layers}
    if BatchNorm in kinds:
        yield from _of_batch_norm(task)
    if LayerNorm in kinds:
        yield from _of_layer_norm(task)
    if SelfAttention in kinds:
        yield from _of_attention(task)
    if Unembedding in kinds:
        yield _ruled(task, "the logits have a table of their own; it is that of the embedding", tied=False)
    if GRU in kinds:
        yield from _of_gru(task)
    if LSTM in kinds:
        yield from _of_lstm(task)
    if any(isinstance(layer, GRU | LSTM) and layer.bidirectional for layer in layers):
        yield from _of_backward_direction(task)
    if ConvTranspose2D in kinds:
        yield _ruled(
            task,
            "the kernel of a transposed convolution is turned by 180 degrees; nothing is flipped",
            flipped=True,
        )
    if any("gelu" in (getattr(layer, "activation", ""), getattr(layer, "function", "")) for layer in layers):
        mistake = "GELU approximated by tanh; exact: x * (1 + erf(x / sqrt(2))) / 2"
        yield Alternative(mistake, task.with_layers(_tanh_gelu))
    yield from _of_labels(task)
    yield from _of_loss(task)
    yield from _of_updates(task, tables=Embedding in kinds)


def _of_batch_norm(task: Task) -> Iterator[Alternative]:
    yield Alternative("BatchNorm's epsilon is 1e-3", _changed(task, BatchNorm, epsilon=1e-3))
    yield Alternative(
        "BatchNorm's running statistics are weighted the other way round: running = running + update_rate * "
        "(new - running)",
        task.with_layers(_reversed_rate),
    )
    yield _ruled(
        task,
        "BatchNorm's running variance is the biased one; it is that of n - 1",
        unbiased_running=False,
    )
    yield _ruled(
        task,
        "BatchNorm normalises over the wrong axes: over each sample's positions, not over the batch too",
        batch_norm="instance",
    )


def _of_layer_norm(task: Task) -> Iterator[Alternative]:
    for epsilon in ("1e-3", "1e-6"):
        yield Alternative(
            f"LayerNorm's epsilon is {epsilon}", _changed(task, LayerNorm, epsilon=float(epsilon))
        )
    wrong = "LayerNorm normalises over the wrong axis: over {}, not over the features"
    yield _ruled(task, wrong.format("the steps"), layer_norm="steps")
    yield _ruled(task, wrong.format("steps and features"), layer_norm="sample")


def _of_attention(task: Task) -> Iterator[Alternative]:
    yield _ruled(
        task, "attention lacks its scale: scores are divided by sqrt(size of a head)", attention_scaled=False
    )
    wrong = (
        "the heads are split in the wrong order: their columns are {}; q, k, v, each of heads side by side"
    )
    yield _ruled(task, wrong.format("interleaved"), heads="interleaved")
    yield _ruled(task, wrong.format("interleaved, but not where they are joined"), heads="split interleaved")
    yield _ruled(task, wrong.format("packed as q, k, v of each head"), heads="packed by head")
    masked = "the causal mask is off by one: a position attends to {}; it attends to itself and earlier ones"
    yield _ruled(task, masked.format("the one after it"), mask_offset=1)
    yield _ruled(task, masked.format("earlier ones alone"), mask_offset=-1)
    yield Alternative("the causal mask is missing", _changed(task, SelfAttention, causal=False))


def _of_gru(task: Task) -> Iterator[Alternative]:
    yield _gates(task, GRU, ("update", "reset", "candidate"))
    late = "the GRU's reset gate is applied {}; n = tanh(x @ W + b + r * (h @ U + c))"
    yield _ruled(task, late.format("before the product: (r * h) @ U + c"), reset="before the product")
    yield _ruled(task, late.format("before the recurrent bias: r * (h @ U) + c"), reset="before the bias")
    yield _ruled(
        task,
        "the GRU's update gate is the share of the candidate, not of the state: h = z * n + (1 - z) * h; "
        "it is (1 - z) * n + z * h",
        update="takes the candidate",
    )


def _of_lstm(task: Task) -> Iterator[Alternative]:
    orders = (
        ("input", "candidate", "forget", "output"),
        ("input", "forget", "output", "candidate"),
        ("input", "output", "forget", "candidate"),
        ("forget", "input", "candidate", "output"),
    )
    for order in orders:
        yield _gates(task, LSTM, order)


def _gates(task: Task, kind: type[GRU | LSTM], order: tuple[str, ...]) -> Alternative:
    ours, theirs = (", ".join(gates) for gates in (kind.gates, order))
    return _ruled(task, f"the {kind.__name__}'s gates are in the order {theirs}; it is {ours}", gates=order)


def _of_backward_direction(task: Task) -> Iterator[Alternative]:
    yield _ruled(
        task,
        "the outputs of the backward direction are in the order in which they were made, not in that of time",
        backward_outputs="as made",
    )
    yield _ruled(
        task,
        "the backward direction's last output is read at the end of the sequence, where it begins; it is at "
        "the first step",
        backward_outputs="of the last step",
    )


def _of_labels(task: Task) -> Iterator[Alternative]:
    objective = task.objective
    if isinstance(objective, Classification) and objective.label_smoothing:
        plain = msgspec.structs.replace(objective, label_smoothing=0.0)
        yield Alternative("labels are not smoothed", msgspec.structs.replace(task, objective=plain))


def _of_loss(task: Task) -> Iterator[Alternative]:
    objective, asked = task.objective, task.special_loss()
    if asked is not None and not isinstance(objective, Adversarial):
        default = type(objective)().loss
        plain = msgspec.structs.replace(objective, loss=default)
        yield Alternative(
            f"the loss is {default}, not {asked}", msgspec.structs.replace(task, objective=plain)
        )
    if asked is None and not isinstance(objective, Regression):
        return  # cross-entropies
    if task.networks["model"].output_shape()[-1] > 1:
        yield _ruled(
            task,
            "errors are summed over the outputs; the loss is their mean over batch and outputs",
            errors_averaged=False,
        )


def _of_updates(task: Task, *, tables: bool) -> Iterator[Alternative]:
    if task.weight_decay:
        yield _ruled(task, "weight decay shrinks biases and scales too; it is of kernels alone", decays="all")
        if tables:
            other = msgspec.structs.replace(task, decay_embeddings=not task.decay_embeddings)
            wrong = "leaves out" if task.decay_embeddings else "shrinks"
            mistake = f"weight decay {wrong} the tables of embeddings, against the task's decay_embeddings"
            yield Alternative(mistake, other)
    if task.clip_norm:
        yield _ruled(
            task, "gradients are clipped one by one; the norm is that of all together", clipped="each array"
        )
        yield _ruled(task, "gradients are clipped value by value, not by their norm", clipped="each value")
        yield _ruled(
            task,
            "gradients are divided by their norm + 1e-6, as by torch's clip_grad_norm_; it is the norm",
            clipped="by norm + 1e-6",
        )
        unclipped = msgspec.structs.replace(task, clip_norm=0.0)
        yield Alternative("gradients are not clipped", unclipped)
    if task.privacy is not None:
        yield from _of_privacy(task)
    if task.schedule != ConstantRate():
        off = "the schedule is off by one: step t has the rate of step t {} 1"
        yield Alternative(off.format("+"), task, rates_ahead=1)
        yield Alternative(off.format("-"), task, rates_ahead=-1)
        constant = msgspec.structs.replace(task, schedule=ConstantRate())
        yield Alternative("the learning rate does not follow the steps' learning_rates", constant)
        if isinstance(task.optimizer, Sgd) and task.optimizer.momentum:
            yield _ruled(
                task,
                "the momentum gathers steps at their own rates (v = m * v - rate * g); it gathers gradients",
                momentum="steps",
            )


def _of_privacy(task: Task) -> Iterator[Alternative]:
    yield _ruled(
        task,
        "DP-SGD clips the mean gradient; it clips the gradient of each sample before they are added",
        sample_clip="mean",
    )
    yield _ruled(
        task,
        "DP-SGD clips each layer by itself; the norm of a sample is that of all its gradients together",
        sample_clip="each array",
    )
    yield _ruled(task, "DP-SGD does not clip the gradients of samples", sample_clip="none")
    yield _ruled(task, "DP-SGD lacks its noise: noise * clip * N(0, 1)", noise="none")
    yield _ruled(
        task, "the noise of DP-SGD is not scaled by the clip: it is noise * clip * N(0, 1)", noise="alone"
    )
    wrong = "DP-SGD divides by {}; it divides by the batch size of the task, whatever was drawn"
    yield _ruled(task, wrong.format("the number of samples in the step"), divided_by="realised")
    yield _ruled(task, wrong.format("the rows of the batch, padding included"), divided_by="padded")
    floored = "the number of training samples divided by the steps of an epoch, rounded down"
    yield _ruled(task, wrong.format(floored), divided_by="floored")


def _ruled(task: Task, mistake: str, **rules: Any) -> Alternative:
    return Alternative(mistake, task, CONTRACT_RULES._replace(**rules))


def _changed(task: Task, kind: type[AnyLayer], **fields: object) -> Task:
    """The task, all layers of a kind with other fields."""
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
