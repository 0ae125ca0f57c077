"""Weights that a run keeps: written with what they are of, and read as they were."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.pages import blocks
from support.records import make_record, save_runs

import harness as api
from harness.core.runs.leftovers import leftovers
from harness.core.runs.record import KeptFile, SavedWeights
from harness.core.runs.weights import repeating_command, weights_description
from harness.core.training.initial import initial_weights
from harness.core.training.weights import encoded
from harness.errors import UsageError
from harness.spec.description import description_sha256


@pytest.fixture
def kept(tmp_path):
    """A record in a folder of results, and the arrays of the last and of the best epoch that it kept."""
    store, record = save_runs(tmp_path), make_record("one")
    task = record.task.description
    record.task = msgspec.structs.replace(record.task, sha256=description_sha256(task))
    arrays = {which: initial_weights(task, seed) for seed, which in enumerate(("last", "best"))}
    files = {}
    for which, weights in arrays.items():
        content = encoded(weights, weights_description(record, which))
        name = store.save_beside(record, content, f"-{which}.safetensors")
        files[which] = KeptFile.of(name, content)
    record.weights = SavedWeights(files["last"], files["best"])
    store.save(record)
    return store, record, arrays


def test_weights_are_read_as_they_were_written(kept):
    store, record, arrays = kept
    for best, which in ((True, "best"), (False, "last")):
        read = api.load_weights("one", best=best, results=store.folder.parent)
        assert [*read] == [*record.task.description.weights()]
        assert all(np.array_equal(read[name], array) for name, array in arrays[which].items())
    record.weights.best = None  # the best epoch is the last one
    store.save(record)
    read = api.load_weights(store.folder / "one.json")
    assert all(np.array_equal(read[name], array) for name, array in arrays["last"].items())


def test_the_guide_reads_weights(kept, tmp_path, monkeypatch):
    (block,) = blocks("docs/how-to/keep-and-score-weights.md", "python")
    (tmp_path / "runs").rename(tmp_path / "moved")
    (tmp_path / "results").mkdir()
    (tmp_path / "moved").rename(tmp_path / "results" / "runs")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block.text, names)  # noqa: S102
    assert np.array_equal(names["kernel"], kept[2]["best"]["model/dense_1/kernel"])


def test_other_programs_read_names_shapes_and_what_the_weights_are_of(kept):
    from safetensors import safe_open

    store, record, _ = kept
    with safe_open(store.folder / record.weights.last.name, "numpy") as file:
        assert {name: file.get_slice(name).get_shape() for name in file.keys()} == {  # noqa: SIM118
            name: [*array.shape] for name, array in record.task.description.weights().items()
        }
        described = file.metadata()
    assert (described["record"], described["task_sha256"]) == (record.id, record.task.sha256)
    assert json.loads(described["task"])["name"] == record.task.name


def test_a_run_without_weights_names_the_command_that_keeps_them(kept):
    store, record, _ = kept
    record.weights = None
    store.save(record)
    with pytest.raises(UsageError, match=r"has kept no weights\. Train it again: harness run .*--save-w"):
        api.load_weights("one", results=store.folder.parent)
    command = repeating_command(record, store.folder)
    assert f"--task {record.task.name}" in command
    assert f"--results {store.folder.parent} " in command
    assert "--results" not in repeating_command(record, Path("results/runs"))


def foreign(_content):
    from safetensors.numpy import save

    return save({"a": np.zeros(2)})


CHANGES = {
    "is damaged": lambda content: content[: len(content) // 2],
    "-last.safetensors is damaged": lambda _: b"",
    "was changed after": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "is of another task": lambda _: encoded({}, {"task_sha256": "0" * 64, "record": "another"}),
    "no file of weights": foreign,
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_file_that_is_not_what_the_run_wrote_is_refused(kept, message):
    store, record, _ = kept
    path = store.folder / record.weights.last.name
    path.write_bytes(CHANGES[message](path.read_bytes()))
    with pytest.raises(UsageError, match=message):
        api.load_weights("one", best=False, results=store.folder.parent)


def test_a_file_that_is_larger_than_the_arrays_is_refused_before_it_is_read(kept):
    store, record, _ = kept
    with (store.folder / record.weights.last.name).open("ab") as file:
        file.truncate(2**36)  # a hole
    with pytest.raises(UsageError, match=r"it has more than \d+,\d+,\d+ bytes"):
        api.load_weights("one", best=False, results=store.folder.parent)


def test_a_name_with_a_nul_character_is_refused(kept):
    store, record, _ = kept
    record.weights.last = msgspec.structs.replace(record.weights.last, name="a\0b")
    store.save(record)
    with pytest.raises(UsageError, match="cannot be read: its name has a NUL"):
        api.load_weights("one", best=False, results=store.folder.parent)


def test_a_missing_file_is_named_with_the_command_that_makes_it(kept):
    store, record, _ = kept
    (store.folder / record.weights.last.name).unlink()
    with pytest.raises(UsageError, match=r"-last\.safetensors cannot be read.*--save-weights"):
        api.load_weights("one", best=False, results=store.folder.parent)


def test_weights_go_with_their_record(kept):
    store, record, _ = kept
    other = store.save_beside(make_record("other"), b"weights", "-last.safetensors")
    store.save(msgspec.structs.replace(record, status="running", process=None))
    (lost,) = leftovers(store.folder.parent)
    lost.remove()
    assert [path.name for path in store.folder.iterdir()] == [other]
