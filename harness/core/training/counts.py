"""How many samples and steps a training has, which follows from the task and its data."""

from harness.spec.task import Task


def samples_of_epoch(task: Task, samples: int) -> int:
    """Return the number of training samples that an epoch takes."""
    return min(task.samples_per_epoch or samples, samples)


def steps_of_epoch(task: Task, samples: int) -> int:
    """Count the steps of an epoch on ``samples`` training samples; a round of clients is one step."""
    taken = samples_of_epoch(task, samples)
    return -(-taken // (taken if task.federated else task.batch_size or taken))


def steps_of_training(task: Task, samples: int, most: int | None = None) -> int:
    """Count the steps of all epochs of a task on ``samples`` training samples, at most ``most``."""
    steps = task.epochs * steps_of_epoch(task, samples)
    return steps if most is None else min(steps, most)


def samples_of_step(task: Task, samples: int) -> int:
    """Count the samples of a full step; a round of clients sees those of an epoch in each local epoch."""
    taken = samples_of_epoch(task, samples)
    return taken * task.federated.local_epochs if task.federated else task.batch_size or taken
