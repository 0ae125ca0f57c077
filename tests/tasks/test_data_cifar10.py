"""CIFAR-10 in every accepted form, and files that are something else."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from support import data_files

from harness.errors import DataError
from harness_tasks.datasets import SOURCES, batches

CIFAR10 = SOURCES["cifar10"]


@pytest.fixture(autouse=True)
def _small_batches_in_a_new_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(batches, "ROWS", data_files.ROWS)


def stored(tmp_path):
    return sorted(path.name for path in (tmp_path / "data" / "cifar10").iterdir() if path.name != ".lock")


def test_the_official_batches_have_ten_thousand_rows():
    # Every other test here makes them smaller.
    assert re.search(r"^ROWS = 10_000\b", Path(batches.__file__).read_text(encoding="utf-8"), re.MULTILINE)


FORMS = {
    "python folder": lambda to: data_files.write_folder(to, data_files.python_files("")),
    "torchvision root": lambda to: data_files.write_folder(to, data_files.python_files()),
    "keras 3 cache": lambda to: data_files.write_folder(
        to / "cifar-10-batches-py-target", data_files.python_files()
    ),
    "keras datasets folder": lambda to: data_files.write_folder(
        to, data_files.python_files("cifar-10-batches-py-target/cifar-10-batches-py/")
    ),
    "python tar.gz": lambda to: data_files.write_tar(
        to / "cifar-10-python.tar.gz", data_files.python_files()
    ),
    "keras 3 archive": lambda to: data_files.write_tar(
        to / "cifar-10-batches-py-target_archive", data_files.python_files()
    ),
    "python zip": lambda to: data_files.write_zip(to / "a.tar", data_files.python_files()),
    "binary folder": lambda to: data_files.write_folder(to, data_files.binary_files("")),
    "binary tar.gz": lambda to: data_files.write_tar(to / "b.tar.gz", data_files.binary_files()),
    "binary tar.xz": lambda to: data_files.write_tar(to / "b", data_files.binary_files("x/y/"), "w:xz"),
    "binary tar.bz2": lambda to: data_files.write_tar(to / "b", data_files.binary_files("./"), "w:bz2"),
    "binary tar": lambda to: data_files.write_tar(to / "b", data_files.binary_files(""), "w:"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_official_form_gives_the_same_arrays_in_the_official_order(form, tmp_path):
    (tmp_path / "in").mkdir()

    dataset = CIFAR10.import_from(FORMS[form](tmp_path / "in"))

    rows = data_files.official_rows()
    train = [rows[f"data_batch_{number}"] for number in range(1, 6)]
    images = np.concatenate([pixels for pixels, _ in train])
    # Stored channel by channel: red of all pixels, then green, then blue.
    assert np.array_equal(dataset.train.inputs[..., 0].reshape(-1, 1024), images[:, :1024])
    assert np.array_equal(dataset.train.inputs[..., 2].reshape(-1, 1024), images[:, 2048:])
    assert dataset.train.targets.tolist() == [label for _, labels in train for label in labels]
    assert dataset.test.targets.tolist() == rows["test_batch"][1]
    assert dataset.train.inputs.shape == (5 * data_files.ROWS, 32, 32, 3)
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)
    assert isinstance(dataset.train.inputs, np.memmap)
    assert dataset.fingerprint == "45d783921f2f9ae86ca600c52c0bdd8e8f5bd88112d1d173dda161eb9770843a"
    assert CIFAR10.load().fingerprint == dataset.fingerprint


def test_only_bytes_with_the_published_md5_are_called_official(tmp_path, monkeypatch):
    archive = data_files.write_tar(tmp_path / "a", data_files.python_files())
    assert "md5 not as published" in CIFAR10.import_from(archive).origin

    monkeypatch.setattr(
        batches,
        "OFFICIAL_MD5",
        {
            batch: batches.hashlib.md5(data_files.python2_pickle(*rows)).hexdigest()
            for batch, rows in data_files.official_rows().items()
        },
    )
    assert "md5 as published" in CIFAR10.import_from(archive).origin


def changed(files, name, content):
    (key,) = [key for key in files if key.endswith(f"/{name}")]
    return {**files, key: content} if content is not None else {k: v for k, v in files.items() if k != key}


ROW = bytes(3073)
WRONG = {
    "a batch is missing": (data_files.python_files(), "data_batch_4", None, "data_batch_4 not found"),
    "no class names": (data_files.python_files(), "batches.meta", None, "batches.meta not found"),
    "a batch is no pickle": (data_files.python_files(), "data_batch_2", b"not a pickle", "data_batch_2"),
    "too few rows": (
        data_files.python_files(),
        "test_batch",
        data_files.python2_pickle(np.zeros((2, 3072), np.uint8), [0, 0]),
        r"expected data uint8 \(3, 3072\), found uint8 \(2, 3072\)",
    ),
    "too few labels": (
        data_files.python_files(),
        "test_batch",
        data_files.python2_pickle(np.zeros((3, 3072), np.uint8), [0, 0]),
        "expected 3 labels from 0 to 9, found 2",
    ),
    "a label too large": (
        data_files.binary_files(),
        "data_batch_5.bin",
        b"\x0a" + ROW[1:] + ROW + ROW,
        "expected 3 labels from 0 to 9, found 3 from 0 to 10",
    ),
    "a short batch": (
        data_files.binary_files(),
        "data_batch_5.bin",
        ROW + ROW,
        "expected 9,219 bytes, found 6,146",
    ),
    "other classes": (
        data_files.binary_files(),
        "batches.meta.txt",
        b"apple\nbee\n",
        "expected the classes airplane, .*found apple, bee",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named_and_the_previous_copy_survives(case, tmp_path):
    good = CIFAR10.import_from(data_files.write_tar(tmp_path / "good", data_files.binary_files())).fingerprint
    before = stored(tmp_path)
    files, name, content, message = WRONG[case]

    with pytest.raises(DataError, match=message):
        CIFAR10.import_from(data_files.write_tar(tmp_path / "bad", changed(files, name, content)))

    assert stored(tmp_path) == before
    assert CIFAR10.load().fingerprint == good


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz", "w:bz2", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive_leaves_nothing(mode, share, tmp_path):
    files = data_files.picture_files(kind="png", train=3)
    path = tmp_path / "whole"
    data_files.write_zip(path, files) if mode == "zip" else data_files.write_tar(path, files, mode)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(DataError, match="truncated or broken"):
        CIFAR10.import_from(path)

    assert stored(tmp_path) == []
    assert not CIFAR10.is_ready()


def test_a_tar_truncated_between_members_is_not_a_smaller_data_set(tmp_path):
    path = data_files.write_tar(tmp_path / "a.tar", data_files.picture_files(), "w:")
    last = path.read_bytes().rindex(b"test/truck/0000.png")
    os.truncate(path, last)

    with pytest.raises(DataError, match="end-of-archive marker"):
        CIFAR10.import_from(path)


def test_files_that_are_something_else(tmp_path):
    archive = data_files.write_tar(
        tmp_path / "a", {"cifar-100-python/train": b"", "cifar-100-python/test": b""}
    )
    with pytest.raises(
        DataError, match=r"is not CIFAR-10: expected the official.*found cifar-100-python/test"
    ):
        CIFAR10.import_from(archive)
    with pytest.raises(DataError, match="does not exist"):
        CIFAR10.import_from(tmp_path / "nowhere")
