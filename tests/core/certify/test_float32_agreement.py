"""A backend without float64: its first losses in float32 are compared, and nothing is ranked by that."""

import dataclasses

import pytest

pytest.importorskip("torch")

from support.altered import Altered, faulty
from support.records import make_record

from harness.core.certify.certificate import Certificate
from harness.core.certify.certificates import certificate
from harness.core.certify.page import certificate_label
from harness.core.runs.words import certificate_cell
from harness.spec.backend import Unsupported
from harness.testing.kit import InProcessExaminer
from harness_tasks.mlp import MLP


class AnotherRate(Altered):
    def train(self, steps):
        return self.right.train(dataclasses.replace(steps, learning_rates=1.1 * steps.learning_rates))


def made_of(program, monkeypatch, tmp_path, *declined):
    """The certificate of a backend that declines these precisions."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    backend = faulty(program)
    right = backend.build

    def build(plan, data):
        if plan.precision in declined:
            raise Unsupported(f"no {plan.precision} on this device")
        return right(plan, data)

    monkeypatch.setattr(backend, "build", build)
    backend.environment(1)
    monkeypatch.setattr("harness.core.certify.kept_findings._digest", lambda *_: "digest")
    monkeypatch.setattr("harness.core.plugins.registry.is_third_party", lambda _: False)
    return certificate(InProcessExaminer(backend, "eager", 1), MLP)


def test_a_backend_without_float64_agrees_in_float32(monkeypatch, tmp_path):
    made = made_of(Altered, monkeypatch, tmp_path, "float64")
    assert not made.certified
    assert made.agrees_in_float32
    assert made.worst is None
    assert 0 < made.worst_as_timed < 1e-5
    assert "no float64 on this device" in made.reason
    assert certificate_label(made) == "agrees in float32"


def test_a_wrong_update_does_not_agree_in_float32(monkeypatch, tmp_path):
    made = made_of(AnotherRate, monkeypatch, tmp_path, "float64")
    assert not made.agrees_in_float32
    assert "in float32 the loss" in made.reason
    assert certificate_label(made) == "not certified"


def test_a_backend_that_declines_both_has_its_first_reason(monkeypatch, tmp_path):
    made = made_of(Altered, monkeypatch, tmp_path, "float64", "float32")
    assert "no float64 on this device" in made.reason
    assert not made.agrees_in_float32
    assert not made.cases


def test_the_agreement_is_shown_where_a_certificate_is():
    agreeing = Certificate(certified=False, reason="no float64", agrees_in_float32=True)
    assert certificate_cell(make_record(certificate=agreeing)) == "in float32"
