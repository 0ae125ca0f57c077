"""What a program needs in order to continue a training, as a file: its weights and its training state."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.spec.backend import Program

_WEIGHTS, _STATE = "weights/", "state/"


def save(program: Program, path: str) -> bool:
    """Write the program's weights and training state to a file; False if it cannot hand out the latter."""
    state = program.training_state()
    arrays = _prefixed(_WEIGHTS, program.weights()) | _prefixed(_STATE, state or {})
    with open(path, "wb") as file:  # noqa: PTH123  numpy would append a suffix to a path
        np.savez(file, allow_pickle=False, **arrays)
    return state is not None


def restore(program: Program, path: str, *, with_state: bool) -> None:
    """Load what :func:`save` wrote into a program of the same plan and data."""
    with np.load(path, allow_pickle=False) as arrays:
        program.load({name: value.astype(np.float64) for name, value in _part(_WEIGHTS, arrays).items()})
        if with_state:
            program.load_training_state(_part(_STATE, arrays))
    program.synchronize()


def save_nearby(path: Path, to: Path, distance: float) -> None:
    """Copy a file that :func:`save` wrote, each weight moved at random by about this share of itself."""
    chance = np.random.default_rng()
    with np.load(path, allow_pickle=False) as arrays:
        moved = {
            name: (value * (1 + distance * chance.standard_normal(value.shape))).astype(value.dtype)
            for name, value in _part(_WEIGHTS, arrays).items()
        }
        content = _prefixed(_WEIGHTS, moved) | _prefixed(_STATE, _part(_STATE, arrays))
    with to.open("wb") as file:
        np.savez(file, allow_pickle=False, **content)


def save_joined(path: Path, other: Path, network: str, to: Path) -> None:
    """Write the weights of a file that :func:`save` wrote, those of ``network`` from another such file."""
    joined = {
        name: others if name.startswith(f"{network}/") else own
        for (name, own), others in zip(weights_in(path).items(), weights_in(other).values(), strict=True)
    }
    with to.open("wb") as file:
        np.savez(file, allow_pickle=False, **_prefixed(_WEIGHTS, joined))


def weights_in(path: Path) -> dict[str, np.ndarray]:
    """The weights of a file that :func:`save` wrote, in float64."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: value.astype(np.float64) for name, value in _part(_WEIGHTS, arrays).items()}


def _prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: value for name, value in arrays.items()}


def _part(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
