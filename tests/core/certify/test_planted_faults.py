"""Planted faults make the cases fail that show them, and the kit says nothing but words."""

import dataclasses

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.altered import Altered, faulty, part

from harness.core.certify.cases import cases
from harness.core.certify.certify import NotOffered, Selection, check, examine
from harness.core.certify.long_calls import LONG_CALLS
from harness.core.certify.parity import Finding
from harness.core.plugins import registry
from harness.errors import Declined
from harness.layers import BatchNorm, LayerNorm, SelfAttention
from harness.spec.backend import Unsupported
from harness.spec.task import LOSSES, Penalty, Sgd
from harness.testing import backend_tests
from harness.testing.kit import InProcessExaminer

CROP = 4


def explanations(backend, task, names=()):
    """The explanations of the failed cases, by case; long calls are left out."""
    backend.environment(1)
    definition = registry.task(task)
    chosen = set(names or [case.name for case in cases(definition)])
    made = examine(InProcessExaminer(backend, "eager", 1), definition, Selection(frozenset(chosen)))
    found = [outcome for case, outcome in made if case.name != LONG_CALLS]
    assert all(isinstance(outcome, Finding) for outcome in found), found
    return {one.case: one.explanation for one in found if not one.passed}


def _with(plan, **fields):
    return msgspec.structs.replace(plan, task=msgspec.structs.replace(plan.task, **fields))


def _half_the_l2(plan):
    penalty = plan.task.penalty
    return _with(plan, penalty=Penalty(penalty.l1, penalty.l2 / 2))


class FlipsBeforeItCrops(Altered):
    """A window of the mirrored picture is the mirrored window of the opposite column."""

    def train(self, steps):
        offsets = steps.offsets
        if offsets is not None:
            offsets = offsets.copy()
            offsets[..., 1] = np.where(steps.flips, 2 * CROP - offsets[..., 1], offsets[..., 1])
        return self.right.train(dataclasses.replace(steps, offsets=offsets))


def test_a_wrong_l2_factor():
    found = explanations(faulty(plan=_half_the_l2), "mlp")
    assert set(found) == {"nesterov, l2", "rmsprop, l2", "dp-sgd"}
    assert all(text.startswith("the loss of step 1 is ") for text in found.values())


def test_an_ignored_loss():
    def with_cross_entropy(plan):
        return _with(plan, objective=msgspec.structs.replace(plan.task.objective, loss="cross_entropy"))

    found = explanations(faulty(plan=with_cross_entropy), "mlp", ["sgd", *LOSSES])
    assert set(found) == {"mse_softmax", "mse_logits"}


def test_errors_that_are_summed_over_the_outputs():
    class Summed(Altered):
        """Four times the loss, and the gradient by the rate."""

        def train(self, steps):
            rates = 4 * steps.learning_rates
            return 4 * self.right.train(dataclasses.replace(steps, learning_rates=rates))

    found = explanations(faulty(Summed), "forecast", ["sgd", "mae", "huber"])
    assert set(found) == {"sgd", "mae", "huber"}


def without_bfloat16(plan):
    """Some processors have no LSTM in bfloat16, and PyTorch raises there."""
    if plan.precision == "bfloat16":
        raise Unsupported("no LSTM in bfloat16")
    return plan


def test_losses_that_a_backend_does_not_declare_are_left_out_unless_they_are_named():
    definition, backend = registry.task("forecast"), faulty(plan=without_bfloat16)
    type(backend).losses = ("mae",)
    examiner, reported = InProcessExaminer(backend, "eager", 1), []
    backend.environment(1)
    findings = check(examiner, definition, reported.append)
    assert all(finding.passed for finding in findings)
    assert {"sgd", "mae"} < {finding.case for finding in findings}
    assert [each for each in reported if isinstance(each, NotOffered)] == [NotOffered("huber", "huber")]
    with pytest.raises(Declined, match="case 'huber': backend faulty has no loss huber"):
        check(examiner, definition, selection=Selection(frozenset({"sgd", "huber"})))


def test_flips_before_crops():
    found = explanations(faulty(FlipsBeforeItCrops), "cnn", ["sgd", "default", "full-batch gd"])
    assert set(found) == {"full-batch gd"}


class EveryEqualMaximum(torch.autograd.Function):
    """Pooling whose gradient goes to every one of the largest values."""

    @staticmethod
    def forward(context, x, size):
        pooled = torch.nn.functional.max_pool2d(x, size)
        context.save_for_backward(x, pooled)
        context.size = size
        return pooled

    @staticmethod
    def backward(context, gradient):
        x, pooled = context.saved_tensors
        large = [
            torch.nn.functional.interpolate(each, scale_factor=context.size) for each in (pooled, gradient)
        ]
        rest = (0, x.shape[3] - large[0].shape[3], 0, x.shape[2] - large[0].shape[2])
        maxima, gradients = (torch.nn.functional.pad(each, rest) for each in large)
        return gradients * (x == maxima), None


class GradientToAllTies(Altered):
    def __init__(self, right):
        super().__init__(right)
        for module in right._modules["model"].modules():
            if isinstance(module, torch.nn.MaxPool2d):
                size = module.kernel_size
                module.forward = lambda x, size=size: EveryEqualMaximum.apply(x, size)


def test_gradients_of_all_equal_maxima():
    found = explanations(faulty(GradientToAllTies), "cnn", ["sgd", "ties in pooling"])
    assert "model/conv2d_1" in found["ties in pooling"]


class Raises(Altered):
    def train(self, steps):
        return self._add(steps)

    def _add(self, steps):
        return np.zeros(3) + np.zeros(4)


def _no_framework(_backend, _threads):
    raise OSError("no framework here")


def message(backend, task="mlp"):
    """What pytest prints for a backend that does not conform."""
    with pytest.raises(pytest.fail.Exception) as failure:
        backend_tests(backend, [task])("eager", task)
    assert not failure.value.pytrace
    return str(failure.value).splitlines()


def test_an_exception_comes_once_with_the_frames_of_the_plugin():
    first, *frames, _skipped = message(faulty(Raises))
    assert "and 11 more: raised ValueError" in first
    files = [line for line in frames if "File" in line]
    assert files
    assert all("test_planted_faults.py" in line for line in files)
    assert any("return np.zeros(3) + np.zeros(4)" in line for line in frames)


def test_an_import_that_fails_is_a_line_and_its_frame(monkeypatch):
    backend = faulty()
    monkeypatch.setattr(type(backend), "environment", _no_framework)
    first, *frames = message(backend)
    assert first.startswith("faulty: environment() raised OSError")
    assert "in _no_framework" in frames[0]


def test_an_unknown_task_is_one_line():
    (line,) = message(faulty(), "mlpp")
    assert "Did you mean 'mlp'?" in line


def _layers(kind, **fields):
    """Change fields of all layers of a kind in the task of a plan."""

    def changed(layer):
        return msgspec.structs.replace(layer, **fields) if isinstance(layer, kind) else layer

    return lambda plan: msgspec.structs.replace(plan, task=plan.task.with_layers(changed))


class Summed(Altered):
    def train(self, steps):
        return 8 * self.right.train(steps)


class SkipsAnUpdate(Altered):
    """Leaves the weights as they are in the last step of a call of several."""

    def train(self, steps):
        losses = self.right.train(part(steps, slice(-1))) if len(steps.indices) > 1 else np.zeros((0,))
        before = self.right.weights()
        last = self.right.train(part(steps, slice(-1, None)))
        if len(losses):
            self.right.load(before)
        return np.concatenate([losses, last])


class ReusesABatch(Altered):
    def train(self, steps):
        return self.right.train(part(steps, np.zeros(len(steps.indices), np.int64)))


class GatesInAnotherOrder(Altered):
    def load(self, weights):
        turned = {
            name: np.concatenate(np.split(array, 3, axis=-1)[::-1], axis=-1) if "gru" in name else array
            for name, array in weights.items()
        }
        self.right.load(turned)


@pytest.mark.parametrize(
    ("backend", "task", "case"),
    [
        (faulty(Summed), "mlp", "sgd"),
        (faulty(SkipsAnUpdate), "mlp", "sgd"),
        (faulty(ReusesABatch), "mlp", "sgd"),
        (faulty(plan=lambda plan: _with(plan, optimizer=Sgd(0.1))), "mlp", "nesterov, l2"),
        (faulty(plan=_layers(BatchNorm, epsilon=1e-3)), "resnet", "sgd"),
        (faulty(plan=_layers(LayerNorm, epsilon=1e-6)), "lm", "sgd"),
        (faulty(plan=lambda plan: _with(plan, weight_decay=0.0)), "lm", "default"),
        (faulty(plan=_layers(SelfAttention, causal=False)), "lm", "sgd"),
        (faulty(GatesInAnotherOrder), "rnn", "sgd"),
    ],
)
def test_one_fault_of_each_kind_is_found(backend, task, case):
    assert explanations(backend, task, [case])
