"""Every backend hands out its training state, and a second program continues from it, with dropout too."""

import os
import subprocess
import sys

import pytest
from support.engines import QUICK_XLA

from harness.core.plugins import installation

# Frameworks start and compile in separate processes, which takes long on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

#: Engines of Keras cannot share a process.
FAULTS = """
import sys
from harness.core.plugins import registry
from harness.core.certify.cases import cases
from harness.testing.checks import faulty_state
from harness.core.certify.observation import TrialPrograms

name, task = sys.argv[1:]
backend = registry.backend(name)
backend.environment(1)
programs = TrialPrograms(backend, backend.modes[0], 1)
examined = cases(registry.task(task))
assert programs.build(examined[0].task).training_state() is not None
sys.exit("\\n".join(faulty_state(programs, examined)) or None)
"""


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *(("torch", task) for task in ("gan", "cnn", "rnn")),  # tests/core/certify has others in its process
        ("jax", "mlp"),
        ("keras", "mlp"),
    ],
)
def test_a_second_program_continues(name, task):
    if installation.installation(name)[0] != "installed":
        pytest.skip(f"{name} is not installed")
    command = [sys.executable, "-c", FAULTS, name, task]
    done = subprocess.run(command, env=os.environ | QUICK_XLA, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
