"""What a run keeps about privacy, and what its page and the end of ``harness run`` say of it."""

import msgspec
import numpy as np
import pytest
from support.records import make_record
from support.tasks import defined

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.page import record_document
from harness.core.runs.record import Extension
from harness.core.runs.summary import summary_document
from harness.core.training.scoring import score, unpacked
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.learning.privacy.accountant import claim
from harness.learning.privacy.after_training import CLAIM, LOSSES
from harness.learning.privacy.membership import operation
from harness.learning.privacy.record import MemberScores, privacy_claim
from harness.spec.backend import Plan
from harness.spec.task import Privacy


def with_claim(made):
    return make_record(extensions={CLAIM.name: Extension(msgspec.to_builtins(made))})


def test_the_claim_is_on_the_page_and_at_the_end_of_a_run(tmp_path):
    record = with_claim(claim(Privacy(0.0, 2.0, delta=1e-5), 1000, 10, 200))
    assert privacy_claim(record).sampling_rate == 0.01
    page = terminal_text(record_document(record, [CLAIM, LOSSES]), 200)
    assert "Differential privacy" in page
    assert "∞ at delta = 1e-05" in page
    summary = terminal_text(summary_document([record], tmp_path, works=[CLAIM, LOSSES]), 300)
    assert "epsilon = ∞ at delta = 1e-05 (noise 0, clip 2, 200 steps at sampling rate 0.01)." in summary
    assert "Warning: noise 0: epsilon is infinite, nothing is private." in summary


def test_a_training_without_dp_sgd_claims_nothing(tmp_path):
    record = make_record()
    assert "Differential privacy" not in terminal_text(record_document(record, [CLAIM, LOSSES]), 200)
    assert "DP-SGD" not in terminal_text(summary_document([record], tmp_path, works=[CLAIM, LOSSES]), 200)


def test_work_applies_to_what_has_samples_and_dp_sgd():
    tasks = {"plain": defined("mlp"), "private": defined("mlp", "dp_clip=1"), "gan": defined("gan")}
    applying = {name: (CLAIM.applies(task), LOSSES.applies(task)) for name, task in tasks.items()}
    assert applying == {"plain": (False, True), "private": (True, True), "gan": (False, False)}
    assert LOSSES.arguments(make_record(epochs=[]), None) is None


def test_losses_are_those_of_the_state_and_not_of_the_weights_since(tmp_path):
    pytest.importorskip("torch")
    worker, path = Worker(), str(tmp_path / "state")
    worker.carry_out(protocol.Describe("torch", 1))
    task = defined("mlp", "dp_clip=1", "dp_canaries=30")
    worker.carry_out(
        protocol.Build(
            Plan(task=task, mode="eager", device="cpu", precision="float64", threads=1, seed=0), "mnist1d"
        )
    )
    worker.carry_out(protocol.Train(3))
    worker.carry_out(protocol.SaveState(path))
    scored = worker.scorer.scores(worker.program, "train", 100).rows
    canaries = score(task, worker.program.predict, worker.canaries.samples).rows
    worker.carry_out(protocol.Train(3))
    arguments = msgspec.json.encode({"state": path, "samples": 100})
    found = operation(worker, msgspec.Raw(arguments))
    assert isinstance(found, MemberScores)
    assert np.allclose(unpacked(found.samples).losses, scored.losses, rtol=1e-3)
    assert np.allclose(unpacked(found.canaries.scores).losses, canaries.losses, rtol=1e-3)
    bits = np.unpackbits(np.frombuffer(found.canaries.included, np.uint8), count=30)
    assert np.array_equal(bits.astype(bool), worker.canaries.included)
