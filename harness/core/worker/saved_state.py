"""Saved states, from which a program continues a training, as files: weights and training state."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from harness.spec.backend import Program

_WEIGHTS, _STATE = "weights/", "state/"


def save(program: Program, path: str) -> bool:
    """Write the program's weights and training state to a file; False if it cannot hand out the latter."""
    state = program.training_state()
    _write(Path(path), program.weights(), state or {})
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
        _write(to, moved, _part(_STATE, arrays))


def save_joined(path: Path, other: Path, network: str, to: Path) -> None:
    """Write the weights of a file that :func:`save` wrote, those of ``network`` from another such file."""
    joined = {
        name: others if name.startswith(f"{network}/") else own
        for (name, own), others in zip(weights_in(path).items(), weights_in(other).values(), strict=True)
    }
    _write(to, joined, {})


def weights_in(path: Path) -> dict[str, np.ndarray]:
    """Read the weights of a file that :func:`save` wrote, in float64."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: value.astype(np.float64) for name, value in _part(_WEIGHTS, arrays).items()}


def _write(path: Path, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> None:
    parts = {_WEIGHTS: weights, _STATE: state}
    arrays = {prefix + name: array for prefix, part in parts.items() for name, array in part.items()}
    with path.open("wb") as file:  # NumPy would append a suffix to a path
        np.savez(file, allow_pickle=False, **arrays)


def _part(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
