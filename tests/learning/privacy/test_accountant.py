"""The epsilon that a training with DP-SGD claims."""

import msgspec
import pytest

from harness.core.certify.noise import AUDIT_PRIVACY, audit_canaries
from harness.core.certify.observation import TrialPrograms
from harness.core.reference.training import NumpyBackend
from harness.learning.privacy.accountant import claim, require_accountant
from harness.spec.task import Privacy


def test_the_claim_is_of_the_rate_at_which_samples_are_drawn():
    assert claim(Privacy(0.0, 1.0), 600, 60, 1).sampling_rate == 0.1


def test_without_noise_epsilon_is_infinite():
    made = claim(Privacy(0.0, 1.0), 1000, 10, 100)
    assert made.epsilon is None
    assert made.text == "∞"
    assert "infinite" in made.warning
    require_accountant(Privacy(0.0, 1.0))


def test_epsilon_is_that_of_the_gaussian_mechanism_for_one_step_with_all_samples():
    pytest.importorskip("dp_accounting")
    made = claim(Privacy(2.0, 1.0), 1000, 1000, 1)
    assert made.epsilon == pytest.approx(1.9931, abs=2e-3)
    assert made.epsilon < made.epsilon_rdp
    assert made.warning == ""
    assert "dp-accounting" in made.accountant


def test_a_delta_of_one_sample_is_warned_of():
    made = claim(Privacy(0.0, 1.0), 1000, 10, 1)
    noised = msgspec.structs.replace(made, epsilon=1.0, delta=1e-3)
    assert "1/1,000" in noised.warning


def test_the_audit_refutes_a_sampling_rate_that_is_too_small():
    """A claim for one sample in ten, where all take part."""
    privacy = msgspec.structs.replace(AUDIT_PRIVACY, noise=0.8)
    claimed = claim(privacy, 1000, 20, 1).epsilon
    assert audit_canaries(TrialPrograms(NumpyBackend(), "plain", 1), privacy).epsilon > claimed
