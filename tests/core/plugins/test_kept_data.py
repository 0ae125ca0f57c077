"""Data sets in the cache: kept by fingerprint, read by workers, never half or damaged."""

import numpy as np
import pytest

from harness.core.plugins import kept_data, registry
from harness.core.runs.request import loaded
from harness.errors import DataError


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(kept_data.KEPT_VARIABLE, "{}")
    return loaded("digits")


def test_a_kept_data_set_is_read_as_it_was(digits):
    assert not kept_data.is_kept(digits.fingerprint)
    kept_data.keep(digits)
    read = kept_data.read(digits.fingerprint)
    for split in ("train", "test"):
        ours, theirs = getattr(digits, split), getattr(read, split)
        assert np.array_equal(ours.inputs, theirs.inputs)
        assert ours.inputs.dtype == theirs.inputs.dtype
        assert np.array_equal(ours.targets, theirs.targets)
    assert (read.name, read.origin, read.classes) == (digits.name, digits.origin, digits.classes)
    assert (read.input_divisor, read.series, read.validation) == (digits.input_divisor, None, None)


def test_it_is_found_by_name_instead_of_a_plugin(digits):
    kept_data.keep(digits)
    assert not isinstance(registry.dataset("digits"), kept_data.KeptData)
    kept_data.announce("digits", digits.fingerprint)
    found = registry.dataset("digits")
    assert isinstance(found, kept_data.KeptData)
    assert found.load().fingerprint == digits.fingerprint
    assert found.summarize().samples == {"train": 1437, "test": 360}
    assert not isinstance(registry.dataset("mnist1d"), kept_data.KeptData)


def test_damaged_data_is_refused_and_written_again(digits, tmp_path):
    kept_data.keep(digits)
    (path,) = tmp_path.rglob("train-inputs.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not kept_data.is_kept(digits.fingerprint)
    with pytest.raises(DataError, match="damaged"):
        kept_data.read(digits.fingerprint)
    kept_data.keep(digits)
    assert kept_data.is_kept(digits.fingerprint)
    assert not list(tmp_path.rglob("dl-harness-*"))
