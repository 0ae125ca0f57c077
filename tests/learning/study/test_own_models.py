"""Studies of the user's own models: what each task is asked, and the study of its variants."""

import re
import types

import pytest

from harness.core.runs.matrix import OwnTask
from harness.errors import UsageError
from harness.learning.study.own_models import VARIANTS, of_task, variants_kind
from harness.learning.study.parts import check_names
from harness.learning.study.variants import Design, StudyOptions

GRID = OwnTask(["torch"], ["width=16", "width=64", "act=relu", "own_loss=none", "own_loss=l.py:focal"])


def given(kind="optimizers", own=GRID, **changes):
    own = {} if own is None else {"net": own}
    asked = {"kind": kind, "own": own, "backends": [], "assignments": ["epochs=3"], **changes}
    return types.SimpleNamespace(**asked)


def test_the_variants_are_the_combinations_of_values():
    kind = variants_kind({"net": GRID})
    names = [variant.name for variant in kind.variants]
    assert names == [
        f"width={width} own_loss={loss}" for width in (16, 64) for loss in ("none", "l.py:focal")
    ]
    assert kind.variants[1].assignments == ("width=16", "own_loss=l.py:focal")
    check_names(kind)


def test_variants_are_chosen_by_their_names():
    kind = variants_kind({"mlp": OwnTask(["torch"], ["width=0.25", "width=0.5", "width=1.0"])})
    chosen = ["width=1.0", "wide=width=0.5"]
    design = Design(StudyOptions(kind=kind, task="mlp", backends=[], chosen=chosen))
    assert [(each.name, each.assignments) for each in design.variants] == [
        ("width=1.0", ("width=1.0",)),
        ("wide", ("width=0.5",)),
    ]


def test_an_option_with_one_value_is_that_of_every_variant():
    asked = of_task(given(VARIANTS), "net")
    assert asked["assignments"] == ("epochs=3", "act=relu")
    assert asked["backends"] == ["torch"]


def test_other_kinds_take_one_value_of_each_argument():
    one = OwnTask(["torch"], ["width=16"])
    assert of_task(given(own=one), "net")["assignments"] == ("epochs=3", "width=16")
    with pytest.raises(
        UsageError, match="give width one value, or compare its values by: harness study variants"
    ):
        of_task(given(), "net")


def test_a_built_in_task_needs_a_backend():
    with pytest.raises(UsageError, match="--backend is missing"):
        of_task(given(own=None), "mlp")
    assert of_task(given(own=None, backends=["jax"]), "mlp") == {}


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "give --model and --dataset"),
        ({"a": GRID, "b": GRID}, "several are compared by: harness run --model A --model B"),
        ({"net": OwnTask(["torch"], ["width=16"])}, "give several, such as --set-model width=64,128,256"),
    ],
)
def test_what_the_study_of_variants_needs_is_said(own, message):
    with pytest.raises(UsageError, match=message):
        variants_kind(own)


MODEL = """
from torch import nn


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def make(factor: float = 1.0):
    return nn.Sequential(nn.Flatten(), nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 10), Scaled(factor))
"""


@pytest.mark.parametrize(
    "jobs",
    [
        pytest.param(("--jobs", "1"), marks=pytest.mark.slow),
        pytest.param((), marks=pytest.mark.long),  # a process for each run
    ],
)
def test_the_better_variant_of_a_model_is_named_with_its_costs(harness, jobs):
    """The first variant has no gradient, and so learns nothing."""
    pytest.importorskip("torch")
    (harness.folder / "net.py").write_text(MODEL)
    own = ("--model", "net.py:make", "--dataset", "mnist1d", "--set-model", "factor=0.0,1.0")
    training = ("--max-steps", "60", "--set", "optimizer=sgd", "--set", "learning_rate=0.5")
    done = harness.ok("study", "variants", *own, *training, "--seeds", "3", "--threads", "1", *jobs)
    assert re.search(r"factor=1\.0 helps\. Better than factor=0\.0: factor=1\.0 ", done.stdout)
    assert ("Left out: time and memory" in done.stderr) == bool(jobs)
    records = harness.records()
    assert {(record["status"], record["task"]["options"]["factor"]) for record in records} == {
        ("ok", 0.0),
        ("ok", 1.0),
    }
    assert [len(records), sum(record["making"] is None for record in records)] == [6, 0 if jobs else 6]
    (page,) = (harness.folder / "results" / "studies").glob("*.html")
    text = page.read_text()
    assert ">The costs<" in text
    assert "A variant is worth its costs if no cheaper one is as good." in text
    assert ("nothing is said about time and memory" in text) == bool(jobs)
