"""What a data set's own code raises is reported as a fault of the data set."""

from unittest.mock import Mock

import pytest

from harness.errors import DataError
from harness.plugins import registry
from harness.runs.request import ask_source


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MemoryError("Unable to allocate 8 EiB"),
            "data set big does not fit into memory: Unable to allocate 8 EiB",
        ),
        (OverflowError("too\udcffbig"), r"data set big raised OverflowError: too\\udcffbig"),
    ],
)
def test_a_size_that_is_impossible_is_no_matter_of_batches(error, message, monkeypatch):
    source = Mock()
    source.load.side_effect = error
    monkeypatch.setattr(registry, "dataset", lambda _name: source)
    with pytest.raises(DataError, match=message) as raised:
        ask_source("big", lambda source: source.load())
    assert "batch" not in str(raised.value)
