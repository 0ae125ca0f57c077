"""A check of a program's gradients of inputs: by exact ones in NumPy, or by differences of its outputs."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.reference.training import NumpyProgram, without_dropout
from harness.core.training.program_scores import current_weights
from harness.core.training.scoring import finite
from harness.layers import Embedding
from harness.spec.backend import Program, Unsupported
from harness.spec.data import Samples
from harness.spec.task import Task

Array = npt.NDArray[Any]
#: Largest error in float64, relative to the largest gradient and output where these are above 1.
TOLERANCE = 1e-9
#: The largest error where only differences of outputs are known.
DIFFERENCE_TOLERANCE = 1e-5
_STEP = 1e-5


class Subject:
    """The network ``model`` of a program, as a function of numbers: for tokens, of their embeddings."""

    def __init__(self, program: Program, task: Task) -> None:
        self._program, self.network = program, task.networks["model"]
        first = self.network.placed()[0]
        self._table: Array | None = None
        if isinstance(first.layer, Embedding):
            self._table = current_weights(program)[f"model/{first.name}/table"]

    def numbers(self, inputs: Array) -> Array:
        """Return inputs ``(n, *input)`` as numbers: tokens become the rows of their table, in its type."""
        return inputs if self._table is None else self._table[inputs]

    def gradients(self, numbers: Array, targets: Array) -> tuple[Array, Array]:
        """Return the gradient of output ``targets (n,)`` by each row's numbers, and the output."""
        gradients, outputs = self._program.input_gradients(numbers, targets)
        return gradients.astype(np.float64), outputs.astype(np.float64)

    def outputs(self, inputs: Array) -> Array:
        """Return all outputs ``(n, places)`` in float64, for inputs in the form of the data."""
        return self._program.predict(inputs).reshape(len(inputs), -1).astype(np.float64)


class GradientCheck(msgspec.Struct, frozen=True):
    """The errors of a program's gradients and outputs in float64, by comparison with ``against``.

    An error is None where a number is not finite.
    """

    against: str
    gradient_error: float | None
    output_error: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """True if both errors are finite and within the tolerance."""
        errors = self.gradient_error, self.output_error
        return all(error is not None and error <= self.tolerance for error in errors)


def check_gradients(program: Program, task: Task, inputs: Array, targets: Array) -> GradientCheck:
    """Compare a program's gradients in float64 with the harness's own, for these inputs and outputs.

    If the harness does not know the network, such as a model of the user's own, compare the derivative in a
    random direction with a difference of outputs.
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


def _error(found: Array, right: Array) -> float | None:
    """Return the largest difference, relative to the largest value if that is above 1; None for a NaN."""
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    return finite(float(np.abs(found - right).max(initial=0.0)) / scale)
