"""The work of a backend of others is compared with NumPy in recurrent and adversarial tasks too."""

import pytest

pytest.importorskip("torch")

from support.command import PLUGINS

#: Cheats and honest backends on the mlp are in test_cheats.
pytestmark = pytest.mark.long

FOREIGN = (
    "run",
    "--backend",
    "foreign",
    "--plugin",
    str(PLUGINS / "foreign.py"),
    "--threads",
    "1",
    "--no-eval",
)
#: So long that the newest steps, which are always recomputed, come after the fault.
GAN = ("--task", "gan", "--dataset", "digits", "--set", "width=0.125", "--max-steps", "300")
RNN = ("--task", "rnn", "--max-steps", "600")


@pytest.mark.parametrize("task", [GAN, RNN], ids=["gan", "rnn"])
def test_later_gradients_are_those_of_numpy(harness, task):
    record, _ = harness.recorded("ok", *FOREIGN, *task)
    independent = record["verification"]["independent"]
    assert independent["later_steps"] >= 4
    assert independent["agreement"] > 0.99


def test_a_generator_that_is_no_longer_trained_is_found(harness):
    done = harness(*FOREIGN, *GAN, FOREIGN_FAULT="late generator")
    assert done.returncode == 1
    assert "do not follow the gradient" in done.stdout + done.stderr
