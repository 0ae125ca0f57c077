"""Wrong dropout is found and named, of layers and of attention, also without a linear last layer."""

import functools
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


class OtherDropout(Altered):
    """Replaces torch's dropout by a wrong one."""

    def __init__(self, right):
        super().__init__(right)
        for module in right._modules.get("model", torch.nn.Module()).modules():
            if isinstance(module, torch.nn.Dropout):
                module.forward = functools.partial(self.drop, module)

    def drop(self, module, x):
        return self.wrong(x, module.p) if module.training else x


class Unscaled(OtherDropout):
    def wrong(self, x, rate):
        return x * (torch.rand_like(x) >= rate)


class RateOfWhatIsKept(OtherDropout):
    def wrong(self, x, rate):
        return x * (torch.rand_like(x) < rate) / rate


class TwiceTheRate(OtherDropout):
    def wrong(self, x, rate):
        return x * (torch.rand_like(x) >= min(2 * rate, 0.9)) / (1 - rate)


class OneMaskForAllSamples(OtherDropout):
    def wrong(self, x, rate):
        return x * (torch.rand_like(x[:1]) >= rate) / (1 - rate)


class WholeSamples(OtherDropout):
    def wrong(self, x, rate):
        return x * (torch.rand_like(x[:, :1]) >= rate) / (1 - rate)


class OneMaskForAllSteps(OtherDropout):
    mask = None

    def wrong(self, x, rate):
        if self.mask is None:
            self.mask = torch.rand_like(x) >= rate
        return x * self.mask / (1 - rate)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (Unscaled, r"not scaled by 1 / \(1 - rate\)"),
        (RateOfWhatIsKept, r"not scaled by 1 / \(1 - rate\)"),
        (TwiceTheRate, r"at rate 0.25 drops (4[5-9]|5\d)%"),
        (OneMaskForAllSamples, "the same values in all samples of a batch"),
        (OneMaskForAllSteps, "the same values at every step"),
        (WholeSamples, "whole samples instead of single values"),
    ],
)
def test_wrong_dropout_of_layers_is_found(program, words):
    case = cases(registry.task("mlp"))[0]
    faults = dropout_tests(TrialPrograms(faulty(program), "eager", 1), case).faults
    assert re.search(words, "\n".join(faults)), faults
