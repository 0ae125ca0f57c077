"""Checks that certificates do not cover: leaks between programs, an honest clock, predictions in batches.

Each takes the programs of a backend and a case that passed, and returns the faults it found, a line each.
"""

import numpy as np

from harness.testing.cases import CLOCK_SAMPLES, SEED, Case, case_samples, data_network
from harness.testing.clock import ClockTrial
from harness.testing.clock_words import reason
from harness.testing.timed_program import TimedProgram
from harness.testing.trial_programs import TrialPrograms, first_losses
from harness.training.batches import BatchOrder

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
    """Whether the clock stops before the work is done; a busy machine that hides it is no fault."""
    program, data = programs.build_on(case.task, CLOCK_SAMPLES)
    order = BatchOrder.of_task(case.task, len(data), SEED)
    test = ClockTrial(TimedProgram(program, order), 0.0).carry_out()
    return [reason(test)] if test.outcome == "dishonest" else []


def wrong_rows(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether predict() gives many rows the same outputs as few."""
    program = programs.build(case.task)
    few, network = case_samples(case.task).inputs, data_network(case.task)
    times = 1 + _MANY_ROWS // len(few)
    expected = np.concatenate([program.predict(few, network)] * times)
    if np.allclose(program.predict(np.concatenate([few] * times), network), expected, rtol=_ROUNDING):
        return []
    return [f"predict() of {len(expected)} rows differs from predict() of {len(few)}: look at its batches"]
