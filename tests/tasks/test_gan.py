"""The gan trains, records both networks, and its quality is shown with what it must beat."""

import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.slow  # losses, scores and grids have quicker tests


@pytest.fixture
def record(harness):
    run = ("run", "--backend", "torch", "--task", "gan", "--dataset", "digits", "--epochs", "6")
    return harness.recorded("ok", *run, "--threads", "1", "--quiet", "--no-certify")[0]


def test_a_gan_is_recorded_over_time_and_beats_noise_and_an_untrained_generator(harness, record):
    for epoch in record["epochs"]:
        assert epoch["discriminator_loss"] > 0
        assert epoch["training_loss"] > 0
        assert epoch["discriminator_loss"] != epoch["training_loss"]
        for split in ("train", "validation"):
            assert 0 < epoch[split]["real"] < 1
            assert 0 < epoch[split]["fake"] < 1
    test = record["test_at_best"]
    assert test["frechet_distance"] < test["frechet_distance_of_noise"] / 2
    assert test["frechet_distance"] < test["frechet_distance_of_untrained"] / 2
    # The best possible generator is as near as other real images.
    assert test["frechet_distance_of_training_pictures"] < test["frechet_distance"]
    assert (harness.folder / "results" / "runs" / record["samples_file"]).read_bytes()[:4] == b"\x89PNG"

    for seen in (record["outcomes"]["generated"], record["outcomes"]["generated_at_last"]):
        assert 0.2 < seen["distance_ratio"] < 5  # six epochs copy nothing
        assert seen["frechet_of_training_images"] < test["frechet_distance"] < seen["frechet_of_noise"]
        assert set(seen["called_real"]) == {"generated", "held_out", "train"}
    neighbours = harness.folder / "results" / "runs" / record["pictures"]["neighbours"]
    assert neighbours.read_bytes()[:4] == b"\x89PNG"

    shown = harness("show", "last").stdout
    assert "Generated test pictures, last epoch" in shown
    for title in ("D loss", "G loss", "D(real train)", "D(real val)", "D(fake)", "Fréchet val"):
        assert title in shown
