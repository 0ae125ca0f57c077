"""A checked program that must leave its data as it is, verified after each call.

This is for certificates, whose data is small. That of a run is in memory that cannot be written; verifying it
takes as long as a step.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from harness.plugins.building import build
from harness.plugins.data_seal import DataSeal, checksum
from harness.plugins.program_contract import CheckedProgram, data_changed, read_only
from harness.spec.backend import Backend, Plan, Steps
from harness.spec.data import Samples

_T = TypeVar("_T")


class WatchedProgram(CheckedProgram):
    """Builds and wraps a program; raises :class:`ContractBroken` for the call that changes data."""

    def __init__(self, backend: Backend, plan: Plan, samples: Samples) -> None:
        """Raises what the backend raises."""
        protected = read_only(samples)
        self._seal = DataSeal({"training": protected})
        super().__init__(build(backend, plan, protected), backend.name, plan)
        self._verify("build()")

    def _verify(self, call: str) -> None:
        if part := self._seal.changed():
            raise data_changed(self._backend, call, part)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._watched("load()", lambda: super(WatchedProgram, self).load(weights))

    def weights(self) -> dict[str, np.ndarray]:
        return self._watched("weights()", super().weights)

    def train(self, steps: Steps) -> np.ndarray:
        call = f"train() of {len(steps.indices)} steps"
        return self._watched(call, lambda: super(WatchedProgram, self).train(steps))

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        call, before = f"predict() of {len(inputs)} inputs by {network}", checksum(inputs)
        outputs = self._watched(call, lambda: super(WatchedProgram, self).predict(inputs, network))
        if checksum(inputs) != before:
            raise data_changed(self._backend, call, "inputs that it was given")
        return outputs

    def synchronize(self) -> None:
        self._watched("synchronize()", super().synchronize)

    def training_state(self) -> dict[str, np.ndarray] | None:
        return self._watched("training_state()", super().training_state)

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._watched("load_training_state()", lambda: super(WatchedProgram, self).load_training_state(state))

    def _watched(self, call: str, work: Callable[[], _T]) -> _T:
        result = work()
        self._verify(call)
        return result
