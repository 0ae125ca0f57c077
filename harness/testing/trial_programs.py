"""Programs of certification cases, built in this process for the checks of the conformance kit."""

from dataclasses import dataclass

import numpy as np

from harness.plugins.building import build
from harness.plugins.program_contract import CheckedProgram, read_only
from harness.spec.backend import Backend, Plan, Precision, Program
from harness.spec.data import Samples
from harness.spec.task import Task
from harness.testing.cases import SAMPLES, SEED, case_samples
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights


@dataclass(frozen=True, slots=True)
class TrialPrograms:
    """Builds programs of one backend and mode, by default in float64 on the CPU."""

    backend: Backend
    mode: str
    threads: int
    device: str = "cpu"
    precision: Precision = "float64"

    def build(self, task: Task, seed: int = SEED) -> Program:
        """A program of the task that has loaded the initial weights of all cases.

        ``seed`` affects only the framework's own random numbers. Raises what the backend raises.
        """
        program, _ = self.build_on(task, SAMPLES, seed)
        return program

    def build_on(self, task: Task, samples: int, seed: int = SEED) -> tuple[Program, Samples]:
        """A program on this many samples of the cases, and these samples; as :meth:`build`."""
        plan = Plan(
            task=task,
            mode=self.mode,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            seed=seed,
        )
        data = case_samples(task, samples)
        if self.precision != "float64":
            data = Samples(_single(data.inputs), _single(data.targets))
        program = CheckedProgram(build(self.backend, plan, read_only(data)), self.backend.name, plan)
        program.load(initial_weights(task, SEED))
        return program, data


def _single(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind == "i" else array.astype(np.float32)


def first_losses(program: Program, task: Task) -> np.ndarray:
    """The losses of its first three steps, of which one call makes two; fewer where an epoch has fewer."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    count = min(2, order.run_length(1))  # a task may take all samples in one step
    return np.concatenate([program.train(order.steps(0, 1)), program.train(order.steps(1, count))])
