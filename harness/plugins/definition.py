"""The task that a definition makes of options, found to be whole before anything is built or run."""

import msgspec

from harness.errors import PluginError, UsageError
from harness.plugins.faults import explain
from harness.plugins.output import nothing_on_stdout
from harness.spec.task import Adversarial, Classification, Sgd, Task, TaskDefinition

_PICTURE_AXES = 3  # height, width, channels


def define_task(definition: TaskDefinition, options: msgspec.Struct) -> Task:
    """The task with these options.

    Raises:
        UsageError: the options do not go together.
        PluginError: what ``define`` made is no task that can be trained; says why.
    """
    try:
        with nothing_on_stdout():
            task = definition.define(options)
    except ValueError as error:
        raise UsageError(f"--set: {error}.") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"task {definition.name}: its define() fell: {explain(error)}") from error
    try:
        _check(task, definition.name)
    except Exception as error:
        why = str(error) if isinstance(error, ValueError) else explain(error)
        raise PluginError(f"task {definition.name} cannot be trained: {why}") from error
    return task


def resized(task: Task, batch_size: int | None = None, epochs: int | None = None) -> Task:
    """The task with another batch size or number of epochs, where one is given.

    Raises:
        UsageError: a batch size is given to a task that takes all training data at once.
    """
    if batch_size and task.batch_size is None:
        raise UsageError(
            f"batch size {batch_size}: task {task.name} with these options takes all training data at once "
            "(optimizer=gd); leave the batch size out, or train in batches with optimizer=sgd."
        )
    return msgspec.structs.replace(
        task, batch_size=batch_size or task.batch_size, epochs=epochs or task.epochs
    )


def _check(task: object, name: str) -> None:
    if not isinstance(task, Task):
        raise ValueError(f"its define() gave {type(task).__name__}, where Task is expected")  # noqa: TRY004
    if task.name != name:
        raise ValueError(f"its define() named it {task.name!r}; both must have one name")
    of_adversaries = {"generator", "discriminator"}
    wanted = of_adversaries if isinstance(task.objective, Adversarial) else {"model"}
    if set(task.networks) != wanted:
        raise ValueError(
            f"its networks are named {sorted(task.networks)}, where {sorted(wanted)} is expected"
        )
    for called, network in task.networks.items():
        try:
            network.placed()
        except ValueError as error:
            raise ValueError(f"layers of its network {called} do not fit: {error}") from error
    # It travels to workers as JSON, where a width of 64.0 is no whole number.
    msgspec.json.decode(msgspec.json.encode(task), type=Task)
    _check_numbers(task)
    _check_shapes(task)


def _check_numbers(task: Task) -> None:
    if task.epochs < 1:
        raise ValueError(f"it has {task.epochs} epochs, where at least 1 is expected")
    if task.batch_size is not None and task.batch_size < 1:
        raise ValueError(
            f"its batch size is {task.batch_size}, where at least 1 is expected, or None for all"
        )
    if isinstance(task.optimizer, Sgd) and task.optimizer.nesterov and not task.optimizer.momentum:
        raise ValueError("its optimizer has nesterov and no momentum, where one above 0 is expected")
    if task.augmentation.crop < 0:
        raise ValueError(f"its crop is {task.augmentation.crop}, where at least 0 is expected")


def _check_shapes(task: Task) -> None:
    """Each framework broadcasts or cuts in its own way what does not fit."""
    shapes = {  # a plugin may have written a list
        called: (tuple(one.input_shape), tuple(one.output_shape())) for called, one in task.networks.items()
    }
    expected: list[tuple[str, object, object]]
    match task.objective:
        case Adversarial(latent_size):
            (taken, made), (judged, judgement) = shapes["generator"], shapes["discriminator"]
            expected = [
                ("its generator takes", taken, (latent_size,)),
                ("its discriminator takes", judged, made),
                ("its discriminator gives", judgement, (1,)),
            ]
        case objective:
            judged, outputs = shapes["model"]
            expected = [("the axes that its network model gives number", len(outputs), 1)]
            if isinstance(objective, Classification) and objective.class_weights:
                expected.append(("its class weights number", len(objective.class_weights), outputs[-1]))
    if task.augmentation.flip or task.augmentation.crop:
        expected.append(("the axes of what it augments number", len(judged), _PICTURE_AXES))
    for what, found, right in expected:
        if found != right:
            raise ValueError(f"{what} {found}, where {right} is expected")
