"""The same work in every framework: real runs in float64 agree to rounding."""

import pytest

# Frameworks start and compile in separate processes. Certificates, which other tests cover, show the same.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

RUN = (
    "run",
    "--task",
    "cnn",
    "--dataset",
    "digits",
    "--precision",
    "float64",
    "--max-steps",
    "24",
    "--quiet",
    "--no-certify",
)
CONFIGURATIONS = "torch:*,keras,keras-torch,jax"


def losses(record: dict) -> list[float]:
    scores = [record["test_at_last"], record["test_at_best"]]
    for epoch in record["epochs"]:
        scores += [epoch["train"], epoch["validation"]]
    return [epoch["training_loss"] for epoch in record["epochs"]] + [score["loss"] for score in scores]


OPTIONS = ("--set", "momentum=0.9", "--set", "nesterov=true", "--set", "l1=0.0001", "--set", "width=0.25")


def test_float64_runs_agree_to_rounding(harness):
    for module in ("keras", "tensorflow"):
        pytest.importorskip(module)
    done = harness(*RUN, "--backend", CONFIGURATIONS, *OPTIONS, "--batch-size", "48", timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    records = harness.records()
    assert len(records) == 6
    reference = losses(next(record for record in records if record["configuration"]["mode"] == "eager"))
    for record in records:
        assert losses(record) == pytest.approx(reference, rel=1e-9), record["id"]
    assert len({record["dataset"]["fingerprint"] for record in records}) == 1
    assert len({record["task"]["sha256"] for record in records}) == 1
