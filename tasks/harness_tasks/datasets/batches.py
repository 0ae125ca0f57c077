"""The two official forms of CIFAR-10 (Krizhevsky 2009): pickled batches and binary batches.

Both hold the same rows in the same order, and yield the same arrays.
See https://www.cs.toronto.edu/~kriz/cifar.html for the formats.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from harness.errors import DataError
from harness.spec import Samples
from harness_tasks.datasets.bundle import Bundle, Member
from harness_tasks.datasets.store import Incoming, Split
from harness_tasks.datasets.unpickle import arrays_from_pickle

ROWS = 10_000  # of each of the six batches
CLASSES = 10
SHAPE = (32, 32, 3)
PIXELS = 3 * 32 * 32  # stored channel by channel

BATCHES: dict[str, Split] = {**{f"data_batch_{i}": "train" for i in range(1, 6)}, "test_batch": "test"}

#: The md5 of each file of the official Python archive, as published by torchvision.
OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def read_python(bundle: Bundle, classes: tuple[str, ...]) -> Incoming | None:
    """Read the pickled batches ``data_batch_1`` to ``_5`` and ``test_batch``; None if there are none."""
    members = _official_files(bundle, suffix="", names_file="batches.meta")
    if members is None:
        return None
    meta = members.pop("batches.meta")
    names = _pickled_dict(meta).get(b"label_names")
    _check_names(meta, [_text(name) for name in names] if isinstance(names, list) else [], classes)
    official = all(
        hashlib.md5(member.read(), usedforsecurity=False).hexdigest() == OFFICIAL_MD5[name]
        for name, member in members.items()
    )
    checked = "as published" if official else "not as published"
    return _incoming(f"python batches, md5 {checked}", members, _python_batch)


def read_binary(bundle: Bundle, classes: tuple[str, ...]) -> Incoming | None:
    """Read the batches ``data_batch_1.bin`` to ``_5.bin`` and ``test_batch.bin``; None if there are none."""
    members = _official_files(bundle, suffix=".bin", names_file="batches.meta.txt")
    if members is None:
        return None
    meta = members.pop("batches.meta.txt")
    _check_names(meta, meta.read().decode("ascii", "replace").split(), classes)
    return _incoming("binary batches (no md5 of the files is published)", members, _binary_batch)


def _official_files(bundle: Bundle, suffix: str, names_file: str) -> dict[str, Member] | None:
    """Return the members of the most complete folder that holds any batch, by batch name."""
    files = {batch: f"{batch}{suffix}" for batch in BATCHES} | {names_file: names_file}
    batch_files = [files[batch] for batch in BATCHES]
    folders = {
        name.removesuffix(file) for name in bundle for file in batch_files if f"/{name}".endswith(f"/{file}")
    }
    if not folders:
        return None
    count, folder = max(
        (sum(f"{folder}{file}" in bundle for file in files.values()), folder) for folder in folders
    )
    if count < len(files):
        missing = [file for file in files.values() if f"{folder}{file}" not in bundle]
        raise DataError(
            f"expected data_batch_1{suffix} to data_batch_5{suffix}, test_batch{suffix} and {names_file}; "
            f"{', '.join(missing)} not found in {folder or 'it'}"
        )
    return {key: bundle[f"{folder}{file}"] for key, file in files.items()}


def _incoming(origin: str, members: dict[str, Member], read: Callable[[Member], Samples]) -> Incoming:
    def blocks() -> Iterator[tuple[Split, Samples]]:
        for batch, split in BATCHES.items():
            yield split, read(members[batch])

    return Incoming(origin, {"train": 5 * ROWS, "test": ROWS}, SHAPE, blocks())


def _python_batch(member: Member) -> Samples:
    content = _pickled_dict(member)
    pixels, labels = content.get(b"data"), content.get(b"labels")
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape == (ROWS, PIXELS)):
        kind = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"{member.where}: expected data uint8 {(ROWS, PIXELS)}, found {kind}")
    if not (isinstance(labels, list) and all(isinstance(label, int) for label in labels)):
        raise DataError(f"{member.where}: expected labels as a list of integers")
    return _samples(member, pixels, labels)


def _binary_batch(member: Member) -> Samples:
    content = np.frombuffer(member.read(), np.uint8)
    if content.size != (expected := ROWS * (1 + PIXELS)):
        raise DataError(f"{member.where}: expected {expected:,} bytes, found {content.size:,}")
    rows = content.reshape(ROWS, 1 + PIXELS)  # a label, then the pixels
    return _samples(member, rows[:, 1:], rows[:, 0].tolist())


def _samples(member: Member, pixels: np.ndarray, labels: list[int]) -> Samples:
    """Convert pixels ``(rows, 3072)`` and labels ``(rows,)`` to images ``(rows, 32, 32, 3)``."""
    if len(labels) != ROWS or not all(0 <= label < CLASSES for label in labels):
        raise DataError(f"{member.where}: expected {ROWS:,} labels from 0 to 9, found {_summary(labels)}")
    images = pixels.reshape(ROWS, 3, 32, 32).transpose(0, 2, 3, 1)
    return Samples(images, np.array(labels, np.int64))


def _summary(labels: list[int]) -> str:
    return f"{len(labels):,} from {min(labels)} to {max(labels)}" if labels else "none"


def _pickled_dict(member: Member) -> dict[object, object]:
    content = arrays_from_pickle(member.read(), member.where)
    if not isinstance(content, dict):
        raise DataError(f"{member.where}: expected a dictionary, found {type(content).__name__}")
    return content


def _text(name: object) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _check_names(member: Member, names: list[str], classes: tuple[str, ...]) -> None:
    if tuple(names) != classes:
        raise DataError(
            f"{member.where}: expected the classes {', '.join(classes)}; found {', '.join(names[:12])}"
        )
