"""Names that are suggested, durations, and interrupts, as messages state them."""

import pytest

from harness.errors import interruption, unknown_name
from harness.machine.durations import duration_text


def test_a_name_that_is_merely_similar_is_not_suggested():
    assert "Did you mean" not in str(unknown_name("task", "resnet", ["cnn", "forecast", "mlp"]))
    assert "Did you mean 'torch'?" in str(unknown_name("backend", "tork", ["jax", "torch"]))
    assert "Did you mean 'learning_rate'?" in str(unknown_name("option", "lr", ["learning_rate", "width"]))


@pytest.mark.parametrize(
    ("seconds", "text"), [(14, "14s"), (90, "90s"), (180, "3m"), (7200, "2h"), (0.5, "1s")]
)
def test_durations_are_written_in_whole_units(seconds, text):
    assert duration_text(seconds) == text


def test_a_signal_is_named():
    assert interruption(KeyboardInterrupt()) == "interrupted"
    assert interruption(KeyboardInterrupt("SIGTERM")) == "interrupted by SIGTERM"
