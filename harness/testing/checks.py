"""Checks of a backend beyond those of a certificate: leaks, predictions in batches, training states.

Each check takes the programs of a backend and a case that passed, and returns a line for each fault.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from harness.core.certify.cases import SAMPLES, SEED, STEPS, Case, case_samples, data_network
from harness.core.certify.clients import allows_clients, client_tests
from harness.core.certify.dropout import dropout_tests, mask_tests, with_dropout
from harness.core.certify.input_gradients import check_gradients
from harness.core.certify.noise import noise_tests
from harness.core.certify.observation import TrialPrograms, first_losses, losses_of
from harness.core.certify.parity import TOLERANCE
from harness.core.documents.numbers import deviation
from harness.core.training.batches import BatchOrder
from harness.spec.backend import Program, Unsupported
from harness.spec.task import Task

_ROUNDING = 1e-6
#: The step before which a training state is saved, the first of the second epoch.
_SAVED_AT = STEPS // 2
#: More rows than the batches in which most backends predict.
_MANY_ROWS = 1000


def leak(programs: TrialPrograms, case: Case) -> list[str]:
    """Check that a program trains as it does alone after another program was trained in the process."""
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


def wrong_rows(programs: TrialPrograms, case: Case) -> list[str]:
    """Check that predict() gives many rows the same outputs as few."""
    program = programs.build(case.task)
    few, network = case_samples(case.task).inputs, data_network(case.task)
    times = 1 + _MANY_ROWS // len(few)
    expected = np.concatenate([program.predict(few, network)] * times)
    if np.allclose(program.predict(np.concatenate([few] * times), network), expected, rtol=_ROUNDING):
        return []
    return [f"predict() of {len(expected)} rows differs from predict() of {len(few)}: look at its batches"]


def wrong_gradients(programs: TrialPrograms, case: Case) -> list[str]:
    """Check that gradients by the inputs, if a program offers them, are those of the reference."""
    if "model" not in case.task.networks:
        return []
    program, inputs = programs.build(case.task), case_samples(case.task).inputs
    outputs = math.prod(case.task.networks["model"].output_shape())
    try:
        check = check_gradients(program, case.task, inputs, np.arange(len(inputs)) % outputs)
    except Unsupported:
        return []
    if check.passed:
        return []
    return [
        (
            f"input_gradients() differs from {check.against}: gradients by "
            f"{deviation(check.gradient_error)}, outputs by {deviation(check.output_error)}; it "
            "differentiates one output of each row, in evaluation mode"
        )
    ]


def faulty_state(programs: TrialPrograms, cases: Sequence[Case]) -> list[str]:
    """Check that a second program continues from a training state, with each optimizer and with dropout.

    Programs without a training state are not tested.
    """
    plain, *_ = cases
    optimizers = [case.task.optimizer for case in cases]
    kept = {type(optimizer): optimizer for optimizer in optimizers if optimizer.slots}
    tasks = [msgspec.structs.replace(plain.task, optimizer=optimizer) for optimizer in kept.values()]
    faults = (_state_fault(programs, task) for task in tasks or [plain.task])
    first = next(filter(None, faults), "")  # the next ones would often be the same
    return [first] if first else []


def _state_fault(programs: TrialPrograms, task: Task) -> str:
    """Return the first fault, with dropout or, if dropout is declined or has no state, without."""
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    for variant in (with_dropout(task), task):
        try:
            program = programs.build(variant)
        except Unsupported:
            continue
        for start, count in ((0, 1), *order.calls(1, _SAVED_AT)):
            program.train(order.steps(start, count))
        if (state := program.training_state()) is not None:
            return _continued_fault(program, state, functools.partial(programs.build, variant), order)
    return ""


def _continued_fault(
    first: Program, state: Mapping[str, np.ndarray], second: Callable[[], Program], order: BatchOrder
) -> str:
    """Return how the second program goes on otherwise from a state of the first one; empty if it does not.

    ``second`` is called when the first program has finished: building a program may set a generator that both
    programs use.
    """
    weights = {name: array.astype(np.float64) for name, array in first.weights().items()}
    copies = {name: array.copy() for name, array in state.items()}
    calls = [(_SAVED_AT, 1), *order.calls(_SAVED_AT + 1, STEPS)]
    expected = _losses(first, order, calls)
    for name, array in copies.items():
        if array.tobytes() != state[name].tobytes():
            return f"training_state() returns memory that later steps change: {name}; copy it"
    loaded = second()
    loaded.load(weights)
    loaded.load_training_state(copies)
    observed = _losses(loaded, order, calls)
    apart = np.abs(observed - expected) > TOLERANCE * np.abs(expected)
    if not apart.any():
        return ""
    step = int(np.argmax(apart.reshape(len(apart), -1).any(axis=1)))
    return (
        "a second program that loads the weights and the training state does not continue as the first: the "
        f"loss of its step {step + 1} is {observed[step]} instead of {expected[step]}; look for what updates "
        "or dropout depend on (slots of the optimizer, a step count, a generator) and the state lacks"
    )


def _losses(program: Program, order: BatchOrder, calls: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.concatenate([losses_of(program, order.steps(start, count)) for start, count in calls])


def wrong_noise(programs: TrialPrograms, cases: Sequence[Case]) -> list[str]:
    """Check the noise of DP-SGD, if the task and the backend have it."""
    private = next((case for case in cases if case.task.privacy is not None), None)
    if private is None or not programs.backend.sample_gradients:
        return []
    try:
        return noise_tests(programs, private).faults
    except Unsupported:  # of this mode, or for these layers
        return []


def wrong_dropout(programs: TrialPrograms, case: Case) -> list[str]:
    """Check dropout; in a network with native layers, only the masks of the other layers."""
    tested = dropout_tests(programs, case)
    return tested.faults if tested.complete else mask_tests(programs, case).faults


def wrong_clients(programs: TrialPrograms, case: Case) -> list[str]:
    """Check the averages of clients, if the task can have clients."""
    return client_tests(programs, case) if allows_clients(case.task) else []
