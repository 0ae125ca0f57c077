"""``--preset smoke``: every task small, real training, real certificates; options narrow and change it."""

import pytest

from harness.core.plugins import registry
from harness.core.runs.matrix import preset_tasks

pytest.importorskip("torch")


def test_every_task_has_a_smoke_size_smaller_than_its_own():
    assert preset_tasks("smoke") == registry.names("task")
    for name in registry.names("task"):
        definition = registry.task(name)
        preset = definition.presets["smoke"]
        assert preset.epochs < definition.define(definition.options()).epochs
        assert preset.dataset is None or preset.dataset in definition.datasets


@pytest.mark.slow
def test_smoke_trains_certifies_and_records(harness):
    harness.ok("run", "--preset", "smoke", "--backend", "torch", "--task", "cnn,forecast")
    records = {record["task"]["name"]: record for record in harness.records()}
    assert set(records) == {"cnn", "forecast"}
    for name, record in records.items():
        assert record["certificate"]["certified"], record["certificate"]
        assert record["certificate"]["worst"] < 1e-9
        assert record["certificate"]["worst_as_timed"] < 1e-5
        assert record["epochs_asked"] == registry.task(name).presets["smoke"].epochs
    assert records["cnn"]["dataset"]["name"] == "digits"
    assert records["cnn"]["dataset"]["stands_in_for"] is None
    assert records["cnn"]["test_at_last"]["accuracy"] > 0.5  # chance is 0.1
    assert records["forecast"]["test_at_last"]["loss"] < records["forecast"]["test_at_last"]["naive_loss"]
