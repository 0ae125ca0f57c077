"""Programs of certification cases, built in this process, as the conformance kit tries them."""

from dataclasses import dataclass

import numpy as np

from harness.plugins.program_contract import CheckedProgram
from harness.spec.backend import Backend, Plan, Program
from harness.spec.task import Task
from harness.testing.cases import SAMPLES, SEED, case_samples
from harness.training.batches import BatchOrder
from harness.training.initial import initial_weights


@dataclass(frozen=True, slots=True)
class TrialPrograms:
    """Makes programs of one backend and mode, in float64 on the CPU."""

    backend: Backend
    mode: str
    threads: int

    def build(self, task: Task, seed: int = SEED) -> Program:
        """A program of the task that has loaded the weights which all start from.

        ``seed`` is for the framework's own random numbers alone. Raises what the backend raises.
        """
        plan = Plan(
            task=task, mode=self.mode, device="cpu", precision="float64", threads=self.threads, seed=seed
        )
        program = CheckedProgram(self.backend.build(plan, case_samples(task)), self.backend.name, plan)
        program.load(initial_weights(task, SEED))
        return program


def first_losses(program: Program, task: Task) -> np.ndarray:
    """The losses of its first three steps, of which two are made by one call; of fewer, if an epoch is."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    two = min(2, order.run_length(1))  # a task may take all samples at once
    return np.concatenate([program.train(order.steps(0, 1)), program.train(order.steps(1, two))])
