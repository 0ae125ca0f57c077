"""Real CIFAR-10: its images, and a run on them; only where HARNESS_TEST_CIFAR10 names an archive."""

import json
import os

import numpy as np
import pytest

from harness_tasks.datasets import SOURCES

ARCHIVE = os.environ.get("HARNESS_TEST_CIFAR10", "")

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not ARCHIVE, reason="HARNESS_TEST_CIFAR10 names no archive of CIFAR-10"),
]


@pytest.fixture(scope="module")
def with_images(tmp_path_factory, harness_in):
    harness = harness_in(tmp_path_factory.mktemp("cifar10"))
    imported = harness("data", "import", "cifar10", ARCHIVE)
    assert imported.returncode == 0, imported.stderr
    return harness


@pytest.mark.slow
def test_the_images_are_those_that_are_published(with_images, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", with_images.environment["HARNESS_DATA_DIR"])
    dataset = SOURCES["cifar10"].load()
    assert (len(dataset.train), len(dataset.test)) == (50_000, 10_000)
    assert np.bincount(dataset.train.targets).tolist() == [5_000] * 10
    assert np.bincount(dataset.test.targets).tolist() == [1_000] * 10
    # The means of the channels of CIFAR-10's training images, as widely published.
    means = dataset.train.inputs[::10].mean(axis=(0, 1, 2)) / 255
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)


@pytest.mark.long
def test_an_epoch_learns_and_is_recorded(with_images):
    pytest.importorskip("torch")
    harness = with_images
    call = ("run", "--backend", "torch", "--task", "cnn", "--epochs", "1", "--no-certify")
    done = harness(*call, "--format", "json", timeout=800)
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)["records"]
    assert record["dataset"]["name"] == "cifar10"
    assert record["dataset"]["stands_in_for"] is None
    assert record["dataset"]["samples"] == {"train": 45_000, "validation": 5_000, "test": 10_000}
    assert record["parameters"] == 315_722
    # Plain Keras reaches 0.28 to 0.33 after its first epoch; chance is 0.10.
    assert 0.25 < record["test_at_last"]["accuracy"] < 0.40
    assert record["epochs"][0]["steps"] == 704
    assert record["phases"]["training_seconds"] == pytest.approx(
        sum(block["seconds"] for block in record["blocks"])
    )
    assert record["phases"]["first_step_seconds"] == record["blocks"][0]["seconds"]
    assert record["measured"]["peak_memory_bytes"] > 45_000 * 32 * 32 * 3 * 4
