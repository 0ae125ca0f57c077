"""Checks that certificates do not cover: leaks between programs, an honest clock, predictions in batches.

Each takes the programs of a backend and a case that passed, and returns the faults it found, a line each.
"""

import time

import numpy as np

from harness.testing.cases import SAMPLES, SEED, Case, case_samples, data_network
from harness.testing.trial_programs import TrialPrograms, first_losses
from harness.training.batches import BatchOrder

#: If reading the weights after synchronize() takes this share of the training itself, work was unfinished.
_UNFINISHED_SHARE = 0.3
_CLOCK_STEPS = 30
_ROUNDING = 1e-6
#: More rows than the batches in which most backends predict.
_MANY_ROWS = 1000


def leak(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether the training of one program changes the next: two trained in turn must each be as alone."""
    task = case.task
    alone = first_losses(programs.build(task), task)
    first, second = programs.build(task), programs.build(task)
    first_losses(first, task)
    beside = first_losses(second, task)
    if np.allclose(alone, beside, rtol=1e-9, atol=0):
        return []
    return [
        (
            "training state leaks between programs: the losses of a program change when another one was "
            "trained in the same process"
        )
    ]


def dishonest_clock(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether work continues after synchronize(): then reading the weights has to wait for it."""
    program = programs.build(case.task)
    order = BatchOrder.of_task(case.task, SAMPLES, SEED)
    for step in range(2):
        program.train(order.steps(step, 1))
    program.weights()  # its first call may compile, which is not work of the device
    program.synchronize()
    start = time.perf_counter()
    for _ in range(_CLOCK_STEPS):
        program.train(order.steps(0, 1))
    program.synchronize()
    trained = time.perf_counter()
    program.weights()
    waited = time.perf_counter()
    program.weights()
    read = time.perf_counter()
    work = (waited - start) - (read - waited)
    late = (waited - trained) - (read - waited)
    if late < _UNFINISHED_SHARE * work:
        return []
    return [
        (
            f"the clock does not wait for the device: {late / work:.0%} of the work of {_CLOCK_STEPS} steps "
            "was unfinished after synchronize()"
        )
    ]


def wrong_rows(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether predict() gives many rows the same outputs as few."""
    program = programs.build(case.task)
    few, network = case_samples(case.task).inputs, data_network(case.task)
    times = 1 + _MANY_ROWS // len(few)
    expected = np.concatenate([program.predict(few, network)] * times)
    if np.allclose(program.predict(np.concatenate([few] * times), network), expected, rtol=_ROUNDING):
        return []
    return [f"predict() of {len(expected)} rows differs from predict() of {len(few)}: look at its batches"]
