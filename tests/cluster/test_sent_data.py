"""Data sets that the driver sends: kept by fingerprint, read by workers, never half or damaged."""

from pathlib import Path

import numpy as np
import pytest

from harness.cluster import sent_data
from harness.core.plugins import files, registry
from harness.core.runs.request import loaded
from harness.errors import DataError


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(sent_data.SENT_VARIABLE, "{}")
    return loaded("digits")


def test_a_sent_data_set_is_read_as_it_was(digits):
    assert not sent_data.is_kept(digits.fingerprint)
    sent_data.keep(digits)
    read = sent_data.read(digits.fingerprint)
    for split in ("train", "test"):
        ours, theirs = getattr(digits, split), getattr(read, split)
        assert np.array_equal(ours.inputs, theirs.inputs)
        assert ours.inputs.dtype == theirs.inputs.dtype
        assert np.array_equal(ours.targets, theirs.targets)
    assert (read.name, read.origin, read.classes) == (digits.name, digits.origin, digits.classes)
    assert (read.input_divisor, read.series, read.validation) == (digits.input_divisor, None, None)


def test_workers_find_it_by_name_instead_of_their_own(digits, monkeypatch):
    sent_data.keep(digits)
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", sent_data.__file__)
    monkeypatch.setattr(registry, "tried_apart", False)
    assert registry.dataset("digits").summary != "sent by the driver"
    sent_data.announce("digits", digits.fingerprint)
    assert registry.dataset("digits").summary == "sent by the driver"
    assert registry.dataset("digits").load().fingerprint == digits.fingerprint
    assert registry.dataset("mnist1d").summary != "sent by the driver"


def test_damaged_data_is_refused_and_sent_again(digits, tmp_path):
    sent_data.keep(digits)
    (path,) = tmp_path.rglob("train-inputs.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not sent_data.is_kept(digits.fingerprint)
    with pytest.raises(DataError, match="damaged"):
        sent_data.read(digits.fingerprint)
    sent_data.keep(digits)
    assert sent_data.is_kept(digits.fingerprint)
    assert not list(tmp_path.rglob("dl-harness-*"))


def test_the_program_of_harness_reads_sent_data_without_the_plugins_of_others(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", "")
    files.name_plugin_files([Path(sent_data.__file__), tmp_path / "theirs.py"])
    assert files.own_plugin_files() == str(Path(sent_data.__file__).resolve())
