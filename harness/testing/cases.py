"""What a backend is certified on: small seeded programs of a task, one for each kind of training rule."""

import msgspec
import numpy as np

from harness.layers import MaxPool2D, Native, PositionEmbedding
from harness.network import Network
from harness.spec.contract import beyond_first_contract
from harness.spec.data import Samples
from harness.spec.schedules import ConstantRate
from harness.spec.task import (
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Regression,
    Task,
    TaskDefinition,
)
from harness.testing.case_networks import without_dropout
from harness.testing.case_rules import SCHEDULE_CASE, WARMUP_STEPS, default_task, plain_task, tasks_by_rule
from harness.training import draws

#: An epoch is three full batches, in some cases followed by a short one. Two epochs are trained.
FULL_SAMPLES = 24
SAMPLES = 27
BATCH_SIZE = 8
#: Of cases whose references were made before there was a schedule or state: updates repeat themselves after
#: the first step of the second epoch.
STEPS = 8
#: Of all others, so that a schedule has room, and running statistics move away from where they start.
MANY_STEPS = 24
SEED = 20
#: Samples of a case whose clock is tested: 128 steps an epoch, so that calls are as long as those of a run.
CLOCK_SAMPLES = 128 * BATCH_SIZE

#: The case that every task has. Plain gradient descent shows the gradients: what a step subtracts.
_GRADIENT_CASE = "sgd"
#: The case of networks that pool. In pictures of flat squares most windows hold equal values, as black and
#: white areas of real pictures do, and only one of the values may get the gradient. The squares are large
#: enough to leave such windows after two convolutions and poolings. Which of the equal values gets the
#: gradient does not show, because they all see the same inputs.
_POOLING_CASE = "ties in pooling"
_FLAT_SQUARE = 16
#: The case of networks with positions: a sequence of half the length.
_SHORTER_CASE = "shorter sequence"
_WEIGHTED_CASE = "class weights"
_SMOOTHED_CASE = "class weights, label smoothing"
#: Cases whose last batch is of one sample. References of the first tasks were made with three.
_BATCH_OF_ONE_CASES = {_SHORTER_CASE, _SMOOTHED_CASE}
_SAMPLES_LEAVING_ONE = 25
_SMOOTHING = 0.1
#: The cases of a model of the user's own, whose steps may take seconds. They show what depends on the model:
#: its gradients and state, and which of its arrays are penalised and decayed. The other rules of training are
#: the backend's, and are certified on other tasks.
_NATIVE_CASES = {_GRADIENT_CASE, "default", "nesterov, l2", "adam, weight decay"}
#: The width of networks that make hundreds of steps.
_NARROW = 0.25
_PICTURE_AXES = 3
#: Cases with a short last batch. Only these, because compilers take seconds for each shape, and the effect
#: of a short batch on the loss does not depend on the optimizer.
SHORT_BATCH_CASES = {_GRADIENT_CASE, _WEIGHTED_CASE, _SMOOTHED_CASE, _SHORTER_CASE}


class Case(msgspec.Struct, frozen=True):
    """One program to certify: its name, its task, its number of samples, and what is observed.

    ``gradient_rate``, the learning rate of plain gradient descent, asks for the gradients of the first step;
    ``outputs`` for the outputs of each network in evaluation mode. ``flat_square`` makes pictures of squares
    with this many pixels a side, each square of one value per channel (unset: not part of the hash).
    ``length`` is the number of steps to train (unset: :data:`STEPS`).
    """

    name: str
    task: Task
    samples: int = FULL_SAMPLES
    gradient_rate: float | None = None
    outputs: bool = False
    flat_square: int | msgspec.UnsetType = msgspec.UNSET
    length: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def steps(self) -> int:
        """The number of training steps."""
        return STEPS if self.length is msgspec.UNSET else self.length

    def data(self) -> Samples:
        """The training data; see :func:`case_samples`."""
        samples = case_samples(self.task, self.samples)
        if self.flat_square is msgspec.UNSET:
            return samples
        height, width = samples.inputs.shape[1:3]
        corners = samples.inputs[:, :: self.flat_square, :: self.flat_square]
        flat = corners.repeat(self.flat_square, axis=1).repeat(self.flat_square, axis=2)
        return Samples(flat[:, :height, :width], samples.targets)


def cases(definition: TaskDefinition) -> list[Case]:
    """The cases of a task, in a fixed order.

    Raises:
        HarnessError: ``define`` makes no valid task of the default options.
    """
    plain = plain_task(definition)
    tasks = {_GRADIENT_CASE: plain, "default": default_task(definition)}
    tasks |= tasks_by_rule(definition) | _by_objective(plain)
    network = plain.networks[data_network(plain)]
    if _pools_pictures(network):
        tasks[_POOLING_CASE] = plain
    if any(isinstance(place.layer, PositionEmbedding) for place in network.leaves()):
        shorter = msgspec.structs.replace(network, input_shape=(-(-network.input_shape[0] // 2),))
        tasks[_SHORTER_CASE] = msgspec.structs.replace(plain, networks={"model": shorter})
    if any(isinstance(place.layer, Native) for place in network.leaves()):
        tasks = {name: task for name, task in tasks.items() if name in _NATIVE_CASES}
    many = beyond_first_contract(plain) is not None
    return [_case(name, task, MANY_STEPS if many else STEPS) for name, task in tasks.items()]


def _by_objective(plain: Task) -> dict[str, Task]:
    """The task with class weights, and with smoothed labels where the first contract had no such task."""
    objective: Classification | BinaryClassification
    match plain.objective:
        case Classification():
            classes = plain.networks["model"].output_shape()[-1]
            weights = tuple(0.5 + 1.5 * label / classes for label in range(classes))
            name, objective = _WEIGHTED_CASE, Classification(weights)
            if beyond_first_contract(plain):
                name, objective = _SMOOTHED_CASE, Classification(weights, _SMOOTHING)
        case BinaryClassification():
            name, objective = _WEIGHTED_CASE, BinaryClassification((0.5, 1.25))
        case _:
            return {}
    return {name: msgspec.structs.replace(plain, objective=objective)}


def _case(name: str, task: Task, steps: int) -> Case:
    samples = SAMPLES if name in SHORT_BATCH_CASES else FULL_SAMPLES
    if name in _BATCH_OF_ONE_CASES or (name == _WEIGHTED_CASE and beyond_first_contract(task)):
        samples = _SAMPLES_LEAVING_ONE
    if name == SCHEDULE_CASE:
        steps = MANY_STEPS
    rate = task.optimizer.learning_rate if name in {_GRADIENT_CASE, _POOLING_CASE, _SHORTER_CASE} else None
    # Outputs in evaluation mode depend on the network alone, unless a backend augments there too.
    outputs = name in {_GRADIENT_CASE, _SHORTER_CASE} or task.augmentation != Augmentation()
    flat_square = _FLAT_SQUARE if name == _POOLING_CASE else msgspec.UNSET
    length = steps if steps != STEPS else msgspec.UNSET
    return Case(name, _small(task, samples, steps), samples, rate, outputs, flat_square, length)


def _pools_pictures(network: Network) -> bool:
    pools = any(isinstance(place.layer, MaxPool2D) for place in network.leaves())
    return pools and len(network.input_shape) == _PICTURE_AXES


def _small(task: Task, samples: int, steps: int) -> Task:
    """The task with a small batch, and without dropout: frameworks cannot share random bits.

    The course of a schedule lies within the case.
    """
    batch_size = None if task.batch_size is None else BATCH_SIZE
    task = msgspec.structs.replace(task, networks=without_dropout(task), batch_size=batch_size)
    if task.schedule == ConstantRate():
        return task
    warmup = min(WARMUP_STEPS, task.schedule.warmup_steps)
    schedule = msgspec.structs.replace(task.schedule, warmup_steps=warmup)
    return msgspec.structs.replace(
        task, schedule=schedule, epochs=steps // -(-samples // (batch_size or samples))
    )


def narrow_networks(definition: TaskDefinition) -> dict[str, Network]:
    """The task's networks without dropout, at a quarter of their width where it declares such an option."""
    narrow = (
        definition
        if "width" not in definition.options.__struct_fields__
        else msgspec.structs.replace(definition, certified=dict(definition.certified) | {"width": _NARROW})
    )
    return without_dropout(plain_task(narrow))


def case_samples(task: Task, count: int = SAMPLES) -> Samples:
    """Seeded float64 inputs ``(count, *input)`` in [0, 1), or tokens, and targets that fit the objective."""
    network = task.networks[data_network(task)]
    inputs = draws.uniform((count, *network.input_shape), SEED, "parity inputs")
    if vocabulary := network.vocabulary():
        inputs = (inputs * vocabulary).astype(np.int64)
    match task.objective:
        case Regression():
            return Samples(inputs, draws.normal((count, *network.output_shape()), SEED, "parity targets"))
        case Classification():
            *positions, classes = network.output_shape()
            drawn = draws.uniform((count, *positions), SEED, "parity targets") * classes
            return Samples(inputs, drawn.astype(np.int64))
        case BinaryClassification():
            drawn = draws.uniform((count,), SEED, "parity targets") * 2
            return Samples(inputs, drawn.astype(np.int64))
        case Adversarial():
            return Samples(inputs, np.zeros(count, np.int64))


def data_network(task: Task) -> str:
    """The name of the network that sees the data."""
    return "discriminator" if isinstance(task.objective, Adversarial) else "model"
