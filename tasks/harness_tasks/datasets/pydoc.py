"""The texts of Python's own ``help()`` topics: a stand-in for a text that must be downloaded."""

from __future__ import annotations

import importlib.util
import platform
from collections import Counter

from harness.errors import DataError
from harness.spec import Dataset, DatasetSummary, DataSource
from harness_tasks.datasets.texts import text_dataset, window_counts
from harness_tasks.windows import VOCABULARY

#: Stands for every character that is not among the most frequent ones.
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
        """Whether this Python comes with the texts."""
        try:
            return importlib.util.find_spec(_MODULE) is not None
        except ModuleNotFoundError:
            return False

    def summarize(self) -> DatasetSummary:
        """The counts follow from the length of the texts; the fingerprint is left out.

        Raises:
            DataError: as :meth:`load`.
        """
        train, validation, test = window_counts(len(_text()))
        return DatasetSummary(_origin(), {"train": train, "validation": validation, "test": test})

    def load(self) -> Dataset:
        """The data set of this version of Python.

        Raises:
            DataError: this Python comes without the texts.
        """
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
    """The text with its 64 most frequent characters, and one for all others."""
    ranked = sorted(Counter(text).items(), key=lambda counted: (-counted[1], counted[0]))
    kept = {character for character, _ in ranked[: VOCABULARY - 1]}
    return "".join(character if character in kept else OTHER for character in text)
