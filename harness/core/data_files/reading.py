"""From a path and its settings to a data set of the contract, kept in the cache under a name."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.core.data_files.arrays import read_arrays
from harness.core.data_files.content import Content, Part, Rows, checked, divisor, numbers, standardized
from harness.core.data_files.dividing import divided
from harness.core.data_files.labels import Targets, understood
from harness.core.data_files.pictures import read_pictures
from harness.core.data_files.settings import FileSettings
from harness.core.data_files.tables import read_csv, read_parquet
from harness.core.machine.files import is_file, is_folder, without_home
from harness.core.plugins.kept_data import DataFile
from harness.errors import UsageError
from harness.spec.data import Dataset, Samples, Split, fingerprint

#: How files of each suffix are read.
READERS: dict[str, Callable[[Path, FileSettings], Content]] = {
    ".npz": read_arrays,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
#: The settings of one kind of file alone, by the files that have them.
_TABLES, _FOLDERS = (".csv", ".parquet"), ("",)
_OF_SOME = {"target": _TABLES, "drop": _TABLES, "image_size": _FOLDERS}


class ReadFile(NamedTuple):
    """The data set of a file, the file with its settings, and a sentence that describes both."""

    dataset: Dataset
    file: DataFile
    sentence: str


def read_data_file(path: Path, settings: FileSettings) -> ReadFile:
    """Read a file or folder of pictures as a data set."""
    try:
        reader = _reader(path, settings)
        return _read(path, settings, checked(reader(path, settings)))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise UsageError(f"{path} does not fit into memory") from error


def _reader(path: Path, settings: FileSettings) -> Callable[[Path, FileSettings], Content]:
    suffix = "" if is_folder(path) else path.suffix.lower()
    if not is_folder(path) and not is_file(path):
        raise UsageError("there is no such file or folder")
    if (suffix and suffix not in READERS) or (not suffix and not is_folder(path)):
        raise UsageError(
            f"expected a file that ends in {', '.join(READERS)}, or a folder of pictures by class"
        )
    if suffix and not path.stat().st_size:
        raise UsageError("the file is empty")
    for name in settings.given():
        if suffix not in _OF_SOME.get(name, (suffix,)):
            right = "tables, .csv and .parquet" if _OF_SOME[name] == _TABLES else "folders of pictures"
            raise UsageError(f"--{name.replace('_', '-')} is for {right}")
    return READERS[suffix] if suffix else read_pictures


def _read(path: Path, settings: FileSettings, content: Content) -> ReadFile:
    of_inputs, of_labels = content.names
    inputs = {part: numbers(of_inputs, rows.inputs, settings.inputs) for part, rows in content.rows.items()}
    labels = {part: rows.labels for part, rows in content.rows.items()}
    sample = next(iter(inputs.values()))
    targets = understood(labels, sample, settings.labels, of_labels)
    rows: dict[Part, Rows] = {part: Rows(inputs[part], targets.arrays[part]) for part in inputs}
    split = _split(rows, targets, settings)
    standardize = settings.standardize
    if standardize == "auto":
        standardize = "all" if content.is_table else "none"
    split = _standardized(split, targets, standardize)
    samples = {part: Samples(*each) for part, each in split.items()}
    train, test, validation = samples["train"], samples["test"], samples.get("validation")
    place = f"{'folder' if is_folder(path) else 'file'} {path.resolve().name}"
    how = _treatment(train, targets, standardize, settings, content)
    dataset = Dataset(
        name=_name(path, settings),
        fingerprint=fingerprint(train, test, validation),
        origin=f"the {place}, {how}",
        classes=targets.classes,
        train=train,
        test=test,
        validation=validation,
        input_divisor=divisor(train.inputs),
    )
    file = DataFile(without_home(str(path.resolve())), settings.given())
    return ReadFile(
        dataset, file, f"{_description(dataset, targets, of_labels)}, {how} (--set-data changes this)"
    )


def _split(rows: dict[Part, Rows], targets: Targets, settings: FileSettings) -> dict[Split, Rows]:
    """Return the parts of the file, or divide its rows."""
    if "all" not in rows:
        return {part: each for part, each in rows.items() if part != "all"}
    inputs, labels = rows["all"]
    classes = labels if targets.kind == "classes" else None
    divisions = divided(len(labels), classes, targets.classes, settings)
    return {part: Rows(inputs[chosen], labels[chosen]) for part, chosen in divisions.items()}


def _standardized(split: dict[Split, Rows], targets: Targets, standardize: str) -> dict[Split, Rows]:
    train = split["train"]
    if standardize == "none":
        return split
    if train.inputs.dtype.kind == "i":
        raise UsageError("tokens cannot be standardized; use --set-data standardize=none")
    also_targets = standardize == "all" and targets.kind == "numbers"
    return {
        part: Rows(
            standardized(rows.inputs, train.inputs),
            standardized(rows.labels, train.labels) if also_targets else rows.labels,
        )
        for part, rows in split.items()
    }


def _name(path: Path, settings: FileSettings) -> str:
    """Name a data set after its file, and a table also after the column that is predicted."""
    name = path.resolve().name
    if is_folder(path):
        return f"{name}/"
    return f"{name}:{settings.target}" if settings.target else name


def _treatment(
    train: Samples, targets: Targets, standardize: str, settings: FileSettings, content: Content
) -> str:
    """Describe the split and the standardisation."""
    if "all" not in content.rows:
        how = "divided by the file"
    elif not settings.shuffle:
        how = "divided in the file's order"
    else:
        how = "drawn from each class" if targets.kind == "classes" else "drawn at random"
    scaled = {
        "none": "bytes divided by 255" if train.inputs.dtype == np.uint8 else "not standardized",
        "inputs": "inputs standardized",
        "all": "inputs and targets standardized" if targets.kind == "numbers" else "inputs standardized",
    }[standardize]
    return f"{how}, {scaled}"


def _description(dataset: Dataset, targets: Targets, of_labels: str) -> str:
    """Describe inputs, labels and the numbers of samples."""
    train = dataset.train
    kind = "tokens" if train.inputs.dtype.kind == "i" else str(train.inputs.dtype)
    labels = {
        "classes": f"{len(targets.classes)} classes",
        "numbers": "numbers",
        "tokens": f"the next of {len(targets.classes)} tokens",
    }[targets.kind]
    parts = [(train, "training"), (dataset.validation, "validation"), (dataset.test, "test")]
    counts = ", ".join(f"{len(samples):,} {name}" for samples, name in parts if samples is not None)
    validation = "" if dataset.validation is not None else " (a tenth of the training samples validates)"
    return (
        f"{dataset.name}: inputs {train.inputs.shape[1:]} {kind}, {of_labels}: {labels}; {counts} "
        f"samples{validation}"
    )
