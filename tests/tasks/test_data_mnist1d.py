"""MNIST-1D: always the same sequences; global random states are unchanged."""

import os
import random

import numpy as np
import pytest

from harness_tasks.datasets import SOURCES, mnist1d


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("data")
        patch.setenv("HARNESS_DATA_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def dataset(cache):
    return SOURCES["mnist1d"].load()


def test_it_never_changes(dataset):
    # Records are compared by this: a change here makes all earlier results on mnist1d incomparable.
    assert dataset.fingerprint == "54b010b2f42eb746ea8922a8eafa78d970d58a5307dbb121ded9ba504063f5e1"


def test_shapes_classes_and_scale(dataset):
    assert SOURCES["mnist1d"].is_ready()
    assert dataset.train.inputs.shape == (4000, 40, 1)
    assert dataset.test.inputs.shape == (1000, 40, 1)
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.float32, np.int64)
    targets = np.concatenate([dataset.train.targets, dataset.test.targets])
    assert np.bincount(targets).tolist() == [500] * len(dataset.classes)
    inputs = np.concatenate([dataset.train.inputs, dataset.test.inputs]).astype(np.float64)
    assert (inputs.mean(), inputs.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert len(np.unique(inputs, axis=0)) == 5000


def test_loading_leaves_the_global_random_states_unchanged(dataset):
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = (random.random(), np.random.random())  # noqa: NPY002, S311
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert SOURCES["mnist1d"].load().fingerprint == dataset.fingerprint
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002, S311


def test_it_is_generated_once_and_then_read(dataset, cache, monkeypatch):
    monkeypatch.setattr(mnist1d, "_generate", lambda: pytest.fail("generated again"))
    again = SOURCES["mnist1d"].load()
    assert again.fingerprint == dataset.fingerprint
    for ours, theirs in ((again.train, dataset.train), (again.test, dataset.test)):
        assert np.array_equal(ours.inputs, theirs.inputs)
        assert np.array_equal(ours.targets, theirs.targets)
    assert [path.suffix for path in cache.iterdir()] == [".npz"]


def test_a_cache_that_is_not_writable_only_costs_time(dataset, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(mnist1d, "_generate", lambda: (dataset.train, dataset.test))
    assert SOURCES["mnist1d"].load().fingerprint == dataset.fingerprint


def test_a_damaged_cache_is_noticed_reported_in_one_line_and_replaced(dataset, cache, monkeypatch):
    """Cut, emptied or of something else, and with a bit flipped anywhere."""
    monkeypatch.setattr(mnist1d, "_generate", lambda: (dataset.train, dataset.test))
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    places = [*range(0, 160, 4), *range(160, len(whole), len(whole) // 20)]
    flipped = [whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :] for place in places]
    source = SOURCES["mnist1d"]
    for content in (*flipped, whole[: len(whole) // 2], b"not an archive", b""):
        path.write_bytes(content)
        lines = []
        source.fetch(lambda what, *_, lines=lines: lines.append(what))
        assert [str(path) in line and "damaged" in line for line in lines] in ([], [True])
        assert source.load().fingerprint == dataset.fingerprint
    with np.load(path) as arrays:
        assert np.array_equal(arrays["train_targets"], dataset.train.targets)
    assert [path.name for path in cache.iterdir()] == [path.name]


def test_what_killed_writers_left_is_deleted(dataset, cache, monkeypatch):
    monkeypatch.setattr(mnist1d, "_generate", lambda: (dataset.train, dataset.test))
    (path,) = cache.iterdir()
    old, new = (cache / f".{path.name}.{digit * 16}.tmp" for digit in "01")
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    path.unlink()
    SOURCES["mnist1d"].load()
    assert sorted(cache.iterdir()) == sorted([path, new])
    new.unlink()
