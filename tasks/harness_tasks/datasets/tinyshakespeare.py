"""Tinyshakespeare (Karpathy 2015): 40,000 lines of Shakespeare, from the internet or from the user's file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.errors import DataError, HarnessError
from harness.spec import Dataset, DatasetSummary, DataSource, DownloadProgress
from harness_tasks.datasets.files import read_up_to, replace
from harness_tasks.datasets.store import data_root
from harness_tasks.datasets.texts import text_dataset, window_counts

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
CHARACTERS = 1_115_394
ORIGIN = "input.txt of tinyshakespeare (Karpathy 2015), sha256 as published"


def _quiet(what: str, done: int, total: int) -> None:
    pass


class Tinyshakespeare(DataSource):
    """1,115,394 characters, 65 of them different, in windows of 64; the file is kept as it is published.

    The first 90 % are for training, as in nanoGPT. Its validation text, the last 10 %, is divided: the first
    half is for validation, the second for the test.
    """

    name = "tinyshakespeare"
    summary = "1.1 million characters of Shakespeare in windows of 64 (Karpathy 2015)"
    importable = f"the file input.txt of {CHARACTERS:,} bytes, under any name"
    downloads = True

    @property
    def _file(self) -> Path:
        return data_root() / self.name / "input.txt"

    @property
    def _remedy(self) -> str:
        return f"Run: harness data fetch {self.name}, or: harness data import {self.name} PATH"

    def is_ready(self) -> bool:
        """Whether it was fetched or imported; does not read the file."""
        return self._file.is_file()

    def summarize(self) -> DatasetSummary:
        """The counts are constants; the fingerprint is left out, because it takes the arrays."""
        train, validation, test = window_counts(CHARACTERS)
        return DatasetSummary(ORIGIN, {"train": train, "validation": validation, "test": test})

    def load(self) -> Dataset:
        """The data set, after the sha256 of its file was verified.

        Raises:
            DataError: the file is missing or damaged; includes the remedy.
        """
        try:
            content = read_up_to(self._file, CHARACTERS + 1)
        except FileNotFoundError as error:
            raise DataError(f"{self.name} is not on this machine. {self._remedy}") from error
        except OSError as error:
            raise DataError(f"{self._file} cannot be read: {error}. {self._remedy}") from error
        if (sha256 := hashlib.sha256(content).hexdigest()) != SHA256:
            raise DataError(
                f"{self._file} is damaged: its sha256 is {sha256}, expected {SHA256}. {self._remedy}"
            )
        return text_dataset(self.name, ORIGIN, content.decode("ascii"))

    def fetch(self, progress: DownloadProgress) -> None:
        """Download the file; does nothing if it is present and undamaged.

        Raises:
            DataError: it cannot be downloaded.
            HarnessError: it cannot be stored.
        """
        from harness_tasks.datasets.download import download

        if self._is_whole():
            return
        folder = self._folder()
        try:
            # Pooch writes to another name first, so that the file is there completely or not at all.
            download(URL, f"sha256:{SHA256}", folder, progress)
        except DataError as error:
            hint = f"If you have the file, run: harness data import {self.name} PATH"
            raise DataError(f"{error}\n{hint}") from error

    def import_from(self, path: Path, progress: DownloadProgress = _quiet) -> Dataset:
        """Import the published file; a present copy is kept until that has succeeded.

        Raises:
            DataError: it is another file.
            HarnessError: it cannot be stored.
        """
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

    def _is_whole(self) -> bool:
        try:
            self.load()
        except DataError:
            return False
        return True

    def _folder(self) -> Path:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_written(error) from error
        return self._file.parent

    def _not_written(self, error: OSError) -> HarnessError:
        return HarnessError(f"{self.name} cannot be written to {self._file.parent}: {error}")
