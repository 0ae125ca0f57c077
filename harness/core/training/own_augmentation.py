"""Augmentation by the user's own code, called by the harness: every backend gets the same inputs."""

import dataclasses

import numpy as np

from harness.backend_support import feeding
from harness.core.training.draws import stream
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import Task
from harness.tracing.user_code import described, own_callable

#: The rows with which the code is tried, at most.
_TRIED_ROWS = 64


class OwnAugmentation:
    """``augment(batch, rng)``, the user's own code in a task, for the training ``inputs (n, *input)``.

    What it gets depends on ``seed`` and the number of the step, and not on the backend, the precision or the
    call that makes the step: numbers are float32, tokens int64.
    """

    def __init__(self, task: Task, inputs: np.ndarray, seed: int) -> None:
        code = feeding.own_part(task, "augment", own_callable)
        self._augment, self._inputs, self._seed = code, inputs, seed
        self._target = task.own_code.augment if task.own_code else ""
        self._vocabulary = next(iter(task.networks.values())).vocabulary()
        if code is not None:
            self._try_out()

    def _try_out(self) -> None:
        rows = np.arange(min(_TRIED_ROWS, len(self._inputs)))
        first, second = (self._batch(rows, 0) for _ in range(2))
        if not np.array_equal(first, second):
            raise self._refused(
                "returned two results for the same batch and generator; all that it draws must come from rng"
            )

    def added_to(self, steps: Steps, first: int) -> Steps:
        """Return ``steps``, which begin with the step ``first``, with their inputs if there is such code.

        They are held at once, because a call of a backend takes them whole: an array of the type of the
        training inputs, and no larger, because no call goes beyond an epoch.
        """
        if self._augment is None:
            return steps
        augmented = np.empty((*steps.indices.shape, *self._inputs.shape[1:]), self._inputs.dtype)
        for place, rows in enumerate(steps.indices):
            augmented[place] = self._batch(rows, first + place)
        return dataclasses.replace(steps, augmented=augmented)

    def _batch(self, rows: np.ndarray, step: int) -> np.ndarray:
        given = self._inputs[rows]
        if given.dtype.kind == "f":
            given = given.astype(np.float32)
        shape, dtype = given.shape, given.dtype
        assert self._augment is not None  # noqa: S101  for the type checker
        try:
            made = self._augment(given, stream(self._seed, "own augmentation", step))
        except Exception as error:
            raise self._refused(f"raised {described(error)}") from error
        if not isinstance(made, np.ndarray):
            kind = f"{type(made).__module__}.{type(made).__qualname__}".removeprefix("builtins.")
            raise self._refused(f"returned a {kind}; expected a NumPy array of shape {shape}")
        if made.shape != shape:
            raise self._refused(
                f"returned an array of shape {made.shape}; expected {shape}, that of the batch"
            )
        if made.dtype != dtype:
            raise self._refused(
                f"returned an array of {made.dtype}; expected {dtype}, such as by .astype(batch.dtype)"
            )
        if dtype.kind == "f" and not np.isfinite(made).all():
            raise self._refused(f"returned NaN or infinity at step {step + 1}; expected finite numbers")
        if self._vocabulary is not None and not 0 <= made.min() <= made.max() < self._vocabulary:
            raise self._refused(f"returned other tokens than 0 to {self._vocabulary - 1}")
        return made

    def _refused(self, fault: str) -> Unsupported:
        return Unsupported(f"{self._target}, your own augment(batch, rng), {fault}")
