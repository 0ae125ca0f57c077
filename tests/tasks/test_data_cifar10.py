"""CIFAR-10 in every accepted form, images of any order, format and size, and what is something else."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_files import (
    ROWS,
    binary_files,
    official_rows,
    picture,
    picture_files,
    python_files,
    write_folder,
    write_tar,
    write_zip,
)
from support.data_files import python2_pickle as pickled

from harness.errors import DataError
from harness_tasks.datasets import SOURCES, batches

CIFAR10 = SOURCES["cifar10"]


@pytest.fixture(autouse=True)
def _small_batches_in_a_new_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(batches, "ROWS", ROWS)


def stored(tmp_path):
    return sorted(path.name for path in (tmp_path / "data" / "cifar10").iterdir() if path.name != ".lock")


def test_the_official_batches_have_ten_thousand_rows():
    # Every other test here makes them smaller.
    assert re.search(r"^ROWS = 10_000\b", Path(batches.__file__).read_text(encoding="utf-8"), re.MULTILINE)


#: How each form is written, with which files, and where.
FORMS = {
    "python folder": (write_folder, python_files(""), ""),
    "torchvision root": (write_folder, python_files(), ""),
    "keras 3 cache": (write_folder, python_files(), "cifar-10-batches-py-target"),
    "keras datasets": (write_folder, python_files("cifar-10-batches-py-target/cifar-10-batches-py/"), ""),
    "python tar.gz": (write_tar, python_files(), "cifar-10-python.tar.gz"),
    "keras 3 archive": (write_tar, python_files(), "cifar-10-batches-py-target_archive"),
    "python zip": (write_zip, python_files(), "a.tar"),
    "binary folder": (write_folder, binary_files(""), ""),
    "binary tar.gz": (write_tar, binary_files(), "b.tar.gz"),
    "binary tar.xz": (write_tar, binary_files("x/y/"), "b", "w:xz"),
    "binary tar.bz2": (write_tar, binary_files("./"), "b", "w:bz2"),
    "binary tar": (write_tar, binary_files(""), "b", "w:"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_official_form_gives_the_same_arrays_in_the_official_order(form, tmp_path):
    (tmp_path / "in").mkdir()

    write, files, name, *mode = FORMS[form]
    dataset = CIFAR10.import_from(write(tmp_path / "in" / name, files, *mode))

    rows = official_rows()
    train = [rows[f"data_batch_{number}"] for number in range(1, 6)]
    images = np.concatenate([pixels for pixels, _ in train])
    # Stored channel by channel: red of all pixels, then green, then blue.
    assert np.array_equal(dataset.train.inputs[..., 0].reshape(-1, 1024), images[:, :1024])
    assert np.array_equal(dataset.train.inputs[..., 2].reshape(-1, 1024), images[:, 2048:])
    assert dataset.train.targets.tolist() == [label for _, labels in train for label in labels]
    assert dataset.test.targets.tolist() == rows["test_batch"][1]
    assert dataset.train.inputs.shape == (5 * ROWS, 32, 32, 3)
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)
    assert isinstance(dataset.train.inputs, np.memmap)
    assert dataset.fingerprint == "45d783921f2f9ae86ca600c52c0bdd8e8f5bd88112d1d173dda161eb9770843a"
    assert CIFAR10.load().fingerprint == dataset.fingerprint


def test_only_bytes_with_the_published_md5_are_called_official(tmp_path, monkeypatch):
    archive = write_tar(tmp_path / "a", python_files())
    assert "md5 not as published" in CIFAR10.import_from(archive).origin

    monkeypatch.setattr(
        batches,
        "OFFICIAL_MD5",
        {batch: batches.hashlib.md5(pickled(*rows)).hexdigest() for batch, rows in official_rows().items()},
    )
    assert "md5 as published" in CIFAR10.import_from(archive).origin


def changed(files, name, content):
    (key,) = [key for key in files if key.endswith(f"/{name}")]
    return {**files, key: content} if content is not None else {k: v for k, v in files.items() if k != key}


ROW = bytes(3073)
WRONG = {
    "a batch is missing": (python_files(), "data_batch_4", None),
    "no class names": (python_files(), "batches.meta", None),
    "a batch is no pickle": (python_files(), "data_batch_2", b"not a pickle"),
    "too few rows": (python_files(), "test_batch", pickled(np.zeros((2, 3072), np.uint8), [0, 0])),
    "too few labels": (python_files(), "test_batch", pickled(np.zeros((3, 3072), np.uint8), [0, 0])),
    "a label too large": (binary_files(), "data_batch_5.bin", b"\x0a" + ROW[1:] + ROW + ROW),
    "a short batch": (binary_files(), "data_batch_5.bin", ROW + ROW),
    "other classes": (binary_files(), "batches.meta.txt", b"apple\nbee\n"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named_and_the_previous_copy_survives(case, tmp_path, snapshot):
    good = CIFAR10.import_from(write_tar(tmp_path / "good", binary_files())).fingerprint
    before = stored(tmp_path)
    with pytest.raises(DataError) as caught:
        CIFAR10.import_from(write_tar(tmp_path / "bad", changed(*WRONG[case])))
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == snapshot
    assert stored(tmp_path) == before
    assert CIFAR10.load().fingerprint == good


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz", "w:bz2", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive_leaves_nothing(mode, share, tmp_path):
    files = picture_files(kind="png", train=3)
    path = tmp_path / "whole"
    write_zip(path, files) if mode == "zip" else write_tar(path, files, mode)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(DataError, match="truncated or broken"):
        CIFAR10.import_from(path)

    assert stored(tmp_path) == []
    assert not CIFAR10.is_ready()


def test_a_tar_truncated_between_members_is_not_a_smaller_data_set(tmp_path):
    path = write_tar(tmp_path / "a.tar", picture_files(), "w:")
    last = path.read_bytes().rindex(b"test/truck/0000.png")
    os.truncate(path, last)

    with pytest.raises(DataError, match="end-of-archive marker"):
        CIFAR10.import_from(path)


def test_files_that_are_something_else(tmp_path):
    archive = write_tar(tmp_path / "a", {f"cifar-100-python/{name}": b"" for name in ("train", "test")})
    with pytest.raises(DataError, match=r"is not CIFAR-10: .*found cifar-100-python/test"):
        CIFAR10.import_from(archive)
    with pytest.raises(DataError, match="does not exist"):
        CIFAR10.import_from(tmp_path / "nowhere")


# Image folders: order, formats, and images that do not fit.


def encoded(image, kind="PNG"):
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def grey(value, size=(32, 32)):
    return np.full((*size, 3), value, np.uint8)


def test_rows_are_in_the_order_of_classes_and_file_names_whatever_the_archive_says(tmp_path):
    files = picture_files("pictures/")
    for number, name in enumerate(["10.png", "2.png", "1.png"]):
        files[f"pictures/train/bird/{name}"] = picture(grey(number))
    shuffled = dict(sorted(files.items(), key=lambda item: item[0][::-1]))

    dataset = CIFAR10.import_from(write_tar(tmp_path / "a", shuffled))

    assert dataset.train.targets.tolist() == sorted([*range(10), *range(10), 2, 2, 2])
    birds = dataset.train.inputs[dataset.train.targets == 2]
    assert birds[:, 0, 0, 0].tolist()[2:] == [2, 0, 1]  # 0000 and 0001, then 1, 10, 2
    assert dataset.test.targets.tolist() == list(range(10))


@pytest.mark.parametrize("write", [write_folder, write_zip, write_tar])
def test_png_keeps_the_bytes_and_the_origin_states_the_format(write, tmp_path, snapshot):
    files = picture_files()
    files["train/airplane/0000.png"] = picture(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3))
    files |= {"train/.DS_Store": b"x", "__MACOSX/train/cat/._0000.png": b"x", "train/cat/readme.txt": b"x"}

    dataset = CIFAR10.import_from(write(tmp_path / "in", files))

    assert dataset.train.inputs[0].ravel().tolist() == np.arange(3072, dtype=np.uint8).tolist()
    assert dataset.origin == snapshot


def test_jpeg_is_called_lossy(tmp_path):
    dataset = CIFAR10.import_from(write_folder(tmp_path / "in", picture_files(kind="jpg")))
    assert dataset.origin.startswith("JPEG")
    assert "lossy" in dataset.origin


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_other_modes_become_rgb(mode, tmp_path):
    files = picture_files()
    files["test/airplane/0000.png"] = encoded(Image.fromarray(grey(255)).convert(mode))
    dataset = CIFAR10.import_from(write_folder(tmp_path / "in", files))
    assert np.all(dataset.test.inputs[0] == 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (picture(grey(0, (32, 33))), "is 33x32, expected 32x32"),
        (picture(grey(0))[:60], "is not a readable PNG image"),
        (picture(grey(0), "jpg"), "is not a readable PNG image"),
        (b"", "is not a readable PNG image: it is empty"),
        (b"GIF89a..", "begins with the bytes 47 49 46 38 39"),
    ],
    ids=["size", "cut", "JPEG", "empty", "GIF"],
)
def test_an_image_that_does_not_fit_is_named(content, message, tmp_path):
    files = {**picture_files(), "train/frog/0001.png": content}
    with pytest.raises(DataError, match=f"frog/0001.png .*{message}"):
        CIFAR10.import_from(write_folder(tmp_path / "in", files))
    assert not CIFAR10.is_ready()


@pytest.mark.parametrize("lacking", ["train/ship/", "test/"])
def test_a_class_without_images(lacking, tmp_path):
    files = {name: data for name, data in picture_files().items() if not name.startswith(lacking)}
    with pytest.raises(DataError, match=f"expected the folders airplane.*in {lacking[:4]}"):
        CIFAR10.import_from(write_tar(tmp_path / "in", files))


def test_more_images_than_cifar10_has(tmp_path, monkeypatch):
    monkeypatch.setattr("harness_tasks.datasets.cifar10.COUNTS", {"train": 19, "test": 10})
    with pytest.raises(DataError, match=r"holds 20 \+ 10 images"):
        CIFAR10.import_from(write_folder(tmp_path / "in", picture_files()))
