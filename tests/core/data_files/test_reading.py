"""Files as data sets: what becomes of arrays, tables and pictures, and which are refused in one line."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.core.data_files.providing import provide
from harness.core.data_files.reading import read_data_file
from harness.core.data_files.settings import parse_settings
from harness.core.plugins import kept_data
from harness.errors import UsageError

ROWS = 100


def random():
    return np.random.default_rng(0)


def points(count=ROWS, classes=4):
    """Points ``(count, 3)`` and the class of each, as equally frequent as possible."""
    return random().normal(size=(count, 3)).astype(np.float32), np.arange(count) % classes


def read(path, *assignments):
    return read_data_file(path, parse_settings(assignments))


def arrays(folder, **named):
    path = folder / "data.npz"
    np.savez(path, **named)
    return path


def table(folder, **columns):
    path = folder / "table.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def pictures(folder, count=10, sizes=((6, 5),), parts=("",)):
    """``count`` pictures of each of two classes; their sizes (height, width) alternate."""
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            place = folder / "photos" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                height, width = sizes[number % len(sizes)]
                pixels = np.full((height, width, 3), 100 * label + number, np.uint8)
                Image.fromarray(pixels).save(place / f"{number:02}.png")
    return folder / "photos"


# What becomes of a file.


def test_arrays_are_divided_by_class_and_stay_as_they_are(tmp_path):
    x, y = points()
    data = read(arrays(tmp_path, x=x, y=y)).dataset
    assert (len(data.train), len(data.test), data.validation) == (80, 20, None)
    assert np.bincount(data.test.targets).tolist() == [5, 5, 5, 5]
    assert (data.name, data.classes, data.input_divisor) == ("data.npz", ("0", "1", "2", "3"), 1.0)
    rows = np.concatenate([data.train.inputs, data.test.inputs])
    labels = np.concatenate([data.train.targets, data.test.targets])
    ours, theirs = (
        {tuple(row): int(label) for row, label in zip(*both, strict=True)}
        for both in ((rows, labels), (x, y))
    )
    assert ours == theirs


def test_the_division_is_the_same_every_time_and_other_settings_make_other_data(tmp_path):
    x, y = points()
    path = arrays(tmp_path, x=x, y=y)
    fingerprints = [read(path, *settings).dataset.fingerprint for settings in ((), (), ("test=0.3",))]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_arrays_of_each_part_are_taken_as_they_are_in_any_case(tmp_path):
    x, y = points()
    parts = {"X_train": x[:70], "Y_train": y[:70], "x_val": x[70:80], "y_val": y[70:80]}
    data = read(arrays(tmp_path, **parts, x_test=x[80:], y_test=y[80:])).dataset
    assert np.array_equal(data.train.inputs, x[:70])
    assert np.array_equal(data.validation.targets, y[70:80])
    assert np.array_equal(data.test.targets, y[80:])


def test_without_shuffling_the_last_rows_validate_and_test(tmp_path):
    x, _ = points()
    data = read(arrays(tmp_path, x=x, y=x[:, 0]), "shuffle=false").dataset
    assert np.array_equal(data.train.inputs, x[:72])
    assert np.array_equal(data.validation.inputs, x[72:80])
    assert np.array_equal(data.test.inputs, x[80:])


@pytest.mark.parametrize(
    ("labels", "settings", "kind", "classes"),
    [
        (np.arange(ROWS) % 3 - 1, (), "i", ("-1", "0", "1")),
        (np.arange(ROWS) % 2 == 0, (), "i", ("False", "True")),
        (np.array(["b", "a"] * 50), (), "i", ("a", "b")),
        (np.arange(ROWS)[:, None] % 2, (), "i", ("0", "1")),
        (np.arange(ROWS), (), "f", ()),
        (np.arange(ROWS) % 21, (), "f", ()),
        (np.arange(ROWS) % 20, (), "i", tuple(map(str, range(20)))),
        (np.arange(ROWS) % 3, ("labels=numbers",), "f", ()),
        (np.linspace(0, 1, ROWS), (), "f", ()),
        (np.arange(ROWS) % 2 + 0.5, ("labels=classes",), "i", ("0.5", "1.5")),
    ],
)
def test_the_kind_of_task_follows_from_the_labels(tmp_path, labels, settings, kind, classes):
    data = read(arrays(tmp_path, x=points()[0], y=labels), *settings).dataset
    assert (data.train.targets.dtype.kind, data.classes) == (kind, classes)
    assert data.train.targets.ndim == (1 if kind == "i" else 2)


def test_integers_in_rows_are_tokens_and_bytes_are_pictures(tmp_path):
    steps = random().integers(0, 50, (ROWS, 8))
    texts = read(arrays(tmp_path, x=steps, y=np.roll(steps, -1, axis=1))).dataset
    assert (texts.train.inputs.dtype, texts.train.targets.shape) == (np.int64, (80, 8))
    assert texts.classes == tuple(map(str, range(50)))
    y = points()[1]
    counts = read(arrays(tmp_path, x=steps, y=y), "inputs=numbers").dataset
    assert counts.train.inputs.dtype == np.float64
    grey = read(arrays(tmp_path, x=np.full((ROWS, 4, 4), 255, np.uint8), y=y)).dataset
    assert (grey.train.inputs.dtype, grey.input_divisor) == (np.uint8, 255.0)
    flat = read(arrays(tmp_path, x=np.full((ROWS, 16), 255, np.uint8), y=y)).dataset
    assert (flat.train.inputs.max(), flat.train.inputs.dtype, flat.input_divisor) == (1.0, np.float32, 1.0)


def test_columns_are_standardized_by_the_training_rows_and_texts_become_columns(tmp_path):
    path = table(
        tmp_path,
        size=np.linspace(10, 200, ROWS),
        city=["Rome", "Oslo"] * 50,
        garden=[True, True, False, False] * 25,
        constant=1,
        row=range(ROWS),
        price=np.linspace(1e5, 9e5, ROWS),
    )
    data = read(path, "target=price", "drop=row").dataset
    assert data.name == "table.csv:price"
    assert data.train.inputs.shape == (80, 5)  # size, Oslo, Rome, garden, constant
    assert np.allclose(data.train.inputs.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(data.train.inputs.std(axis=0), [1, 1, 1, 1, 0], atol=1e-6)
    assert np.allclose((data.train.targets.mean(), data.train.targets.std()), (0, 1), atol=1e-6)
    raw = read(path, "target=price", "drop=row", "standardize=inputs").dataset
    assert np.array_equal(raw.train.inputs, data.train.inputs)
    assert raw.train.targets.max() > 1e5
    named = read(path, "target=city", "drop=row,price").dataset
    assert (named.classes, named.train.targets.dtype) == (("Oslo", "Rome"), np.int64)


def test_a_parquet_table_is_read_as_a_csv_table(tmp_path):
    pytest.importorskip("pyarrow")
    x, y = points()
    columns = {**{f"x{number}": x[:, number] for number in range(3)}, "kind": np.array(list("abcd"))[y]}
    pd.DataFrame(columns).to_parquet(tmp_path / "table.parquet")
    one, other = (
        read(tmp_path / "table.parquet", "target=kind"),
        read(table(tmp_path, **columns), "target=kind"),
    )
    assert one.dataset.classes == other.dataset.classes == ("a", "b", "c", "d")
    assert np.allclose(one.dataset.test.inputs, other.dataset.test.inputs, atol=1e-6)


def test_pictures_by_class_are_read_in_colour(tmp_path):
    data = read(pictures(tmp_path)).dataset
    assert (data.name, data.classes, data.input_divisor) == ("photos/", ("cat", "dog"), 255.0)
    assert data.train.inputs.shape == (16, 6, 5, 3)
    assert all(
        int(pixels[0, 0, 0]) // 100 == label
        for pixels, label in zip(data.train.inputs, data.train.targets, strict=True)
    )


def test_pictures_of_several_sizes_are_resized(tmp_path):
    folder = pictures(tmp_path, sizes=((6, 5), (12, 9)), parts=("train", "test"))
    with pytest.raises(UsageError, match=r"have 2 sizes, such as .* --image-size 6x5"):
        read(folder)
    data = read(folder, "image_size=8x4").dataset
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((20, 8, 4, 3), (20, 8, 4, 3))
    assert read(folder, "image_size=7").dataset.train.inputs.shape == (20, 7, 7, 3)


# The data set as workers and records have it.


def test_a_file_is_found_by_its_name_and_other_settings_get_another_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(kept_data.KEPT_VARIABLE, "{}")
    x, y = points()
    path = arrays(tmp_path, x=x, y=y)
    names = [provide(path, parse_settings(each)).dataset.name for each in ((), ["test=0.4"], ())]
    assert names == ["data.npz", "data.npz (2)", "data.npz"]
    assert [len(kept_data.source(name).load().test) for name in names] == [20, 40, 20]
    assert kept_data.source(names[1]).load().name == names[1]
    assert kept_data.file_of(names[1]) == kept_data.DataFile(str(path), {"test": 0.4})


def test_names_of_classes_are_those_of_the_file_though_its_arrays_are_kept_already(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(kept_data.KEPT_VARIABLE, "{}")
    x, y = points()
    for names in ("abcd", "efgh"):
        kept = provide(arrays(tmp_path, x=x, y=np.array(list(names))[y]), parse_settings([])).dataset
        assert kept_data.source(kept.name).load().classes == tuple(names)


# What is refused.


def refused(folder, name, content=b"", *settings):
    """The message about a file of this name and content."""
    path = folder / name
    path.write_bytes(content)
    return message_of(path, *settings)


def message_of(path, *settings):
    with pytest.raises(UsageError) as caught:
        read(path, *settings)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(str(path))
    return line.removeprefix(f"{path}: ")


def test_a_file_that_is_none_is_refused(tmp_path, snapshot):
    np.save(tmp_path / "one.npy", np.zeros(3))
    messages = [
        message_of(tmp_path / "missing.npz"),
        refused(tmp_path, "data.txt", b"1 2 3"),
        refused(tmp_path, "empty.csv"),
        refused(tmp_path, "broken.npz", b"PK\x03\x04 nothing"),
        refused(tmp_path, "lone.npz", (tmp_path / "one.npy").read_bytes()),
        refused(tmp_path, "pickled.npz", pickle.dumps([1])),
        refused(tmp_path, "ragged.csv", b"a,b\n1,2\n1,2,3\n", "target=b"),
        refused(tmp_path, "wide.csv", b"a,b\n1,2,3\n1,2,3\n", "target=b"),
    ]
    assert messages == snapshot


def test_a_broken_parquet_and_a_missing_pyarrow_are_told_apart(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    assert refused(tmp_path, "a.parquet", b"none", "target=b").startswith("it is no readable .parquet file (")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = refused(tmp_path, "a.parquet", b"none", "target=b")
    assert line == 'reading it needs pyarrow, of the extra "report": pip install "dl-harness[report]"'


X, Y = points()
RAGGED = np.empty(ROWS, object)
RAGGED[:] = [[0] * (1 + row % 2) for row in range(ROWS)]
NOT_A_NUMBER = X.copy()
NOT_A_NUMBER[[7, 9], 1] = np.nan


@pytest.mark.parametrize(
    ("named", "settings"),
    [
        ({"inputs": X, "labels": Y}, ()),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, ()),
        ({"x_train": X, "y_train": Y}, ()),
        ({"x": RAGGED, "y": Y}, ()),
        ({"x": NOT_A_NUMBER, "y": Y}, ()),
        ({"x": X, "y": NOT_A_NUMBER[:, 1]}, ()),
        ({"x": X, "y": Y[1:]}, ()),
        ({"x": X[:0], "y": Y[:0]}, ()),
        ({"x": X, "y": np.float64(1)}, ()),
        ({"x": X, "y": np.zeros(ROWS, int)}, ()),
        ({"x": X, "y": np.eye(4, dtype=int)[Y]}, ()),
        ({"x": np.array(["a"] * ROWS), "y": Y}, ()),
        ({"x": X, "y": Y + 0j}, ()),
        ({"x": X[:5], "y": Y[:5]}, ()),
        ({"x": X, "y": np.arange(ROWS) == 0}, ()),
        ({"x": X, "y": np.sort(Y)}, ("shuffle=false",)),
        ({"x": X, "y": Y}, ("labels=tokens",)),
        ({"x": X, "y": np.array(["a", "b"] * 50)}, ("labels=numbers",)),
        ({"x": X, "y": Y}, ("inputs=tokens",)),
        ({"x": np.ones((ROWS, 3), int), "y": Y}, ("standardize=inputs",)),
        ({"x": X, "y": Y}, ("target=y",)),
        ({"x": X, "y": Y}, ("image_size=8",)),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y}, ()),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, ()),
    ],
)
def test_arrays_of_which_no_data_set_can_be_made_are_refused(tmp_path, named, settings, snapshot):
    assert message_of(arrays(tmp_path, **named), *settings) == snapshot


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        ({"a": X[:, 0], "b": Y}, ()),
        ({"a": X[:, 0], "price": Y}, ("target=prize",)),
        ({"a": X[:, 0], "b": Y}, ("target=b", "drop=c")),
        ({"a": X[:, 0], "b": Y}, ("target=b", "drop=a")),
        ({"a": NOT_A_NUMBER[:, 1], "b": Y}, ("target=b",)),
        ({"a": X[:, 0], "b": NOT_A_NUMBER[:, 1]}, ("target=b",)),
        ({"a": [np.inf] * ROWS, "b": Y}, ("target=b",)),
        ({"a": [f"name {row}" for row in range(ROWS)], "b": Y}, ("target=b",)),
    ],
)
def test_tables_of_which_no_data_set_can_be_made_are_refused(tmp_path, columns, settings, snapshot):
    assert message_of(table(tmp_path, **columns), *settings) == snapshot


def test_times_in_a_table_are_refused(tmp_path):
    pytest.importorskip("pyarrow")
    times = pd.date_range("2026-01-01", periods=ROWS)
    pd.DataFrame({"a": times, "b": Y}).to_parquet(tmp_path / "t.parquet")
    assert message_of(tmp_path / "t.parquet", "target=b").startswith(
        "column a has times; make numbers of them"
    )
    assert message_of(tmp_path / "t.parquet", "target=a").startswith("column a has times; a target is")


def test_folders_without_pictures_and_broken_pictures_are_refused(tmp_path, snapshot):
    (tmp_path / "empty").mkdir()
    folder = pictures(tmp_path)
    (folder / "cat" / "00.png").write_bytes(b"no picture")
    messages = [message_of(tmp_path / "empty"), message_of(folder, "target=a")]
    assert messages == snapshot
    assert message_of(folder).startswith("cat/00.png is no readable picture (cannot identify image file ")


@pytest.mark.parametrize(
    "assignment",
    [
        "test",
        "test=1",
        "test=much",
        "labels=names",
        "shuffle=maybe",
        "image_size=0",
        "tests=0.1",
        "standardize=x",
    ],
)
def test_a_setting_that_is_none_is_refused(assignment, snapshot):
    with pytest.raises(UsageError) as caught:
        parse_settings([assignment])
    assert str(caught.value) == snapshot


def test_a_setting_is_given_once():
    with pytest.raises(UsageError, match="test is given twice"):
        parse_settings(["test=0.1", "test=0.2"])
