"""The task that a definition makes of options, found to be whole before anything is built or run."""

import msgspec

from harness.errors import PluginError, UsageError
from harness.faults import explain
from harness.plugin_output import nothing_on_stdout
from harness.spec import Adversarial, Task, TaskDefinition


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
    if task.epochs < 1:
        raise ValueError(f"it has {task.epochs} epochs, where at least 1 is expected")
    if task.batch_size is not None and task.batch_size < 1:
        raise ValueError(
            f"its batch size is {task.batch_size}, where at least 1 is expected, or None for all"
        )
    for called, network in task.networks.items():
        try:
            network.placed()
        except ValueError as error:
            raise ValueError(f"layers of its network {called} do not fit: {error}") from error
        shape = network.output_shape()
        # A picture's axes are ordered otherwise in each framework, and a loss would broadcast them.
        if called != "generator" and len(shape) != 1:
            raise ValueError(f"its network {called} ends in {shape} per sample, where (outputs,) is expected")
    # It travels to workers as JSON, where a width of 64.0 is no whole number.
    msgspec.json.decode(msgspec.json.encode(task), type=Task)
