"""The guide on one's own models and data: its files and commands work in an empty folder, in order."""

import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.pages import blocks, commands, module

PAGE = "docs/how-to/use-your-own-model-and-data.md"
SHORT = ("--epochs", "1", "--no-certify")
#: A network for the table and the pictures, in place of the one for the arrays.
OTHERS = """
from torch import nn

def make(inputs, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))
"""


@pytest.fixture
def folder(harness):
    """The user's folder, with the files that the page names."""
    for name in ("make_data", "net", "knet"):
        (harness.folder / f"{name}.py").write_text(module(PAGE, name))
    (harness.folder / "other.py").write_text(OTHERS)
    random = np.random.default_rng(0)
    columns = {
        "size": random.normal(size=60),
        "rooms": random.integers(1, 5, 60),
        "city": ["Oslo", "Rome"] * 30,
    }
    table = {**columns, "id": range(60), "address": [f"{row} Street" for row in range(60)]}
    pd.DataFrame({**table, "price": columns["size"] * 1e5}).to_csv(harness.folder / "houses.csv", index=False)
    for name in ("cat", "dog"):
        (harness.folder / "photos" / name).mkdir(parents=True)
        for number in range(60):
            pixels = random.integers(0, 256, (20 + number % 2, 20, 3), np.uint8)
            Image.fromarray(pixels).save(harness.folder / "photos" / name / f"{number}.png")
    return harness


def shown(line):
    """The first command of the page that begins so."""
    calls = (words for block in blocks(PAGE, "sh") for words in commands(block))
    return next(words[1:] for words in calls if shlex.join(words).startswith(line))


def of_other(words, inputs, outputs):
    """The command, with a network that fits its data."""
    place = words.index("net.py:make")
    sized = ["other.py:make", "--set-model", f"inputs={inputs}", "--set-model", f"outputs={outputs}"]
    return [*words[:place], *sized, *words[place + 1 :]]


#: What shortens the commands of the afternoon.
BRIEF = {
    "run": ("--epochs", "2", "--jobs", "2"),
    "port": (),
    "study": ("--epochs", "1", "--trials", "1", "--seeds", "3", "--variants", "adam,sgd"),
    "report": (),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_afternoon_leads_from_an_array_to_a_table_for_a_paper(folder):
    pytest.importorskip("keras")
    subprocess.run([sys.executable, "make_data.py"], cwd=folder.folder, check=True)
    calls = [words[1:] for block in blocks(PAGE, "sh") for words in commands(block) if words[0] == "harness"]
    afternoon = calls[: 1 + next(place for place, words in enumerate(calls) if words[0] == "report")]
    assert [words[0] for words in afternoon] == ["run", "port", "run", "run", "run", "study", "report"]
    done = [folder.ok(*words, *BRIEF[words[0]]) for words in afternoon]
    first, proof, both, initial, loss, study, _ = done
    understood, equal = (block.text.strip() for block in blocks(PAGE, "text")[:2])
    assert understood in first.stderr.splitlines()
    assert "net.py:make and knet.py:make are the same" in proof.stdout
    assert equal in both.stdout
    records = [record for record in folder.records() if record["task"]["name"] == "net_knet"]
    assert [record["certificate"]["certified"] for record in records] == [True] * 10
    for compared, names in ((initial, ("default", "orthogonal", "small")), (loss, ("net.py:focal", "none"))):
        rows = [line.split()[0] for line in compared.stdout.splitlines() if line]
        assert set(names) <= set(rows)
    assert "Validation accuracy of the trials" in study.stdout
    table = (folder.folder / "table.tex").read_text()
    assert "orthogonal & 5 &" in table
    assert "Trained with epochs" not in table  # of a model of one's own, the default is not known


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_other_commands_of_the_page_run(folder):
    subprocess.run([sys.executable, "make_data.py"], cwd=folder.folder, check=True)
    first = folder(*shown("harness run --model net.py:make --dataset sensors.npz")[:5], *SHORT)
    assert first.returncode == 0, first.stderr
    split = folder(*shown("harness run --model net.py:make --dataset sensors.npz --set-data"), *SHORT)
    table = folder(*of_other(shown("harness run --model net.py:make --dataset houses.csv"), 4, 1), *SHORT)
    photos = folder(
        *of_other(shown("harness run --model net.py:make --dataset photos"), 64 * 64 * 3, 2), *SHORT
    )
    cnn = folder(*shown("harness run --backend torch,jax --task cnn"), "--max-steps", "1", *SHORT)
    for done in (split, table, photos, cnn):
        assert done.returncode == 0, done.stderr
    records = folder.records()
    data = [record["dataset"] for record in records]
    assert [each["name"] for each in data] == ["sensors.npz"] * 2 + ["houses.csv:price"] + ["photos/"] * 3
    assert data[0]["fingerprint"] != data[1]["fingerprint"]
    assert data[0]["samples"] == {"train": 1440, "validation": 160, "test": 400}
    assert data[1]["file"]["settings"] == {"test": 0.3, "standardize": "inputs"}
    assert data[2]["file"] == {
        "path": str(folder.folder / "houses.csv"),
        "settings": {"target": "price", "drop": "id,address"},
    }
    assert records[2]["task"]["description"]["objective"]["type"] == "regression"
    assert data[3]["fingerprint"] != data[4]["fingerprint"] == data[5]["fingerprint"]
