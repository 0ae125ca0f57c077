"""From a text to the windows of a language model: a token is a character, its place in the alphabet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec import Dataset, Samples
from harness_tasks.datasets.fingerprint import fingerprint
from harness_tasks.windows import CONTEXT

if TYPE_CHECKING:
    import numpy as np

#: Shares of the text, from its start: for training, for validation, and the rest for the test.
TRAINING_SHARE, VALIDATION_SHARE = 0.9, 0.05


def text_dataset(name: str, origin: str, text: str) -> Dataset:
    """The data set of a text: its first 90 % for training, then 5 % for validation and 5 % for the test.

    Windows of 64 characters follow each other without overlap. Inputs are ``(n, 64)`` and targets, the next
    character at each position, ``(n, 64)``, both int64. ``classes`` are the characters of the text, sorted.
    A rest of fewer than 64 characters at the end of a part is left out.
    """
    import numpy as np

    alphabet = sorted(set(text))
    place = {character: number for number, character in enumerate(alphabet)}
    tokens = np.array([place[character] for character in text], np.int64)
    first = int(TRAINING_SHARE * len(tokens))
    second = int((TRAINING_SHARE + VALIDATION_SHARE) * len(tokens))
    train, validation, test = map(_windows, np.split(tokens, [first, second]))
    return Dataset(
        name=name,
        fingerprint=fingerprint(train, test, validation),
        origin=origin,
        classes=tuple(alphabet),
        train=train,
        test=test,
        validation=validation,
    )


def window_counts(characters: int) -> tuple[int, int, int]:
    """The windows for training, validation and test of a text of so many characters."""
    first = int(TRAINING_SHARE * characters)
    second = int((TRAINING_SHARE + VALIDATION_SHARE) * characters)
    train, validation, test = (
        (length - 1) // CONTEXT for length in (first, second - first, characters - second)
    )
    return train, validation, test


def _windows(tokens: np.ndarray) -> Samples:
    count = (len(tokens) - 1) // CONTEXT
    inputs, targets = (
        tokens[start : start + count * CONTEXT].reshape(count, CONTEXT).copy() for start in (0, 1)
    )
    return Samples(inputs, targets)
