"""From a data set to training, validation and test samples."""

import dataclasses

import msgspec
import numpy as np
import pytest

from harness.core.training.splits import at_most, split_samples, with_class_weights
from harness.spec.backend import Plan
from harness.spec.data import Dataset, Samples
from harness.spec.task import BinaryClassification, Classification, Imbalance
from harness_tasks.cnn import CNN
from harness_tasks.tabular import TABULAR

COUNT = 97


def _samples(count, first):
    """Rows that tell their number in their pixels and in their target."""
    numbers = np.arange(first, first + count)
    inputs = np.stack([numbers % 256, numbers // 256, numbers * 7 % 256], axis=-1).astype(np.uint8)
    return Samples(inputs.reshape(count, 1, 1, 3), numbers.astype(np.int64))


DATASET = Dataset(
    name="numbers",
    fingerprint="",
    origin="made here",
    classes=(),
    train=_samples(COUNT, 0),
    test=_samples(300, 1000),
    input_divisor=255.0,
)


def test_training_and_validation_are_disjoint_and_complete():
    splits = split_samples(DATASET, "float32")
    assert list(splits) == ["train", "validation", "test"]
    train, validation = splits["train"].targets, splits["validation"].targets
    assert len(validation) == 10
    assert sorted([*train, *validation]) == list(range(COUNT))
    assert validation.tolist() == sorted(validation)
    assert train.tolist() == sorted(train)


def test_the_validation_samples_are_pinned():
    # Records of all seeds and machines are scored on these.
    chosen = split_samples(DATASET, "float32")["validation"].targets.tolist()
    assert chosen == [4, 9, 17, 23, 60, 64, 65, 81, 83, 92]


def test_at_most_so_many_samples_are_the_same_choice_at_every_call():
    test = split_samples(DATASET, "float32")["test"]
    some, again = at_most(test, 30), at_most(test, 30)
    rows = some.targets - 1000
    assert (len(rows), len(set(rows.tolist()))) == (30, 30)
    assert rows.tolist() == sorted(rows.tolist()) == (again.targets - 1000).tolist()
    assert np.array_equal(some.inputs, test.inputs[rows])
    assert set(np.diff(rows).tolist()) > {1}  # spread, and not periodic
    with pytest.raises(ValueError, match="read-only"):
        some.inputs[:] = 0


@pytest.mark.parametrize("count", [None, 300, 500])
def test_no_more_samples_than_there_are(count):
    test = split_samples(DATASET, "float32")["test"]
    assert at_most(test, count) is test


def test_test_data_is_passed_through_in_order():
    test = split_samples(DATASET, "float64")["test"]
    assert np.array_equal(test.targets, DATASET.test.targets)
    assert np.array_equal(test.inputs * 255, DATASET.test.inputs)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "f4"), ("bfloat16", "f4"), ("float64", "f8")])
def test_pixels_are_divided_in_the_precision_of_the_run(precision, dtype):
    for name, samples in split_samples(DATASET, precision).items():
        source = DATASET.test if name == "test" else DATASET.train
        rows = np.searchsorted(source.targets, samples.targets)
        expected = source.inputs[rows].astype(dtype) / np.dtype(dtype).type(255)
        assert samples.inputs.dtype == np.dtype(dtype)
        assert samples.inputs.tobytes() == expected.tobytes()
        assert samples.targets.dtype == np.int64


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_splits_are_read_only_and_share_no_memory_with_the_data_set(precision):
    for name, samples in split_samples(DATASET, precision).items():
        source = DATASET.test if name == "test" else DATASET.train
        for array, of_source in [(samples.inputs, source.inputs), (samples.targets, source.targets)]:
            assert not np.shares_memory(array, of_source)
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0


def test_a_fraction_applies_to_the_training_data_and_contains_smaller_fractions():
    whole, half, fifth = (
        split_samples(DATASET, "float32", train_fraction=share) for share in (1.0, 0.5, 0.2)
    )
    assert [len(splits["train"]) for splits in (whole, half, fifth)] == [87, 44, 17]
    assert set(fifth["train"].targets) < set(half["train"].targets) < set(whole["train"].targets)
    for split in ("validation", "test"):
        assert np.array_equal(whole[split].targets, fifth[split].targets)


def test_a_class_without_rows_stays_empty_when_classes_are_balanced():
    targets = np.array([2] * 6 + [0] * 3, np.int64)
    train = Samples(np.arange(9, dtype=np.float32).reshape(9, 1), targets)
    dataset = dataclasses.replace(DATASET, classes=("a", "b", "c"), train=train, validation=train, test=train)
    balanced = split_samples(dataset, "float32", Imbalance(keep=1.0, rebalance="oversample"))["train"]
    assert np.bincount(balanced.targets, minlength=3).tolist() == [6, 0, 6]


def test_an_empty_validation_split_is_not_replaced():
    nothing = Samples(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0, np.int64))
    splits = split_samples(dataclasses.replace(DATASET, validation=nothing), "float32")
    assert (len(splits["validation"]), len(splits["train"])) == (0, COUNT)


def _weighted(definition, classes, **changes):
    options = msgspec.structs.replace(definition.options(), imbalance=0.5, rebalance="weights")
    task = msgspec.structs.replace(definition.define(options), **changes)
    targets = np.array([0, 0, 0, 1])
    plan = Plan(task=task, mode="eager", threads=1, seed=0)
    return with_class_weights(plan, Samples(np.zeros((4, 1)), targets), classes).task.objective


def test_class_weights_keep_the_kind_of_objective():
    assert _weighted(TABULAR, 2) == BinaryClassification((4 / 6, 2.0))
    smoothed = _weighted(CNN, 2, objective=Classification(label_smoothing=0.1))
    assert smoothed == Classification((4 / 6, 2.0, *[1.0] * 8), label_smoothing=0.1)
