"""The compiled backend of its how-to guide: it conforms, is listed, and shares one compilation."""

import os

import numpy as np
import pytest
from support.engines import QUICK_XLA
from support.pages import ROOT

pytest.importorskip("jax")

import my_jax

from harness.core.certify.cases import cases
from harness.core.certify.observation import TrialPrograms
from harness.core.plugins import registry
from harness.spec.backend import Steps, Unsupported
from harness.testing import backend_tests

pytestmark = pytest.mark.usefixtures("quick_xla")

FOLDER = ROOT / "docs" / "how-to"

#: A minute, most of it in the compiler.
test_it_conforms = pytest.mark.long(
    pytest.mark.timeout(1800)(backend_tests(my_jax.MyJaxBackend(), tasks=["mlp"]))
)


@pytest.fixture(scope="module")
def program():
    backend = my_jax.MyJaxBackend()
    backend.environment(1)
    return TrialPrograms(backend, "jit", 1).build(cases(registry.task("mlp"))[0].task)


def test_calls_of_any_length_share_one_compilation(program):
    for count in (1, 2, 65, 130):
        assert program.train(
            Steps(np.zeros((count, 8), np.int64), learning_rates=np.full(count, 0.01))
        ).shape == (count,)
    assert program._program.step._cache_size() == 1


def test_what_was_read_does_not_change(program):
    weights = program.weights()
    copies = {name: array.copy() for name, array in weights.items()}
    program.train(Steps(np.zeros((1, 8), np.int64), learning_rates=np.full(1, 0.01)))
    assert all(np.array_equal(weights[name], copies[name]) for name in copies)


def test_it_declines_what_it_does_not_compute():
    backend = my_jax.MyJaxBackend()
    with pytest.raises(Unsupported, match="no GRU layers"):
        TrialPrograms(backend, "jit", 1).build(cases(registry.task("rnn"))[0].task)


@pytest.mark.slow
def test_the_file_is_a_plugin_that_trains_convolutions_with_augmentation(harness):
    harness.environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER), harness.environment["PYTHONPATH"]])
    plugin = ("--plugin", str(FOLDER / "my_jax.py"))
    cases_of_cnn = ("--case", "nesterov, l2", "--case", "long calls")
    done = harness("check", "my-jax", *plugin, "--task", "cnn", *cases_of_cnn, **QUICK_XLA)
    assert done.returncode == 0, done.stdout + done.stderr
