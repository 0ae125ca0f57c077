"""Texts for language models: tinyshakespeare (Karpathy 2015), and the texts of Python's ``help()`` topics.

A token is a character, its place in the alphabet of the text. Python's texts are a stand-in for a text that
must be downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError, HarnessError
from harness.spec import Dataset, DatasetSummary, DataSource, DownloadProgress, Samples, fingerprint
from harness_tasks.datasets.store import (
    PublishedSource,
    data_root,
    no_progress,
    read_up_to,
    replace,
)
from harness_tasks.windows import CONTEXT, VOCABULARY

if TYPE_CHECKING:
    import numpy as np

#: Shares of the text, from its start: for training, for validation, and the rest for the test.
TRAINING_SHARE, VALIDATION_SHARE = 0.9, 0.05


def text_dataset(name: str, origin: str, text: str) -> Dataset:
    """Divide a text into a data set: 90 % for training, then 5 % for validation and 5 % for the test.

    Windows of 64 characters follow each other without overlap. Inputs are ``(n, 64)`` and targets, the next
    character at each position, ``(n, 64)``, both int64. ``classes`` are the characters of the text, sorted. A
    rest of fewer than 64 characters at the end of a part is left out.
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
    """Count the windows for training, validation and test of a text of ``characters``."""
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


URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
CHARACTERS = 1_115_394
ORIGIN = "input.txt of tinyshakespeare (Karpathy 2015), sha256 as published"


class Tinyshakespeare(PublishedSource):
    """1,115,394 characters, 65 of them different, in windows of 64; the file is kept as it is published.

    The first 90 % are for training, as in nanoGPT. Its validation text, the last 10 %, is divided: the first
    half is for validation, the second for the test.
    """

    name = "tinyshakespeare"
    summary = "1.1 million characters of Shakespeare in windows of 64 (Karpathy 2015)"
    importable = f"the file input.txt of {CHARACTERS:,} bytes, under any name"

    @property
    def _file(self) -> Path:
        return data_root() / self.name / "input.txt"

    def is_ready(self) -> bool:
        """Check that the file was fetched or imported; does not read it."""
        return self._file.is_file()

    def summarize(self) -> DatasetSummary:
        """Return the constant counts; the fingerprint is left out, because it takes the arrays."""
        train, validation, test = window_counts(CHARACTERS)
        return DatasetSummary(ORIGIN, {"train": train, "validation": validation, "test": test})

    def load(self) -> Dataset:
        """Load the data set, after verifying the sha256 of its file."""
        try:
            content = read_up_to(self._file, CHARACTERS + 1)
        except FileNotFoundError as error:
            raise DataError(f"{self.name} is not on this machine. {self.remedy}") from error
        except OSError as error:
            raise DataError(f"{self._file} cannot be read: {error}. {self.remedy}") from error
        if (sha256 := hashlib.sha256(content).hexdigest()) != SHA256:
            raise DataError(
                f"{self._file} is damaged: its sha256 is {sha256}, expected {SHA256}. {self.remedy}"
            )
        return text_dataset(self.name, ORIGIN, content.decode("ascii"))

    def fetch(self, progress: DownloadProgress) -> None:
        """Download the file; does nothing if the file is present and undamaged."""
        if not self.is_whole():
            # Pooch writes to another name first, so that the file is complete or absent.
            self.download(URL, f"sha256:{SHA256}", self._folder(), progress)

    def import_from(self, path: Path, progress: DownloadProgress = no_progress) -> Dataset:
        """Import the published file; a present copy is kept until the import has succeeded."""
        try:
            content = read_up_to(path, CHARACTERS + 1)
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error.strerror}); expected: {self.importable}"
            ) from error
        if len(content) > CHARACTERS:
            raise DataError(f"{path} is not {self.name}: it has more than {CHARACTERS:,} bytes")
        if (sha256 := hashlib.sha256(content).hexdigest()) != SHA256:
            raise DataError(
                f"{path} is not {self.name}: its sha256 is {sha256} ({len(content):,} bytes),\n"
                f"expected {SHA256} ({CHARACTERS:,} bytes)"
            )
        self._folder()
        try:
            replace(self._file, lambda file: file.write(content))
        except OSError as error:
            raise self._not_written(error) from error
        return self.load()

    def _folder(self) -> Path:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_written(error) from error
        return self._file.parent

    def _not_written(self, error: OSError) -> HarnessError:
        return HarnessError(f"{self.name} cannot be written to {self._file.parent}: {error}")


#: Replaces every character that is not among the most frequent ones.
OTHER = "\N{REPLACEMENT CHARACTER}"
_MODULE = "pydoc_data.topics"


class Pydoc(DataSource):
    """Reference texts about Python, half a million characters, reduced to 65 different ones.

    The topics follow each other in the order of their names, each after a line end. The 64 most frequent
    characters stay, where equal the first in Unicode; all others become one. Another version of Python has
    other texts, and so another fingerprint: runs on both are not compared.
    """

    name = "pydoc"
    summary = "the texts of Python's help() topics in windows of 64 characters"

    def is_ready(self) -> bool:
        """Check that this Python comes with the texts."""
        try:
            return importlib.util.find_spec(_MODULE) is not None
        except ModuleNotFoundError:
            return False

    def summarize(self) -> DatasetSummary:
        """Derive the counts from the length of the texts; the fingerprint is left out."""
        train, validation, test = window_counts(len(_text()))
        return DatasetSummary(_origin(), {"train": train, "validation": validation, "test": test})

    def load(self) -> Dataset:
        """Load the data set of this version of Python."""
        return text_dataset(self.name, _origin(), reduced(_text()))


def _origin() -> str:
    return f"help() topics of Python {platform.python_version()}; other versions have other texts"


def _text() -> str:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(f"this Python comes without {_MODULE}; install the whole standard library") from error
    return "\n".join(topics[name] for name in sorted(topics))


def reduced(text: str) -> str:
    """Reduce the text to its 64 most frequent characters, and one for all others."""
    ranked = sorted(Counter(text).items(), key=lambda counted: (-counted[1], counted[0]))
    kept = {character for character, _ in ranked[: VOCABULARY - 1]}
    return "".join(character if character in kept else OTHER for character in text)
