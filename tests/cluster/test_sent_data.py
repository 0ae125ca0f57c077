"""Data sets that the driver sends: kept by fingerprint, read by workers, never half or damaged."""

from pathlib import Path

import numpy as np
import pytest

from harness.cluster import agent
from harness.core.plugins import files, registry
from harness.core.runs.request import loaded
from harness.errors import DataError


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(agent.SENT_VARIABLE, "{}")
    return loaded("digits")


def test_a_sent_data_set_is_read_as_it_was(digits):
    assert not agent.is_kept(digits.fingerprint)
    agent.keep(digits)
    read = agent.read(digits.fingerprint)
    for split in ("train", "test"):
        ours, theirs = getattr(digits, split), getattr(read, split)
        assert np.array_equal(ours.inputs, theirs.inputs)
        assert ours.inputs.dtype == theirs.inputs.dtype
        assert np.array_equal(ours.targets, theirs.targets)
    assert (read.name, read.origin, read.classes) == (digits.name, digits.origin, digits.classes)
    assert (read.input_divisor, read.series, read.validation) == (digits.input_divisor, None, None)


def test_workers_find_it_by_name_instead_of_their_own(digits, monkeypatch):
    agent.keep(digits)
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", agent.__file__)
    monkeypatch.setattr(registry, "tried_apart", False)
    assert registry.dataset("digits").summary != "sent by the driver"
    agent.announce("digits", digits.fingerprint)
    assert registry.dataset("digits").summary == "sent by the driver"
    assert registry.dataset("digits").load().fingerprint == digits.fingerprint
    assert registry.dataset("mnist1d").summary != "sent by the driver"


def test_damaged_data_is_refused_and_sent_again(digits, tmp_path):
    agent.keep(digits)
    (path,) = tmp_path.rglob("train-inputs.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not agent.is_kept(digits.fingerprint)
    with pytest.raises(DataError, match="damaged"):
        agent.read(digits.fingerprint)
    agent.keep(digits)
    assert agent.is_kept(digits.fingerprint)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_program_of_harness_reads_sent_data_without_the_plugins_of_others(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", "")
    files.name_plugin_files([Path(agent.__file__), tmp_path / "theirs.py"])
    assert files.own_plugin_files() == str(Path(agent.__file__).resolve())
