"""Files of the user's own as data sets of commands: what runs, what is recorded, what is refused."""

import shutil

import numpy as np
import pandas as pd
import pytest

from harness.core.shell.data_option import is_path

MODEL = "from torch import nn\ndef make(outputs=2):\n    return nn.Linear(3, outputs)\n"


def save(folder, labels, shape=(3,), rows=60):
    """Write ``data.npz`` with random inputs and these labels, repeated for all rows."""
    x = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.resize(labels, rows))


def test_files_and_names_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "data.txt").touch()
    paths = ("missing.npz", "table.CSV", "photos", "./digits", "data.txt", "../data")
    assert [text for text in (*paths, "digits", "my-data", "my.data") if is_path(text)] == [*paths]


def test_settings_are_for_files(quick):
    done = quick("run", "--backend", "torch", "--task", "mlp", "--dataset", "mnist1d", "--target", "y")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--target, --image-size and --set-data are for a file of your own" in done.stderr


def test_a_bad_file_is_refused_before_anything_is_made(quick):
    save(quick.folder, [1])
    done = quick("run", "--backend", "torch", "--task", "mlp", "--dataset", "data.npz")
    assert (done.returncode, done.stderr) == (
        2,
        "harness: data.npz: y has one class, 1; expected two or more\n",
    )
    assert not list(quick.folder.glob("results/*/*"))


@pytest.mark.parametrize(
    ("labels", "shape", "why"),
    [
        ([0, 1], (3,), "has inputs of shape (48, 3); expected: (n, 40, 1)"),
        (range(11), (40, 1), "has targets from 0 to 10; expected: classes from 0 to 9"),
        ([0.5, 1.5], (40, 1), "has targets of float64; expected: integers"),
    ],
)
def test_a_built_in_task_whose_shapes_do_not_fit_is_refused(quick, labels, shape, why):
    save(quick.folder, labels, shape)
    done = quick("run", "--backend", "torch", "--task", "mlp", "--dataset", "data.npz", "--quiet")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert why in done.stderr
    assert "It runs on: mnist1d; --model trains a model of your own." in done.stderr


@pytest.mark.parametrize(
    ("labels", "outputs", "expected"),
    [
        (range(3), 2, "the shape (batch, 2); expected (batch, 3), one for each class"),
        ([0.5, 1.5], 2, "the shape (batch, 2); expected (batch, 1), a number for each target"),
    ],
)
def test_a_model_whose_outputs_do_not_fit_is_refused(harness, labels, outputs, expected):
    save(harness.folder, labels)
    (harness.folder / "net.py").write_text(MODEL)
    done = harness(
        *("run", "--model", "net.py:make", "--set-model", f"outputs={outputs}"),
        *("--dataset", "data.npz", "--quiet"),
    )
    assert done.returncode == 2
    assert expected in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_on_a_file_is_recorded_reused_and_scored_again(harness):
    """A single output is the logit of the second of two classes."""
    cache = harness.folder / "cache"
    harness.environment["HARNESS_CACHE_DIR"] = str(cache)
    x = np.random.default_rng(0).normal(size=(200, 3))
    names = np.where(x[:, 0] > 0, "yes", "no")
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "kind": names})
    table.to_csv(harness.folder / "t.csv", index=False)
    (harness.folder / "net.py").write_text(MODEL)
    model = ("--model", "net.py:make", "--set-model", "outputs=1", "--set", "learning_rate=0.5")
    trained = ("run", *model, "--dataset", "t.csv", "--target", "kind", "--epochs", "5", "--save-weights")
    done = harness(*trained)
    assert done.returncode == 0, done.stderr
    assert (
        "t.csv:kind: inputs (3,) float32, column kind: 2 classes; 160 training, 40 test samples"
        in done.stderr
    )
    (record,) = harness.records()
    assert record["test_at_last"]["accuracy"] > 0.8
    assert record["dataset"]["file"] == {
        "path": str(harness.folder / "t.csv"),
        "settings": {"target": "kind"},
    }
    assert record["task"]["description"]["objective"]["type"] == "binary_classification"
    again = harness(*trained)
    assert (again.returncode, len(harness.records())) == (0, 1), again.stderr
    plugin = ("--plugin", "results/models/net.py")
    shutil.rmtree(cache / "kept-data")
    scored = harness("score", "last", *plugin, "--format", "json")
    assert scored.returncode == 0, scored.stderr
