"""The losses of one call after the other, and whether later calls change what earlier ones returned."""

import numpy as np

from harness.plugins.program_contract import ContractBroken
from harness.spec.backend import Program, Steps


class LossTape:
    """Trains a program, and copies the losses of each call once the device has finished it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._returned: list[np.ndarray] = []
        self._copies: list[np.ndarray] = []

    def train(self, steps: Steps) -> None:
        """Make these steps and keep their losses."""
        returned = self._program.train(steps)
        self._program.synchronize()
        self._returned.append(returned)
        self._copies.append(np.array(returned, np.float64))

    def losses(self) -> np.ndarray:
        """The losses of all steps so far, ``(steps,)`` or ``(steps, 2)``, in float64.

        Raises:
            ContractBroken: a later call changed the array that an earlier one returned.
        """
        for call, (returned, copy) in enumerate(zip(self._returned, self._copies, strict=True), 1):
            if not np.array_equal(np.asarray(returned, np.float64), copy, equal_nan=True):
                raise ContractBroken(
                    f"the losses that call {call} of train() returned were overwritten by a later call, "
                    "and a copy made in time was not; expected: an array of its own for each call, such as "
                    "a copy of the buffer"
                )
        return np.concatenate(self._copies)
