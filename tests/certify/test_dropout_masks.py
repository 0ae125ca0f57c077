"""The dropout of attention is tested too, and that of networks without a linear last layer."""

import re
import types

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.altered import Altered, faulty

from harness.certify.cases import cases
from harness.certify.dropout import COPIES, RATE, attention_kept, dropout_tests, wrong_masks
from harness.certify.observation import TrialPrograms
from harness.plugins import registry
from harness_torch import TorchBackend
from harness_torch.attention import Attention

CASE = cases(registry.task("lm"))[0]
RIGHT = TrialPrograms(TorchBackend(), "eager", 1)


def dropping(drop):
    """Programs whose attention drops weights as ``drop(weights, rate)`` does."""

    def forward(module, x):
        q, k, v = (
            part.unflatten(-1, (module._heads, -1)).transpose(1, 2) for part in module.qkv(x).chunk(3, dim=-1)
        )
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(dim=-1)
        y = drop(weights, module.dropout) @ v
        return module.output(y.transpose(1, 2).flatten(2))

    class Dropping(Altered):
        def __init__(self, right):
            super().__init__(right)
            for module in right._modules["model"].modules():
                if isinstance(module, Attention) and module.dropout:
                    module.forward = types.MethodType(forward, module)

    return TrialPrograms(faulty(Dropping), "eager", 1)


def test_each_weight_is_kept_in_some_copies():
    kept = attention_kept(RIGHT, CASE.task)
    assert np.allclose(kept, kept.round())
    assert 1 - kept.mean() / COPIES == pytest.approx(RATE, abs=0.05)


def test_a_right_backend_passes_all_tests():
    tests = dropout_tests(RIGHT, CASE)
    assert (tests.faults, tests.complete) == ([], True)


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (lambda w, _rate: w, "drops whole samples|drops the same values|at rate 0.25 drops 0%"),
        (lambda w, rate: w * (torch.rand_like(w) >= rate), "not scaled by"),
        (lambda w, rate: w * (torch.rand_like(w[:1]) >= rate) / (1 - rate), "in all samples of a batch"),
        (lambda w, rate: w * (torch.rand_like(w) >= 2 * rate) / (1 - rate), r"drops (4[5-9]|5\d)%"),
    ],
)
def test_wrong_dropout_of_attention_is_found(drop, words):
    faults = wrong_masks(dropping(drop), CASE)
    assert len(faults) == 1
    assert faults[0].startswith(("the dropout of attention", "values that the dropout of attention"))
    assert re.search(words, faults[0])
