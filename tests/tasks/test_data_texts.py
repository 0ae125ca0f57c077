"""Texts in windows: every character is predicted once, in order, and no part sees another."""

import hashlib
import string

import numpy as np
import pytest

from harness.core.training.splits import split_samples
from harness.errors import DataError
from harness_tasks.datasets import SOURCES, texts
from harness_tasks.datasets.texts import OTHER, reduced, text_dataset, window_counts
from harness_tasks.windows import CONTEXT, VOCABULARY

TINYSHAKESPEARE, PYDOC = SOURCES["tinyshakespeare"], SOURCES["pydoc"]
TEXT = "".join(np.random.default_rng(0).choice(list(string.ascii_letters), 10_000))


def _text(dataset, samples):
    """The characters that are read, and those that are predicted."""
    return tuple(
        "".join(dataset.classes[token] for token in array.ravel().tolist())
        for array in (samples.inputs, samples.targets)
    )


def test_windows_follow_each_other_and_targets_are_the_next_characters():
    dataset = text_dataset("made", "made up", TEXT)
    ends = [0, 9000, 9500, 10_000]
    parts = [dataset.train, dataset.validation, dataset.test]
    for first, last, samples in zip(ends, ends[1:], parts, strict=False):
        whole = TEXT[first:last]
        count = (len(whole) - 1) // CONTEXT
        assert samples.inputs.shape == samples.targets.shape == (count, CONTEXT)
        assert samples.inputs.dtype == samples.targets.dtype == np.int64
        assert _text(dataset, samples) == (whole[: count * CONTEXT], whole[1 : count * CONTEXT + 1])
    assert window_counts(len(TEXT)) == tuple(map(len, parts))
    assert dataset.classes == tuple(sorted(set(TEXT)))


def test_the_harness_passes_tokens_on_unscaled():
    dataset = text_dataset("made", "made up", TEXT)
    splits = split_samples(dataset, "float32", tokens=True)
    assert np.array_equal(splits["train"].inputs, dataset.train.inputs)
    assert splits["train"].inputs.dtype == np.int64
    assert np.array_equal(splits["validation"].targets, dataset.validation.targets)


def test_a_text_is_reduced_to_its_most_frequent_characters():
    text = string.ascii_letters * 3 + string.digits * 2 + "é"
    assert reduced(text) == text  # of 63 characters
    assert reduced(text + "üöäß") == text[:-1] + OTHER * 3 + "äß"  # those two come first in Unicode
    assert len(set(reduced(text + "üöäß"))) == VOCABULARY


def test_pydoc_is_always_there_and_has_the_vocabulary_of_tinyshakespeare():
    dataset = PYDOC.load()
    assert PYDOC.is_ready()
    assert len(dataset.classes) == VOCABULARY
    assert OTHER in dataset.classes
    assert "Python" in dataset.origin
    counts = {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)}
    assert PYDOC.summarize().samples == counts
    assert min(counts.values()) > 100


def test_pydoc_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setattr(texts, "_MODULE", "no_such_package.topics")
    assert not PYDOC.is_ready()
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="without no_such_package"):
        PYDOC.load()


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A file that passes for the published one."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "shakespeare.txt"
    file.write_text(TEXT, "ascii")
    monkeypatch.setattr(texts, "SHA256", hashlib.sha256(TEXT.encode()).hexdigest())
    monkeypatch.setattr(texts, "CHARACTERS", len(TEXT))
    return file


def test_an_import_keeps_the_file(published):
    assert not TINYSHAKESPEARE.is_ready()
    with pytest.raises(DataError, match="harness data fetch tinyshakespeare"):
        TINYSHAKESPEARE.load()
    imported = TINYSHAKESPEARE.import_from(published)
    assert TINYSHAKESPEARE.is_ready()
    published.unlink()
    assert TINYSHAKESPEARE.load().fingerprint == imported.fingerprint
    assert TINYSHAKESPEARE.summarize().samples["train"] == len(imported.train)


def test_another_file_is_refused_with_both_checksums_and_the_copy_kept(published, tmp_path):
    kept = TINYSHAKESPEARE.import_from(published).fingerprint
    other = tmp_path / "other.txt"
    other.write_text("To be, or not to be")
    with pytest.raises(DataError) as caught:
        TINYSHAKESPEARE.import_from(other)
    for content in (other.read_bytes(), TEXT.encode()):
        assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert str(caught.value).count("\n") == 1
    assert TINYSHAKESPEARE.load().fingerprint == kept
    with pytest.raises(DataError, match=r"Is a directory.*expected: the file"):
        TINYSHAKESPEARE.import_from(tmp_path)


def test_a_damaged_copy_is_refused(published, tmp_path):
    TINYSHAKESPEARE.import_from(published)
    (tmp_path / "data" / "tinyshakespeare" / "input.txt").write_text("short")
    with pytest.raises(DataError, match=r"damaged.*harness data import tinyshakespeare PATH"):
        TINYSHAKESPEARE.load()


def test_a_failed_download_states_the_way_out(published, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(texts, "URL", "http://127.0.0.1:9/input.txt")
    with pytest.raises(DataError, match="harness data import tinyshakespeare PATH"):
        TINYSHAKESPEARE.fetch(lambda *_: None)
    assert not TINYSHAKESPEARE.is_ready()
    TINYSHAKESPEARE.import_from(published)
    TINYSHAKESPEARE.fetch(lambda *_: None)  # nothing to do
