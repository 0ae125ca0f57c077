"""Wrong dropout is found and named, of layers and of attention, also without a linear last layer."""

import re
import types

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.altered import Altered, faulty

from harness.core.certify.cases import cases
from harness.core.certify.dropout import COPIES, RATE, attention_kept, dropout_tests
from harness.core.certify.observation import TrialPrograms
from harness.core.plugins import registry
from harness_torch import TorchBackend
from harness_torch.attention import Attention

CASE = cases(registry.task("lm"))[0]
RIGHT = TrialPrograms(TorchBackend(), "eager", 1)


def attention(drop):
    """Programs whose attention drops weights as ``drop(weights, rate)`` does."""

    def forward(module, x):
        q, k, v = (
            part.unflatten(-1, (module._heads, -1)).transpose(1, 2) for part in module.qkv(x).chunk(3, dim=-1)
        )
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(dim=-1)
        y = drop(weights, module.dropout) @ v
        return module.output(y.transpose(1, 2).flatten(2))

    return Attention, forward


def layers(drop):
    """Programs whose layers of dropout drop values as ``drop(x, rate)`` does."""

    def forward(module, x):
        return drop(x, module.p) if module.training else x

    return torch.nn.Dropout, forward


#: What a program draws once.
MASKS = {}


def dropping(kind, forward):
    class Dropping(Altered):
        def __init__(self, right):
            super().__init__(right)
            MASKS.clear()
            for module in right._modules.get("model", torch.nn.Module()).modules():
                if isinstance(module, kind) and (kind is not Attention or module.dropout):
                    module.forward = types.MethodType(forward, module)

    return TrialPrograms(faulty(Dropping), "eager", 1)


def test_each_weight_is_kept_in_some_copies():
    kept = attention_kept(RIGHT, CASE.task)
    assert np.allclose(kept, kept.round())
    assert 1 - kept.mean() / COPIES == pytest.approx(RATE, abs=0.05)


def test_a_right_backend_passes_all_tests():
    tests = dropout_tests(RIGHT, CASE)
    assert (tests.faults, tests.complete) == ([], True)


UNSCALED = r"not scaled by 1 / \(1 - rate\)"


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (lambda w, _rate: w, "drops whole samples|drops the same values|at rate 0.25 drops 0%"),
        (lambda w, rate: w * (torch.rand_like(w[:1]) >= rate) / (1 - rate), "in all samples of a batch"),
        *(
            pytest.param(*fault, marks=pytest.mark.long)  # layers have them too
            for fault in (
                (lambda w, rate: w * (torch.rand_like(w) >= rate), UNSCALED),
                (lambda w, rate: w * (torch.rand_like(w) >= 2 * rate) / (1 - rate), r"drops (4[5-9]|5\d)%"),
            )
        ),
    ],
    ids=["none", "one for all", "unscaled", "twice the rate"],
)
def test_wrong_dropout_of_attention_is_found(drop, words):
    (fault,) = dropout_tests(dropping(*attention(drop)), CASE).faults
    assert "the dropout of attention" in fault
    assert re.search(words, fault)


def one_mask_for_all_steps(x, rate):
    mask = MASKS.setdefault((x.shape, rate), torch.rand_like(x) >= rate)
    return x * mask / (1 - rate)


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (lambda x, rate: x * (torch.rand_like(x) >= rate), UNSCALED),
        (lambda x, rate: x * (torch.rand_like(x) < rate) / rate, UNSCALED),
        (
            lambda x, rate: x * (torch.rand_like(x) >= min(2 * rate, 0.9)) / (1 - rate),
            r"at rate 0.25 drops (4[5-9]|5\d)%",
        ),
        (lambda x, rate: x * (torch.rand_like(x[:1]) >= rate) / (1 - rate), "in all samples of a batch"),
        (one_mask_for_all_steps, "the same values at every step"),
        (lambda x, rate: x * (torch.rand_like(x[:, :1]) >= rate) / (1 - rate), "whole samples instead"),
    ],
    ids=["unscaled", "rate of what is kept", "twice the rate", "one for all", "every step", "samples"],
)
def test_wrong_dropout_of_layers_is_found(drop, words):
    case = cases(registry.task("mlp"))[0]
    faults = dropout_tests(dropping(*layers(drop)), case).faults
    assert re.search(words, "\n".join(faults)), faults
