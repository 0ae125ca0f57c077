"""The page of explanations: heat maps, bars and coloured texts, and whether frameworks agree."""

import re

import msgspec
import numpy as np
import pytest
from support.charts import valid
from support.records import make_record
from support.training_cases import program, task, weights

from harness.core.documents.document import Figure, Picture
from harness.core.documents.files import png_size
from harness.core.documents.render.html import html_page
from harness.core.documents.render.markdown import markdown
from harness.core.documents.render.terminal import terminal_text
from harness.core.plugins.configuration import Configuration
from harness.core.reference.training import NumpyBackend
from harness.layers import Conv2D, Dense, Embedding, Flatten
from harness.network import Network
from harness.spec.data import Samples
from harness.spec.task import BinaryClassification, Regression
from harness.weights.explain.charts import figures
from harness.weights.explain.explained import Explanation, explain
from harness.weights.explain.page import ExplainedRun, explanations_document

CLASSES = ["<x>", "<y>", "\n", "<z>"]
KINDS = {
    "pictures": task({"model": Network((8, 8, 3), (Conv2D(3, 3, "relu"), Flatten(), Dense(4)))}),
    "grey pictures": task({"model": Network((8, 8, 1), (Conv2D(3, 3, "relu"), Flatten(), Dense(4)))}),
    "series": task({"model": Network((40, 1), (Flatten(), Dense(4)))}),
    "table": task({"model": Network((15,), (Dense(1),))}, objective=BinaryClassification()),
    "forecast": task({"model": Network((12, 1), (Flatten(), Dense(1)))}, objective=Regression()),
    "text": task({"model": Network((6,), (Embedding(4, 3, 1.0), Dense(4)))}),
}


def explanation_of(of, folder, label="plain", **changes):
    made, rng = program(NumpyBackend(), of), np.random.default_rng(0)
    made.load(weights(of))
    shape = of.networks["model"].input_shape
    inputs = rng.integers(0, 4, (20, *shape)) if of.takes_tokens() else rng.random((20, *shape))
    targets = rng.integers(0, 2, (20, *shape) if of.predicts_positions() else 20)
    if isinstance(of.objective, Regression):
        targets = rng.random((20, 1))
    path = folder / f"{label}.npz"
    found = explain(made, of, Samples(inputs, targets), CLASSES, str(path))
    with np.load(path) as arrays:
        return Explanation(Configuration("numpy", label, "cpu", 1, "float64"), found, dict(arrays))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_has_its_figures(kind, tmp_path):
    pytest.importorskip("vl_convert")
    made = explanation_of(KINDS[kind], tmp_path)
    drawn = figures(made, [f"feature {number}" for number in range(1, 16)], "run-1")
    assert [figure.title for figure in drawn[: len(made.explained.answers)]] == [
        answer.text(CLASSES) for answer in made.explained.answers
    ]
    for figure in drawn:
        if isinstance(figure, Figure):
            valid(figure.chart)
    pictures = [figure for figure in drawn if isinstance(figure, Picture)]
    assert bool(pictures) == ("pictures" in kind)
    if pictures:
        width, height = png_size(pictures[0].png)
        assert width > 5 * height  # the picture and four maps
        assert pictures[-1].title == "First-layer filters"
    others = {figure.title for figure in drawn[len(made.explained.answers) :]}
    assert others == {"pictures": {"First-layer filters"}, "table": {"Permutation importance"}}.get(
        kind.removeprefix("grey "), set()
    )


def test_the_page_escapes_classes(tmp_path):
    pytest.importorskip("vl_convert")
    one = explanation_of(KINDS["text"], tmp_path)
    document = explanations_document([ExplainedRun(make_record("one"), "best", [one, one])])
    assert "<y>" in terminal_text(document)
    page = html_page(document)
    assert "&lt;y&gt;" in page
    assert "<y>" not in page + markdown(document)


def explained_runs(folder):
    """A run whose maps agree, one of a single framework, maps that differ, with NaN, and wrong gradients."""
    one = explanation_of(KINDS["series"], folder)
    maps = {name: array + 1e-8 * (name == "SmoothGrad") for name, array in one.arrays.items()}
    other = msgspec.structs.replace(one, arrays=maps)
    *_, last = one.explained.methods
    gaps = [np.full_like(array, np.nan) if name == last else array for name, array in one.arrays.items()]
    nan = msgspec.structs.replace(one, arrays=dict(zip(one.arrays, gaps, strict=True)))
    wrong = msgspec.structs.replace(one.explained.check, gradient_error=None)
    wrong = msgspec.structs.replace(one, explained=msgspec.structs.replace(one.explained, check=wrong))
    return [
        ExplainedRun(make_record("one"), "best", each)
        for each in ([one, one], [one], [one, other], [one, nan], [nan, one], [wrong])
    ]


def test_maps_that_differ_and_gradients_that_are_wrong_are_said_first(tmp_path, snapshot):
    runs = explained_runs(tmp_path)
    assert [run.agrees for run in runs] == [True, True, False, False, False, False]
    assert explanations_document(runs).headline == snapshot


@pytest.mark.slow
def test_the_command_explains_one_network_in_two_frameworks(harness):
    run = ("run", "--task", "mlp", "--no-certify", "--max-steps", "60", "--quiet")
    harness(*run, "--backend", "torch", "--save-weights")
    done = harness("explain", "last", "--backend", "torch,jax", "--quiet", "--to", "page.html")
    assert done.returncode == 0, done.stderr
    assert re.search(r"torch:eager and jax:jit are the same to 1e-09", done.stdout)
    assert (harness.folder / "page.html").read_text().startswith("<!doctype html>")

    harness(*run, "--backend", "paced", "--save-weights")
    assert harness("score", "last", "--backend", "torch").returncode == 0
    for arguments, words in (
        ((), "paced has no gradients"),
        (("--to", "page.pdf"), "must be one of .html, .md"),
        (("--to", "missing/page.html"), "folder missing does not exist"),
    ):
        refused = harness("explain", "last", "--quiet", *arguments)
        assert (refused.returncode, words in refused.stderr) == (2, True)
