"""The task that a definition makes of options, validated before anything is built or run."""

import math

import msgspec

from harness.core.machine.encoding import recorded
from harness.core.plugins.faults import explain, message_of, nothing_on_stdout
from harness.errors import PluginError, UsageError
from harness.layers import BatchNorm, Dropout, Native, Shape
from harness.spec.schedules import Schedule, StepDecay
from harness.spec.task import (
    Adversarial,
    BinaryClassification,
    Classification,
    Federated,
    Objective,
    Regression,
    Sgd,
    Task,
    TaskDefinition,
)

_PICTURE_AXES = 3  # height, width, channels


def define_task(definition: TaskDefinition, options: msgspec.Struct) -> Task:
    """Make the task with these options."""
    try:
        with nothing_on_stdout():
            task = definition.define(options)
    except ValueError as error:
        raise UsageError(f"--set: {message_of(error)}.") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"task {definition.name}: define() raised {explain(error)}") from error
    try:
        task = _checked(task, definition.name)
    except Exception as error:
        why = message_of(error) if isinstance(error, ValueError) else explain(error)
        raise PluginError(f"task {definition.name} cannot be trained: {why}") from error
    if task.privacy is not None and (reason := _not_private(task)):
        raise UsageError(f"task {definition.name}: {reason}.")
    return task


def resized(task: Task, batch_size: int | None = None, epochs: int | None = None) -> Task:
    """Return the task with another batch size or number of epochs, where given."""
    if batch_size and task.batch_size is None:
        raise UsageError(
            f"batch size {batch_size}: task {task.name} with these options takes all training data at once "
            "(optimizer=gd); omit the batch size, or use optimizer=sgd to train in batches."
        )
    return msgspec.structs.replace(
        task, batch_size=batch_size or task.batch_size, epochs=epochs or task.epochs
    )


def _checked(task: object, name: str) -> Task:
    """Return the task as its record holds it."""
    if not isinstance(task, Task):
        raise ValueError(f"define() returned {type(task).__name__}; expected Task")  # noqa: TRY004
    if task.name != name:
        raise ValueError(f"define() named it {task.name!r}; both names must be equal")
    adversaries = {"generator", "discriminator"}
    expected = adversaries if isinstance(task.objective, Adversarial) else {"model"}
    if set(task.networks) != expected:
        raise ValueError(f"its networks are named {sorted(task.networks)}; expected {sorted(expected)}")
    for network_name, network in task.networks.items():
        try:
            network.placed()
        except ValueError as error:
            raise ValueError(f"layers of its network {network_name} do not fit: {error}") from error
        if isinstance(task.objective, Adversarial) and network.state():
            raise ValueError(f"its network {network_name} holds state, which adversarial tasks do not define")
    # Workers receive it as JSON, where a width of 64.0 is not an integer.
    task = recorded(task, Task)
    _check_numbers(task)
    _check_shapes(task)
    return task


def _check_numbers(task: Task) -> None:
    if task.epochs < 1:
        raise ValueError(f"it has {task.epochs} epochs; expected at least 1")
    if task.batch_size is not None and task.batch_size < 1:
        raise ValueError(f"its batch size is {task.batch_size}; expected at least 1, or None for all samples")
    if isinstance(task.optimizer, Sgd) and task.optimizer.nesterov and not task.optimizer.momentum:
        raise ValueError("its optimizer has nesterov without momentum; expected a momentum above 0")
    if task.augmentation.crop < 0:
        raise ValueError(f"its crop is {task.augmentation.crop}; expected at least 0")
    if task.clip_norm < 0:
        raise ValueError(f"its clip_norm is {task.clip_norm}; expected a norm above 0, or 0 for no clipping")
    if task.samples_per_epoch is not None and task.samples_per_epoch < 1:
        raise ValueError(f"it has {task.samples_per_epoch} samples per epoch; expected at least 1, or None")
    _check_smoothing(task)
    _check_privacy(task)
    _check_schedule(task.schedule)
    per_sample = isinstance(task.objective, Classification | BinaryClassification)
    if task.imbalance is not None and (task.predicts_positions() or not per_sample):
        raise ValueError("it has an imbalance, which needs one class for each sample")
    if task.federated is not None:
        _check_federated(task, task.federated, one_class=per_sample and not task.predicts_positions())


def _check_federated(task: Task, federated: Federated, *, one_class: bool) -> None:
    """Refuse a task for which averaging over clients is not defined."""
    if federated.clients < 1 or federated.local_epochs < 1 or federated.dirichlet < 0:
        raise ValueError("its clients and local epochs must be at least 1, and its dirichlet at least 0")
    if len(task.networks) > 1:
        raise ValueError("it has clients, and federated averaging of two adversaries is not defined")
    if federated.dirichlet and not one_class:
        raise ValueError("it has a Dirichlet split, which needs one class for each sample; use dirichlet=0")
    layers = (place.layer for network in task.networks.values() for place in network.leaves())
    if any(isinstance(layer, Dropout) for layer in layers):
        raise ValueError(
            "it has clients and dropout, whose masks would repeat in each round, because every client starts "
            "its optimizer and random numbers anew; use dropout=0"
        )


def _check_smoothing(task: Task) -> None:
    smoothing, special = getattr(task.objective, "label_smoothing", 0.0), task.special_loss()
    if not 0 <= smoothing < 1:
        raise ValueError(f"its label smoothing is {smoothing}; expected at least 0 and below 1")
    if smoothing and special:
        raise ValueError(f"its loss {special} has no label smoothing; expected 0, or cross_entropy")


def _check_privacy(task: Task) -> None:
    privacy = task.privacy
    if privacy is None:
        return
    if not (math.isfinite(privacy.noise) and privacy.noise >= 0):
        raise ValueError(f"its noise multiplier is {privacy.noise}; expected at least 0")
    if not (math.isfinite(privacy.clip) and privacy.clip > 0) or not 0 < privacy.delta < 1:
        raise ValueError("its privacy needs a clip above 0 and a delta between 0 and 1")
    if privacy.canaries < 0:
        raise ValueError(f"its privacy has {privacy.canaries} canaries; expected at least 0")


def _not_private(task: Task) -> str:
    """Return the reason why a task cannot be trained by DP-SGD; empty if it can."""
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    kinds = {type(layer) for layer in layers}
    rebalance = "none" if task.imbalance is None else task.imbalance.rebalance
    reasons = {
        "DP-SGD is for classification, whose loss is a mean over samples": not isinstance(
            task.objective, Classification | BinaryClassification
        ),
        "DP-SGD samples its batches, and this task takes all training samples at once": (
            task.batch_size is None
        ),
        (
            "DP-SGD clips the gradient of each sample, and BatchNorm computes it from the whole batch; use "
            "GroupNorm in its place, as resnet does with normalization=group"
        ): BatchNorm in kinds,
        "DP-SGD is not for models of the user's own, whose layers may mix the samples of a batch": (
            Native in kinds
        ),
        "DP-SGD and federated averaging together have no epsilon here; use clients=0, or no dp_clip": (
            task.federated is not None
        ),
        (
            f"rebalance={rebalance} uses the classes of all training samples, which DP-SGD does not protect; "
            "use rebalance=none"
        ): rebalance != "none",
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _check_schedule(schedule: Schedule) -> None:
    if schedule.warmup_steps < 0:
        raise ValueError(f"its schedule has {schedule.warmup_steps} warm-up steps; expected at least 0")
    if isinstance(schedule, StepDecay) and not all(0 < place < 1 for place in schedule.milestones):
        raise ValueError(
            f"its schedule has milestones {schedule.milestones}; expected shares of the training, above 0 "
            "and below 1"
        )


def _check_shapes(task: Task) -> None:
    """Refuse mismatched shapes, which each framework would broadcast or cut in its own way."""
    shapes = {  # a plugin may have written a list
        name: (tuple(network.input_shape), tuple(network.output_shape()))
        for name, network in task.networks.items()
    }
    expected: list[tuple[str, object, object]]
    match task.objective:
        case Adversarial(latent_size):
            (latents, pictures), (data, logits) = shapes["generator"], shapes["discriminator"]
            expected = [
                ("the input shape of its generator is", latents, (latent_size,)),
                ("the input shape of its discriminator is", data, pictures),
                ("the output shape of its discriminator is", logits, (1,)),
            ]
        case objective:
            data, outputs = shapes["model"]
            expected = _expected_outputs(objective, outputs)
    if task.augmentation.flip or task.augmentation.crop:
        expected.append(("the number of axes of the inputs that it augments is", len(data), _PICTURE_AXES))
    for quantity, value, right in expected:
        if value != right:
            raise ValueError(f"{quantity} {value}; expected {right}")


def _expected_outputs(objective: Objective, outputs: Shape) -> list[tuple[str, object, object]]:
    """Return the demands on the output shape of the network ``model``: quantity, value, right value."""
    expected: list[tuple[str, object, object]] = []
    classes = outputs[-1]
    match objective:
        case BinaryClassification():
            expected.append(("the output shape of its network model is", outputs, (1,)))
            classes = 2
        case Regression():
            expected.append(("the number of output axes of its network model is", len(outputs), 1))
    weights = getattr(objective, "class_weights", ())
    return [*expected, ("the number of its class weights is", len(weights), classes)] if weights else expected
