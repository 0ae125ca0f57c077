"""What a program does on a certification case, reduced to digests: the worker's half of a certificate."""

import msgspec
import numpy as np

from harness.layers import Native
from harness.plugins.watched_program import WatchedProgram
from harness.spec.backend import Backend, Plan, Precision, Program, Steps
from harness.spec.data import Samples
from harness.spec.task import Adversarial, Task
from harness.testing.cases import CLOCK_SAMPLES, SEED, Case
from harness.testing.digest import Piece, digest, digests
from harness.testing.losses import Losses
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights


class Observation(msgspec.Struct, frozen=True):
    """The losses of each step, and digests of arrays by their full names.

    ``gradients`` are those of the first step, and ``state`` is what it made of running statistics;
    ``outputs`` are those of each network in evaluation mode after the last step. They are empty where the
    case does not include them. ``weights`` are those after the last step, ``changed_by_predict`` the names of
    those that the outputs changed. Arrays that frameworks do not share are left out, and are the initial ones
    where they enter outputs.
    """

    losses: Losses
    gradients: dict[str, list[Piece]]
    weights: dict[str, list[Piece]]
    outputs: dict[str, list[Piece]]
    state: dict[str, list[Piece]] = {}
    changed_by_predict: list[str] = []


def observe(backend: Backend, mode: str, device: str, threads: int, case: Case) -> Observation:
    """Build the case in float64, train it, and reduce what it did to digests.

    Raises:
        ValueError: the program broke the contract in a way that leaves nothing to compare.
        Unsupported: the backend does not support the case.
    """
    task = case.task
    plan = Plan(task=task, mode=mode, device=device, precision="float64", threads=threads, seed=SEED)
    program = WatchedProgram(backend, plan, case.data())
    start = initial_weights(task, SEED)
    program.load(start)
    order = BatchOrder.of_task(task, case.samples, SEED)
    losses = [losses_of(program, order.steps(0, 1))]
    first = program.weights()
    step = 1
    while step < case.steps:
        count = min(order.run_length(step), case.steps - step)
        losses.append(losses_of(program, order.steps(step, count)))
        step += count
    last, unshared = program.weights(), _unshared(task)
    if unshared:
        last |= {name: start[name] for name in unshared}
        program.load(last)
        last = program.weights()
    outputs = _predict(program, case) if case.outputs else {}
    require_finite("weights()", last)
    require_finite("predict()", outputs)
    gradients, state = {}, {}
    if case.gradient_rate is not None:
        steepest = {name: (start[name] - first[name]) / case.gradient_rate for name in task.parameters()}
        gradients = digests(task, steepest)
        state = digests(task, {name: first[name] for name in task.state() if name not in unshared})
    return Observation(
        finite_losses(np.concatenate(losses)),
        gradients,
        digests(task, {name: array for name, array in last.items() if name not in unshared}),
        {name: digest(array) for name, array in outputs.items()},
        state,
        [name for name, array in program.weights().items() if not np.array_equal(array, last[name])],
    )


def _unshared(task: Task) -> set[str]:
    """The arrays of which each framework keeps a convention of its own."""
    return {
        f"{name}/{place.name}/{array.name}"
        for name, network in task.networks.items()
        for place in network.leaves()
        if isinstance(place.layer, Native)
        for array in place.layer.held
        if not array.shared
    }


def observe_losses(
    backend: Backend, mode: str, device: str, threads: int, case: Case, precision: Precision
) -> Losses:
    """The losses of the case's first full batches in the precision in which a program will be timed.

    Raises:
        Unsupported: the backend does not support the case in this precision.
    """
    task = case.task
    plan = Plan(task=task, mode=mode, device=device, precision=precision, threads=threads, seed=SEED)
    exact = _as_many_as_for_the_clock(case)
    samples = Samples(_narrow(exact.inputs), _narrow(exact.targets))
    program = WatchedProgram(backend, plan, samples)
    program.load(initial_weights(task, SEED))
    order = BatchOrder.of_task(task, case.samples, SEED)
    return finite_losses(losses_of(program, order.steps(0, order.run_length(0), np.float32)))


def _as_many_as_for_the_clock(case: Case) -> Samples:
    """The case's samples and repetitions of them, which no step takes.

    A framework that compiles for the shape of the data can use the same code when the clock is tested.
    """
    samples = case.data()
    if case.task.batch_size is None:  # a step takes all samples
        return samples
    rows = np.arange(CLOCK_SAMPLES) % len(samples)
    return Samples(samples.inputs[rows], samples.targets[rows])


def _narrow(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind == "i" else array.astype(np.float32)


def losses_of(program: Program, steps: Steps) -> np.ndarray:
    """Make steps; their losses in float64, copied once the device has finished."""
    losses = program.train(steps)
    program.synchronize()
    return np.array(losses, np.float64)


def finite_losses(losses: np.ndarray) -> Losses:
    """Losses ``(steps,)`` or ``(steps, 2)`` as JSON can hold them: None for what is not finite."""
    return [[_finite(value) for value in np.atleast_1d(row)] for row in losses]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def require_finite(method: str, arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError, naming the method that returned the arrays, if any number is infinite or a NaN."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{method} returned values for {name} that are not finite")


def _predict(program: Program, case: Case) -> dict[str, np.ndarray]:
    task = case.task
    inputs = case.data().inputs
    if not isinstance(task.objective, Adversarial):
        return {"model": program.predict(inputs)}
    latents = BatchOrder.of_task(task, case.samples, SEED).steps(0, 1).latents
    assert latents is not None  # noqa: S101  an adversarial task's steps have latents
    return {
        "generator": program.predict(latents[0], "generator"),
        "discriminator": program.predict(inputs, "discriminator"),
    }
