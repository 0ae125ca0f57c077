"""Image folders: order, formats, and images that do not fit."""

import io

import numpy as np
import pytest
from PIL import Image
from support import data_files

from harness.errors import DataError
from harness_tasks.datasets import SOURCES

CIFAR10 = SOURCES["cifar10"]


@pytest.fixture(autouse=True)
def _in_a_new_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))


def encoded(picture, kind="PNG"):
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def grey(value, size=(32, 32)):
    return np.full((*size, 3), value, np.uint8)


def test_rows_are_in_the_order_of_classes_and_file_names_whatever_the_archive_says(tmp_path):
    files = data_files.picture_files("pictures/")
    for number, name in enumerate(["10.png", "2.png", "1.png"]):
        files[f"pictures/train/bird/{name}"] = data_files.picture(grey(number))
    shuffled = dict(sorted(files.items(), key=lambda item: item[0][::-1]))

    dataset = CIFAR10.import_from(data_files.write_tar(tmp_path / "a", shuffled))

    assert dataset.train.targets.tolist() == sorted([*range(10), *range(10), 2, 2, 2])
    birds = dataset.train.inputs[dataset.train.targets == 2]
    assert birds[:, 0, 0, 0].tolist()[2:] == [2, 0, 1]  # 0000 and 0001, then 1, 10, 2
    assert dataset.test.targets.tolist() == list(range(10))


@pytest.mark.parametrize("write", [data_files.write_folder, data_files.write_zip, data_files.write_tar])
def test_png_keeps_the_bytes_and_the_origin_states_the_format(write, tmp_path, snapshot):
    files = data_files.picture_files()
    files["train/airplane/0000.png"] = data_files.picture(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3))
    files |= {"train/.DS_Store": b"x", "__MACOSX/train/cat/._0000.png": b"x", "train/cat/readme.txt": b"x"}

    dataset = CIFAR10.import_from(write(tmp_path / "in", files))

    assert dataset.train.inputs[0].ravel().tolist() == np.arange(3072, dtype=np.uint8).tolist()
    assert dataset.origin == snapshot


def test_jpeg_is_called_lossy(tmp_path):
    dataset = CIFAR10.import_from(
        data_files.write_folder(tmp_path / "in", data_files.picture_files(kind="jpg"))
    )
    assert dataset.origin.startswith("JPEG")
    assert "lossy" in dataset.origin


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_other_modes_become_rgb(mode, tmp_path):
    files = data_files.picture_files()
    files["test/airplane/0000.png"] = encoded(Image.fromarray(grey(255)).convert(mode))
    dataset = CIFAR10.import_from(data_files.write_folder(tmp_path / "in", files))
    assert np.all(dataset.test.inputs[0] == 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (data_files.picture(grey(0, (32, 33))), "is 33x32, expected 32x32"),
        (data_files.picture(grey(0))[:60], "is not a readable PNG image"),
        (data_files.picture(grey(0), "jpg"), "is not a readable PNG image"),
        (b"", "is not a readable PNG image: it is empty"),
        (b"GIF89a..", "begins with the bytes 47 49 46 38 39"),
    ],
    ids=["size", "cut", "JPEG", "empty", "GIF"],
)
def test_an_image_that_does_not_fit_is_named(content, message, tmp_path):
    files = {**data_files.picture_files(), "train/frog/0001.png": content}
    with pytest.raises(DataError, match=f"frog/0001.png .*{message}"):
        CIFAR10.import_from(data_files.write_folder(tmp_path / "in", files))
    assert not CIFAR10.is_ready()


@pytest.mark.parametrize("lacking", ["train/ship/", "test/"])
def test_a_class_without_images(lacking, tmp_path):
    files = {name: data for name, data in data_files.picture_files().items() if not name.startswith(lacking)}
    with pytest.raises(DataError, match=f"expected the folders airplane.*in {lacking[:4]}"):
        CIFAR10.import_from(data_files.write_tar(tmp_path / "in", files))


def test_more_images_than_cifar10_has(tmp_path, monkeypatch):
    monkeypatch.setattr("harness_tasks.datasets.cifar10.COUNTS", {"train": 19, "test": 10})
    with pytest.raises(DataError, match=r"holds 20 \+ 10 images"):
        CIFAR10.import_from(data_files.write_folder(tmp_path / "in", data_files.picture_files()))
