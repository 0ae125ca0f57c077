"""Pickles: arrays are accepted, everything else is refused and none of it is run."""

import contextlib
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness_tasks.datasets.unpickle import arrays_from_pickle


class Command:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_of_this_numpy(protocol):
    content = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    read = arrays_from_pickle(pickle.dumps(content, protocol), "batch")
    assert read["labels"] == [1, 2]
    assert np.array_equal(read["data"], content["data"])


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec])
def test_a_hostile_pickle_runs_nothing(protocol, function, tmp_path):
    marker = tmp_path / "marker"
    argument = {
        os.system: f"touch {marker}",
        os.mkdir: str(marker),
    }.get(function, f"__import__('os').mkdir({str(marker)!r})")
    content = pickle.dumps({"data": Command(function, argument)}, protocol)

    with pytest.raises(DataError, match="batch is not a pickle of NumPy arrays: it asks for"):
        arrays_from_pickle(content, "batch")

    assert not marker.exists()
    pickle.loads(content)  # noqa: S301
    assert marker.exists(), "the pickle was harmless, so that the test showed nothing"


@pytest.mark.parametrize(
    "name", ["numpy load", "numpy.core.multiarray fromfile", "builtins getattr", "numpy ndarray.dump"]
)
def test_other_names_of_numpy_are_refused_too(name):
    content = b"c" + name.replace(" ", "\n").encode() + b"\n."
    with pytest.raises(DataError, match="it asks for"):
        arrays_from_pickle(content, "batch")


@settings(deadline=None)
@given(content=st.binary(max_size=40))
def test_anything_else_raises_a_data_error(content):
    with contextlib.suppress(DataError):
        arrays_from_pickle(content, "batch")


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">f4", "f2", "?", "S5", "<U7"])
def test_arrays_of_every_plain_type(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    read = arrays_from_pickle(pickle.dumps(array, 3), "batch")
    assert (read.dtype.name, read.tolist()) == (array.dtype.name, array.tolist())
