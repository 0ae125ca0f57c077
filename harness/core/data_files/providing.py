"""Data sets of files as workers find them: kept in the cache, under the file's name."""

import dataclasses
import itertools
from pathlib import Path

from harness.core.data_files.reading import ReadFile, read_data_file
from harness.core.data_files.settings import FileSettings, settings_of
from harness.core.plugins import kept_data
from harness.core.plugins.kept_data import DataFile
from harness.errors import HarnessError
from harness.spec.data import Dataset


def provide(path: Path, settings: FileSettings) -> ReadFile:
    """Read a file as a data set, which this process and its workers then find by its name."""
    read = read_data_file(path, settings)
    read = read._replace(dataset=_with_free_name(read.dataset))
    try:
        if not kept_data.is_kept_as(read.dataset):
            kept_data.keep(read.dataset)
    except OSError as error:
        raise HarnessError(f"{path}: the data set cannot be kept in the cache: {error}") from error
    kept_data.announce(read.dataset.name, read.dataset.fingerprint, read.file)
    return read


def _with_free_name(dataset: Dataset) -> Dataset:
    """Number the name if other data already have it, such as the same file with other settings."""
    names = itertools.chain([dataset.name], (f"{dataset.name} ({number})" for number in itertools.count(2)))
    fingerprints = ((name, kept_data.fingerprint_of(name)) for name in names)
    free = next(name for name, known in fingerprints if known in {None, dataset.fingerprint})
    return dataclasses.replace(dataset, name=free)


def provide_again(name: str, fingerprint: str | None, file: DataFile | None) -> None:
    """Have workers find the data set ``name`` of a record, from the cache or else from its file.

    A data set that was made of no file is a plugin's. Raise as :func:`provide`.
    """
    if file is None or kept_data.source(name) is not None:
        return
    if fingerprint is not None and kept_data.is_kept(fingerprint):
        kept_data.announce(name, fingerprint, file)
    else:
        provide(Path(file.path).expanduser(), settings_of(file.settings))
