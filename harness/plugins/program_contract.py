"""A plugin's program held to the contract: each answer is looked at before anybody works with it.

That costs microseconds a call, so the timed loop goes through it too.
"""

import numbers
import re
from collections.abc import Mapping

import numpy as np

from harness.errors import HarnessError
from harness.spec.backend import Plan, Program, Steps
from harness.spec.data import Samples
from harness.spec.task import Adversarial

#: How a device is written, by which runs are told apart and a GPU's counters are found.
_DEVICE = re.compile(r"cpu|(?!cpu|gpu)[a-z]+:\d+ \(.+\)")


class ContractBroken(HarnessError):
    """A plugin gave what :mod:`harness.spec` does not allow; says which, what, and what is right."""


def read_only(samples: Samples) -> Samples:
    """The same samples, which raise where somebody writes into them."""
    inputs, targets = samples.inputs.view(), samples.targets.view()
    inputs.flags.writeable = targets.flags.writeable = False
    return Samples(inputs, targets)


def _broken(backend: str, what: str, right: str) -> ContractBroken:
    return ContractBroken(f"backend {backend} breaks the contract: {what}; expected: {right}")


def checked_environment(reported: object, backend: str) -> dict[str, str]:
    """What ``environment()`` gave, as plain text.

    Raises:
        ContractBroken: it does not tell the engine and its version, by which runs are told apart.
    """
    if not isinstance(reported, Mapping):
        raise _broken(backend, f"environment() gave {_kind(reported)}", "a dictionary of text")
    # Versions are often subclasses of str that a strict encoder refuses.
    environment = {str(key): str(value) for key, value in reported.items()}
    engine = environment.get("engine", "")
    if engine not in environment:
        raise _broken(
            backend,
            f"environment() tells {_listed(environment) or 'nothing'}",
            'the name of the engine under "engine", and its version under that name',
        )
    return environment


class CheckedProgram(Program):
    """Does what the program of a backend does, and raises :class:`ContractBroken` where that is not right."""

    def __init__(self, program: object, backend: str, plan: Plan) -> None:
        self._backend = backend
        self._task = plan.task
        if not isinstance(program, Program):
            raise self._broken(f"build() gave {type(program).__name__}", "a harness.spec.Program")
        self._program = program
        self.device = self._checked_device(getattr(program, "device", None), plan.device)
        self.device_peak_memory_bytes()  # asked for at the end of a run, where a breach would cost all of it

    def _checked_device(self, device: object, asked: str) -> str:
        kind = asked.partition(":")[0]
        if not isinstance(device, str) or not _DEVICE.fullmatch(device):
            raise self._broken(
                f"the program's device is {device!r}", "'cpu', or such as 'cuda:0 (NVIDIA H100)'"
            )
        if kind not in {"auto", device.partition(":")[0]}:
            raise self._broken(
                f"{asked} was asked for and the program's device is {device!r}",
                f"a program on {kind}, or Unsupported from build()",
            )
        return device

    def _broken(self, what: str, right: str) -> ContractBroken:
        return _broken(self._backend, what, right)

    def _floats(self, what: str, found: object, shape: tuple[int, ...]) -> np.ndarray:
        if not isinstance(found, np.ndarray):
            raise self._broken(f"{what} gave {_kind(found)}", f"a NumPy array of shape {shape}")
        if found.shape != shape:
            raise self._broken(f"{what} gave an array of shape {found.shape}", f"{shape}")
        if found.dtype.kind != "f":
            raise self._broken(f"{what} gave an array of {found.dtype}", "one of floating-point numbers")
        return found

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._program.load(weights)

    def weights(self) -> dict[str, np.ndarray]:
        found = self._program.weights()
        expected = self._task.parameters()
        if lacking := expected.keys() - found.keys():
            raise self._broken(f"weights() leaves out {_listed(lacking)}", "every parameter of the task")
        if unknown := found.keys() - expected.keys():
            raise self._broken(f"weights() has {_listed(unknown)}", f"no other name than {_listed(expected)}")
        return {
            name: self._floats(f"weights() for {name}", found[name], parameter.shape)
            for name, parameter in expected.items()
        }

    def train(self, steps: Steps) -> np.ndarray:
        count = len(steps.indices)
        shape = (count, 2) if isinstance(self._task.objective, Adversarial) else (count,)
        return self._floats(f"train() of {count} steps", self._program.train(steps), shape)

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        outputs = self._program.predict(inputs, network)
        shape = (len(inputs), *self._task.networks[network].output_shape())
        return self._floats(f"predict() of {len(inputs)} inputs by {network}", outputs, shape)

    def synchronize(self) -> None:
        self._program.synchronize()

    def device_peak_memory_bytes(self) -> int | None:
        peak: object = self._program.device_peak_memory_bytes()
        if peak is None:
            return None
        if not isinstance(peak, numbers.Integral):
            raise self._broken(f"device_peak_memory_bytes() gave {_kind(peak)}", "an int, or None")
        if peak < 0:
            raise self._broken(
                f"device_peak_memory_bytes() gave {peak}", "at least 0, or None where not known"
            )
        return int(peak)


def _kind(found: object) -> str:
    return f"a {type(found).__module__}.{type(found).__qualname__}".replace("builtins.", "")


def _listed(names: object) -> str:
    shown = sorted(names)  # type: ignore[call-overload]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")  # noqa: PLR2004
