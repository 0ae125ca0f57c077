"""A plugin's program, with every answer checked against the contract before it is used.

The checks cost microseconds a call, so the timed loop uses it too.
"""

import numbers
import re
from collections.abc import Callable, Mapping

import numpy as np

from harness.errors import HarnessError
from harness.spec.backend import Backend, Plan, Program, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.task import Adversarial

#: The form of a device's name, by which runs are compared and a GPU's counters are found.
_DEVICE = re.compile(r"cpu|(?!cpu|gpu)[a-z]+:\d+ \(.+\)")
#: Bytes of a loss: float32 or float64. Others cannot show whether the work is right.
_LOSS_BYTES = {4, 8}
#: Kinds of dtypes in a training state that can be sent to another process: those of NumPy's own numbers.
_STATE_KINDS = frozenset("biufc")


class ContractBroken(HarnessError):
    """A violation of :mod:`harness.spec` by a plugin; the message names the result and what is expected."""


def read_only(samples: Samples) -> Samples:
    """Return the samples as views that raise an error when they are written to."""
    return Samples(_read_only(samples.inputs), _read_only(samples.targets))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _broken(backend: str, violation: str, right: str) -> ContractBroken:
    return ContractBroken(f"backend {backend} breaks the contract: {violation}; expected: {right}")


def data_changed(backend: str, part: str) -> ContractBroken:
    """Return the error for a program that has changed ``part`` of the data."""
    return _broken(backend, f"its program changed the {part}", "that it copies what it changes")


def checked_environment(reported: object, backend: str) -> dict[str, str]:
    """Return the result of ``environment()`` as plain text."""
    if not isinstance(reported, Mapping):
        raise _broken(backend, f"environment() returned {_kind(reported)}", "a dictionary of text")
    # Versions are often subclasses of str that a strict encoder refuses.
    environment = {str(key): str(value) for key, value in reported.items()}
    engine = environment.get("engine", "")
    if engine not in environment:
        raise _broken(
            backend,
            f"environment() reports {_listed(environment) or 'nothing'}",
            'the name of the engine under "engine", and its version under that name',
        )
    return environment


class UndeclaredLoss(Unsupported):
    """The backend does not declare the loss of a task, or the gradients of single samples that it needs."""


def build(backend: Backend, plan: Plan, data: Samples) -> Program:
    """Build a program by the backend; every program is built here."""
    loss = plan.task.special_loss()
    if loss is not None and loss not in backend.losses:
        raise UndeclaredLoss(f"backend {backend.name} has no loss {loss}")
    if plan.task.privacy is not None and not backend.sample_gradients:
        raise UndeclaredLoss(f"backend {backend.name} has no gradients of single samples, which DP-SGD needs")
    own = plan.task.own_code
    if lacking := [name for name in (own.given if own else ()) if name not in backend.own_code]:
        raise Unsupported(f"backend {backend.name} cannot train with the {lacking[0]} of your own code")
    return backend.build(plan, data)


class CheckedProgram(Program):
    """A wrapper of a backend's program that raises :class:`ContractBroken` for every violation."""

    def __init__(self, program: object, backend: str, plan: Plan) -> None:
        self._backend = backend
        self._task = plan.task
        if not isinstance(program, Program):
            raise self._broken(f"build() returned {type(program).__name__}", "a harness.spec.Program")
        self._program = program
        self.device = self._checked_device(getattr(program, "device", None), plan.device)
        self.device_peak_memory_bytes()  # the run needs it at its end, where a violation costs all of it

    def _checked_device(self, device: object, asked: str) -> str:
        kind = asked.partition(":")[0]
        if not isinstance(device, str) or not _DEVICE.fullmatch(device):
            raise self._broken(
                f"the program's device is {device!r}", "'cpu', or such as 'cuda:0 (NVIDIA H100)'"
            )
        if kind not in {"auto", device.partition(":")[0]}:
            raise self._broken(
                f"{asked} was requested, but the program's device is {device!r}",
                f"a program on {kind}, or Unsupported from build()",
            )
        return device

    def _broken(self, violation: str, right: str) -> ContractBroken:
        return _broken(self._backend, violation, right)

    def _floats(self, call: str, result: object, shape: tuple[int, ...]) -> np.ndarray:
        if not isinstance(result, np.ndarray):
            raise self._broken(f"{call} returned {_kind(result)}", f"a NumPy array of shape {shape}")
        if result.shape != shape:
            raise self._broken(f"{call} returned an array of shape {result.shape}", f"{shape}")
        if result.dtype.kind != "f":
            raise self._broken(f"{call} returned an array of {result.dtype}", "floating-point numbers")
        return result

    def _made(self, call: str) -> None:
        """Verify the data after ``call``, a call of the program; this base class trusts the data."""

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._program.load(weights)
        self._made("load()")

    def weights(self) -> dict[str, np.ndarray]:
        weights = self._program.weights()
        self._made("weights()")
        expected = self._task.weights()
        if missing := expected.keys() - weights.keys():
            raise self._broken(
                f"weights() lacks {_listed(missing)}", "every parameter of the task, and its state"
            )
        if unknown := weights.keys() - expected.keys():
            raise self._broken(f"weights() has {_listed(unknown)}", f"only {_listed(expected)}")
        return {
            name: self._floats(f"weights() for {name}", weights[name], parameter.shape)
            for name, parameter in expected.items()
        }

    def train(self, steps: Steps) -> np.ndarray:
        count = len(steps.indices)
        shape = (count, 2) if isinstance(self._task.objective, Adversarial) else (count,)
        call, result = f"train() of {count} steps", self._program.train(steps)
        self._made(call)
        losses = self._floats(call, result, shape)
        if losses.dtype.itemsize not in _LOSS_BYTES:
            raise self._broken(f"{call} returned losses of {losses.dtype}", "float32 or float64")
        return losses

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        call = f"predict() of {len(inputs)} inputs by {network}"
        outputs = self._program.predict(inputs, network)
        self._made(call)
        shape = (len(inputs), *self._task.networks[network].output_shape())
        return self._floats(call, outputs, shape)

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        try:
            result: object = self._program.input_gradients(inputs, targets, network)
        except Unsupported as error:
            raise Unsupported(f"backend {self._backend} has {error}") from error
        call = f"input_gradients() of {len(inputs)} inputs"
        self._made(call)
        if not isinstance(result, tuple) or len(result) != 2:  # noqa: PLR2004  gradients and outputs
            raise self._broken(f"{call} returned {_kind(result)}", "a tuple of gradients and outputs")
        gradients, outputs = result
        return self._floats(call, gradients, inputs.shape), self._floats(call, outputs, (len(inputs),))

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:
        predict, shape = self._program.predictor(network), self._task.networks[network].output_shape()

        def checked(inputs: np.ndarray) -> np.ndarray:
            return self._floats("predictor()", predict(inputs), (len(inputs), *shape))

        return checked

    def synchronize(self) -> None:
        self._program.synchronize()
        self._made("synchronize()")

    def device_peak_memory_bytes(self) -> int | None:
        peak: object = self._program.device_peak_memory_bytes()
        if peak is None:
            return None
        if not isinstance(peak, numbers.Integral):
            raise self._broken(f"device_peak_memory_bytes() returned {_kind(peak)}", "an int, or None")
        if peak < 0:
            raise self._broken(
                f"device_peak_memory_bytes() returned {peak}", "at least 0, or None if unknown"
            )
        return int(peak)

    def training_state(self) -> dict[str, np.ndarray] | None:
        state: object = self._program.training_state()
        self._made("training_state()")
        if state is None:
            return None
        right = "a dictionary of NumPy arrays, or None"
        if not isinstance(state, dict):
            raise self._broken(f"training_state() returned {_kind(state)}", right)
        for name, array in state.items():
            if not isinstance(name, str):
                raise self._broken(f"training_state() has {_kind(name)} as a key", "text")
            if not isinstance(array, np.ndarray):
                raise self._broken(f"training_state() returned {_kind(array)} for {name}", right)
            if array.dtype.kind not in _STATE_KINDS:
                raise self._broken(
                    f"training_state() returned an array of {array.dtype} for {name}", "numbers"
                )
        return state

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._program.load_training_state({name: _read_only(array) for name, array in state.items()})
        self._made("load_training_state()")


def _kind(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")


def _listed(names: object) -> str:
    shown = sorted(names)  # type: ignore[call-overload]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")  # noqa: PLR2004
