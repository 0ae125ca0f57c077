"""Weights to start from: arrays of a file by full names or those of a framework, and what is refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.core.training.initial import initial_weights
from harness.core.training.start import start_of, started
from harness.errors import UsageError
from harness.layers import Native, NativeArray, NativeModel
from harness.network import Network
from harness.spec.task import Classification, Sgd, Start, Task
from harness.tracing.calls import Stored

RNG = np.random.default_rng(0)
KERNEL, BIAS = "model/native_1/fc/kernel", "model/native_1/fc/bias"


def task_of(start=None):
    arrays = (
        NativeArray("fc/kernel", (4, 3), 0.1, {"torch": Stored("fc.weight", axes=(1, 0))}),
        NativeArray("fc/bias", (3,), "zeros", {"torch": Stored("fc.bias")}),
    )
    layer = Native((NativeModel("torch", "net.py:make"),), arrays, (3,))
    return Task(
        name="own",
        version=1,
        networks={"model": Network((4,), (layer,))},
        objective=Classification(),
        optimizer=Sgd(0.1),
        batch_size=4,
        epochs=1,
        start=start,
    )


def saved(path, **arrays):
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, path)
    return start_of(path)


def test_names_of_the_framework_are_read_in_its_layout(tmp_path):
    weight, bias = RNG.normal(size=(3, 4)), RNG.normal(size=3)
    start = saved(tmp_path / "w.safetensors", **{"fc.weight": weight, "fc.bias": bias})
    found = initial_weights(task_of(start), seed=1)
    np.testing.assert_array_equal(found[KERNEL], weight.T.astype(np.float32))
    np.testing.assert_array_equal(found[BIAS], bias.astype(np.float32))
    assert found[KERNEL].dtype == np.float64


def test_full_names_are_those_that_harness_writes(tmp_path):
    kernel = RNG.normal(size=(4, 3))
    start = saved(tmp_path / "w.safetensors", **{KERNEL: kernel})
    np.testing.assert_array_equal(started(task_of(), start)[KERNEL], kernel.astype(np.float32))


def test_what_the_file_lacks_or_has_in_another_shape_is_drawn_from_the_seed(tmp_path):
    start = saved(tmp_path / "w.safetensors", **{"fc.weight": np.ones((7, 4)), "fc.bias": np.ones(3)})
    found, drawn = initial_weights(task_of(start), seed=1), initial_weights(task_of(), seed=1)
    np.testing.assert_array_equal(found[KERNEL], drawn[KERNEL])
    np.testing.assert_array_equal(found[BIAS], np.ones(3))


def test_a_file_without_an_array_of_the_model_is_refused_with_the_names_of_both(tmp_path):
    start = saved(tmp_path / "w.safetensors", other=np.ones(3))
    with pytest.raises(UsageError, match=r"It has other; the model has fc\.weight, fc\.bias"):
        started(task_of(), start)


def test_a_file_that_changed_since_the_run_was_planned_is_refused(tmp_path):
    start = saved(tmp_path / "w.safetensors", **{"fc.bias": np.ones(3)})
    saved(tmp_path / "w.safetensors", **{"fc.bias": np.zeros(3)})
    with pytest.raises(UsageError, match="has changed since the run was planned"):
        started(task_of(), start)


def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        start_of(tmp_path / "none.safetensors")
    (path := tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(UsageError, match="is no safetensors file that NumPy reads"):
        started(task_of(), start_of(path))
    assert start_of(path) == Start(str(path), start_of(path).sha256)
