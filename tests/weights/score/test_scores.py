"""Kept weights, scored in any framework: the scores of the record in float64."""

import json
import math

import msgspec
import numpy as np
import pytest
from support.records import make_record

import harness as api
from harness.core.documents.render.terminal import terminal_text
from harness.core.plugins.configuration import Configuration
from harness.core.runs.store import RUNS
from harness.weights.score.page import differs, score_document
from harness.weights.score.score import WeightsScore

RUN = ("run", "--backend", "torch", "--task", "mlp", "--no-certify", "--max-steps", "60", "--quiet")


def test_scores_that_differ_in_float64_are_found_and_those_in_float32_are_not_judged():
    record = make_record("one")
    for precision, found, differ in (
        ("float64", 1.0 + 1e-8, True),
        ("float64", 1.0, False),
        ("float32", 1.1, False),
    ):
        on = Configuration("jax", "jit", "cpu", 1, precision)
        record.configuration = msgspec.structs.replace(record.configuration, precision=precision)
        scored = [(on, [WeightsScore("last", {"loss": 1.0}, {"loss": found})])]
        assert differs(record, scored) is differ
        assert ("The scores differ" in terminal_text(score_document(record, scored))) is differ
    record.configuration = on = Configuration("jax", "jit", "cpu", 1, "float64")
    for found in (None, math.nan):
        for scores in ({"loss": found, "accuracy": 0.5}, {"loss": 1.0, "accuracy": found}):
            scored = [(on, [WeightsScore("last", {"loss": 1.0, "accuracy": 0.5}, scores)])]
            assert differs(record, scored)
            assert "largest difference not finite" in terminal_text(score_document(record, scored))


@pytest.mark.slow
def test_weights_of_one_framework_have_the_same_scores_in_another(harness):
    done = harness(*RUN, "--precision", "float64")
    refused = harness("score", "last")
    assert (refused.returncode, "--save-weights" in refused.stderr) == (2, True), done.stderr
    for _ in range(2):  # the run without weights is repeated, the other is not
        harness(*RUN, "--precision", "float64", "--save-weights")
    without, record = harness.records()
    assert (without["weights"], record["status"]) == (None, "ok")

    scored = harness("score", "last", "--backend", "jax,torch", "--jobs", "2", "--format", "json")
    assert scored.returncode == 0, scored.stderr
    found = json.loads(scored.stdout)["scores"]
    assert [each["configuration"]["backend"] for each in found if each["weights"] == "last"] == [
        "jax",
        "torch",
    ]
    for each in found:
        assert each["scores"]["loss"] == pytest.approx(each["recorded"]["loss"], abs=1e-9)
        assert each["scores"]["accuracy"] == each["recorded"]["accuracy"]
    path = RUNS.paths(harness.folder / "results")[-1]
    weights = api.load_weights(path)
    assert weights["model/dense_1/kernel"].dtype == np.float64
