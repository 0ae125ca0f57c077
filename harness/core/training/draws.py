"""Reproducible random draws: one independent stream for each purpose, named by a key.

The harness draws uniform doubles alone, from NumPy's Philox through a SeedSequence, so that a later NumPy
cannot change a committed reference (NumPy's NEP 19 keeps bit generators stable, not distributions).
"""

import hashlib

import numpy as np
import numpy.typing as npt


def stream(*key: int | str) -> np.random.Generator:
    """Return the generator of a key; equal for equal keys."""
    # Hashed, because a SeedSequence pads short keys with zeros and so could map two keys to one stream.
    digest = hashlib.sha256(repr(tuple(key)).encode()).digest()
    words = np.frombuffer(digest, "<u4").tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def uniform(shape: tuple[int, ...], *key: int | str) -> npt.NDArray[np.float64]:
    """Draw numbers from [0, 1) of this shape; equal for equal keys."""
    return stream(*key).random(shape)


def permutation(count: int, *key: int | str) -> npt.NDArray[np.int64]:
    """Shuffle the numbers 0 to ``count - 1`` ``(count,)``; equal for equal keys."""
    return np.argsort(uniform((count,), *key), kind="stable").astype(np.int64)


def normal(shape: tuple[int, ...], *key: int | str) -> npt.NDArray[np.float64]:
    """Draw standard normal numbers of this shape, from two uniforms each by Box and Muller (1958)."""
    u = uniform((2, *shape), *key)
    drawn: npt.NDArray[np.float64] = np.sqrt(-2.0 * np.log1p(-u[0])) * np.cos(2.0 * np.pi * u[1])
    return drawn
