"""Whether the gradients of a program are right: beside exact ones in NumPy, or differences of its outputs."""

import msgspec
import numpy as np

from harness.core.reference.training import NumpyProgram, without_dropout
from harness.core.training.program_scores import current_weights
from harness.spec.backend import Program, Unsupported
from harness.spec.data import Samples
from harness.spec.task import Task
from harness.weights.explain.attributions import Array, Subject

#: Largest error in float64, relative to the largest gradient and output where these are above 1.
TOLERANCE = 1e-9
#: The same where differences are all there is.
DIFFERENCE_TOLERANCE = 1e-5
_STEP = 1e-5


class GradientCheck(msgspec.Struct, frozen=True):
    """The errors of a program's gradients and outputs in float64, by comparison with ``against``."""

    against: str
    gradient_error: float
    output_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether both are within the tolerance; not if one is NaN."""
        return self.gradient_error <= self.tolerance and self.output_error <= self.tolerance


def check_gradients(program: Program, task: Task, inputs: Array, targets: Array) -> GradientCheck:
    """Compare a program in float64 with the harness's own derivatives, on these inputs and outputs.

    Where the harness does not have the network, as for a model of the user's own, the derivative in a random
    direction is compared with a difference of outputs.
    """
    subject = Subject(program, task)
    numbers = subject.numbers(inputs).astype(np.float64)
    gradients, outputs = subject.gradients(numbers, targets)
    try:
        reference = NumpyProgram(without_dropout(task), Samples(np.zeros(0), np.zeros(0)))
    except Unsupported:
        return _compared_with_differences(subject, inputs, targets, gradients, outputs)
    reference.load(current_weights(program))
    exact, right = reference.input_gradients(numbers, targets)
    return GradientCheck("the NumPy reference", _error(gradients, exact), _error(outputs, right), TOLERANCE)


def _compared_with_differences(
    subject: Subject, inputs: Array, targets: Array, gradients: Array, outputs: Array
) -> GradientCheck:
    direction, rows = np.random.default_rng(0).standard_normal(inputs.shape), np.arange(len(inputs))
    at_input, above, below = (
        subject.outputs(inputs + step * direction)[rows, targets] for step in (0.0, _STEP, -_STEP)
    )
    along = (gradients * direction).reshape(len(gradients), -1).sum(axis=1)
    errors = _error(along, (above - below) / (2 * _STEP)), _error(outputs, at_input)
    return GradientCheck("finite differences", *errors, DIFFERENCE_TOLERANCE)


def _error(found: Array, right: Array) -> float:
    """The largest difference, relative to the largest value where that is above 1."""
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    return float(np.abs(found - right).max(initial=0.0)) / scale
