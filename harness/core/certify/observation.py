"""Observations of programs on certification cases, reduced to digests: the worker's half of a certificate."""

import dataclasses
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.core.certify.cases import SAMPLES, SEED, Case, case_samples
from harness.core.certify.certificate import Losses
from harness.core.certify.digests import Piece, digest, digests
from harness.core.plugins.programs import CheckedProgram, build, data_changed, read_only
from harness.core.plugins.seal import DataSeal
from harness.core.training import draws
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.core.training.scoring import finite
from harness.layers import Native
from harness.spec.backend import Backend, Plan, Precision, Program, Steps
from harness.spec.data import Samples
from harness.spec.task import Adversarial, Task


class Observation(msgspec.Struct, frozen=True):
    """The losses of each step, and digests of arrays by their full names.

    ``gradients`` are those of the first step, and ``state`` is what it made of running statistics;
    ``outputs`` are those of each network in evaluation mode after the last step. They are empty where the
    case does not include them. ``weights`` are those after the last step, ``changed_by_predict`` the names of
    those that the outputs changed. Arrays that frameworks do not share are left out, and are the initial ones
    where they enter outputs.
    """

    losses: Losses
    gradients: dict[str, list[Piece]] = {}
    weights: dict[str, list[Piece]] = {}
    outputs: dict[str, list[Piece]] = {}
    state: dict[str, list[Piece]] = {}
    changed_by_predict: list[str] = []


def observe(programs: "TrialPrograms", case: Case) -> Observation:
    """Build the case, train it, and reduce its results to digests."""
    task = case.task
    samples = case.data()
    seal = DataSeal({"training": samples})
    program = programs.build_with(task, samples)
    start = initial_weights(task, SEED)
    program.load(start)
    order = BatchOrder.of_task(task, case.samples, SEED)
    losses = [losses_of(program, certified_steps(order, task, 0, 1))]
    first = program.weights()
    for step, count in order.calls(1, case.steps):
        losses.append(losses_of(program, certified_steps(order, task, step, count)))
    last, unshared = program.weights(), _unshared(task)
    if unshared:
        last |= {name: start[name] for name in unshared}
        program.load(last)
        last = program.weights()
    outputs = _predict(program, case) if case.outputs else {}
    if part := seal.changed():
        raise data_changed(programs.backend.name, part)
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


def certified_steps(order: BatchOrder, task: Task, start: int, count: int) -> Steps:
    """Return steps of a case; steps of DP-SGD have noise of the harness, the same for every framework."""
    steps = order.steps(start, count)
    if task.privacy is None:
        return steps
    noise = {
        name: np.stack(
            [draws.normal(array.shape, SEED, "noise", name, start + place) for place in range(count)]
        )
        for name, array in task.parameters().items()
    }
    return dataclasses.replace(steps, noise=noise)


def _unshared(task: Task) -> set[str]:
    """Name the arrays for which each framework keeps a convention of its own."""
    return {
        f"{name}/{place.name}/{array.name}"
        for name, network in task.networks.items()
        for place in network.leaves()
        if isinstance(place.layer, Native)
        for array in place.layer.held
        if not array.shared
    }


def observe_losses(programs: "TrialPrograms", case: Case) -> Losses:
    """Observe the losses of the first full batches in a lower precision, in which programs are timed."""
    task = case.task
    samples = _narrow(case.data())
    program = programs.build_with(task, samples)
    program.load(initial_weights(task, SEED))
    order = BatchOrder.of_task(task, case.samples, SEED)
    return finite_losses(losses_of(program, order.steps(0, order.run_length(0), np.float32)))


def _narrow(samples: Samples) -> Samples:
    """Convert samples to float32; integers are unchanged."""
    arrays = samples.inputs, samples.targets
    return Samples(*(array if array.dtype.kind == "i" else array.astype(np.float32) for array in arrays))


def losses_of(program: Program, steps: Steps) -> np.ndarray:
    """Make steps; return their losses in float64, copied once the device has finished."""
    losses = program.train(steps)
    program.synchronize()
    return np.array(losses, np.float64)


def finite_losses(losses: np.ndarray) -> Losses:
    """Convert losses ``(steps,)`` or ``(steps, 2)`` for JSON: values that are not finite become None."""
    return [[finite(value) for value in np.atleast_1d(row)] for row in losses]


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


@dataclass(frozen=True, slots=True)
class TrialPrograms:
    """Builds programs of one backend and mode, by default in float64 on the CPU."""

    backend: Backend
    mode: str
    threads: int
    device: str = "cpu"
    precision: Precision = "float64"

    def plan(self, task: Task, seed: int = SEED) -> Plan:
        """Return the plan of a program; ``seed`` affects only the framework's own random numbers."""
        return Plan(
            task=task,
            mode=self.mode,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            seed=seed,
        )

    def build_with(self, task: Task, data: Samples, seed: int = SEED) -> Program:
        """Build a program on this data, without loading weights. Raises the backend's errors."""
        plan = self.plan(task, seed)
        return CheckedProgram(build(self.backend, plan, read_only(data)), self.backend.name, plan)

    def build(self, task: Task, seed: int = SEED) -> Program:
        """Build a program of the task and load the initial weights of all cases; as :meth:`build_with`."""
        program, _ = self.build_on(task, SAMPLES, seed)
        return program

    def build_on(self, task: Task, samples: int, seed: int = SEED) -> tuple[Program, Samples]:
        """Build a program on ``samples`` samples of the cases, as :meth:`build`; return the samples too."""
        data = case_samples(task, samples)
        if self.precision != "float64":
            data = _narrow(data)
        program = self.build_with(task, data, seed)
        program.load(initial_weights(task, SEED))
        return program, data


def first_losses(program: Program, task: Task) -> np.ndarray:
    """Return the losses of the first three steps, of which one call makes two; fewer in a shorter epoch."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    count = min(2, order.run_length(1))  # a task may take all samples in one step
    return np.concatenate([program.train(order.steps(0, 1)), program.train(order.steps(1, count))])
