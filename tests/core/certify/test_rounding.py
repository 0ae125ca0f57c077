"""float32 within a float64 case is named as that, with the first layer or function that computes in it."""

import contextlib
from unittest import mock

import msgspec
import numpy as np
import pytest
import scipy.special
from support.tasks import small_task
from support.training_cases import PICTURES, TEXT

from harness.core.certify.cases import Case, cases
from harness.core.certify.certify import Selection, examine
from harness.core.certify.long_calls import LONG_CALLS
from harness.core.certify.observation import TrialPrograms, observe
from harness.core.certify.parity import compare
from harness.core.certify.rounding import is_like_float32, locate_rounding
from harness.core.plugins import registry
from harness.core.reference import activations, attention, losses, normalisation
from harness.core.reference.training import NumpyBackend, NumpyProgram
from harness.layers import LayerNorm
from harness.testing.kit import InProcessExaminer


def single(function):
    """The function, its result rounded to float32."""

    def rounded(*values, **options):
        result = function(*values, **options)
        if isinstance(result, tuple):
            return tuple(single(lambda part=part: part)() for part in result)
        return np.asarray(result, np.float32).astype(np.float64) if isinstance(result, np.ndarray) else result

    return rounded


class _Numpy:
    """NumPy with other functions in the place of some."""

    def __init__(self, **others):
        self.__dict__.update(others)

    def __getattr__(self, name):
        return getattr(np, name)


def _activation(name):
    right = activations.ACTIVATIONS[name]
    return mock.patch.dict(activations.ACTIVATIONS, {name: single(right)})


@contextlib.contextmanager
def _exponentials():
    with contextlib.ExitStack() as patches:
        for module in (activations, attention, losses):
            patches.enter_context(mock.patch.object(module, "np", _Numpy(exp=single(np.exp))))
        yield


#: What is rounded to float32 in the backend under test, and there alone.
ROUNDED = {
    "exp": _exponentials,
    "erf": lambda: mock.patch.object(scipy.special, "ndtr", single(scipy.special.ndtr)),
    "normalisation": lambda: mock.patch.object(
        normalisation, "normalised", lambda *given: _of_values(_normalised(*given))
    ),
    "relu": lambda: _activation("relu"),
    "softmax": lambda: mock.patch.object(losses, "_cross_entropy", single(losses._cross_entropy)),
}
_normalised = normalisation.normalised


def _of_values(result):
    values, backward = result
    return single(lambda: values)(), backward


class Rounding(NumpyProgram):
    """Computes a function in float32, whenever it computes."""

    rounded = staticmethod(contextlib.nullcontext)

    def train(self, steps):
        with self.rounded():
            return super().train(steps)

    def predict(self, inputs, network="model"):
        with self.rounded():
            return super().predict(inputs, network)


def backend_with(what):
    class Backend(NumpyBackend):
        def build(self, plan, data):
            program = super().build(plan, data)
            program.__class__ = type("Program", (Rounding,), {"rounded": staticmethod(ROUNDED[what])})
            return program

    return Backend()


def small_case(network):
    return Case("small", small_task(network.input_shape, *network.layers), 8, 0.5, outputs=True, length=4)


def compared(case, backend):
    """A backend's finding beside NumPy, what it computed, and what NumPy did."""
    expected, observed = (
        observe(TrialPrograms(each, "plain", 1), case) for each in (NumpyBackend(), backend)
    )
    return compare(case.name, observed, expected, case.task.optimizer), observed, expected


def located(network, what):
    """Where a backend that rounds a function is found to compute in float32."""
    case, backend = small_case(network), backend_with(what)
    assert is_like_float32(*compared(case, backend))
    return locate_rounding(TrialPrograms(backend, "plain", 1), case).place


@pytest.mark.parametrize(
    ("network", "what", "place"),
    [
        (TEXT, "exp", "the forward pass of residual_1/body/self_attention_1 (SelfAttention)"),
        (TEXT, "erf", "the forward pass of the gelu of residual_2/body/dense_1 (Dense)"),
        (TEXT, "normalisation", "the forward pass of residual_1/body/layer_norm_1 (LayerNorm)"),
        (TEXT, "softmax", "the loss (Classification)"),
        (PICTURES, "exp", "the loss (Classification)"),
        (PICTURES, "normalisation", "the forward pass of batch_norm_1 (BatchNorm)"),
        (PICTURES, "relu", "the forward pass of activation_1 (relu)"),
        (PICTURES, "softmax", "the loss (Classification)"),
    ],
)
def test_the_first_function_in_float32_is_located(network, what, place):
    assert located(network, what) == place


@pytest.mark.parametrize(
    ("what", "place"),
    [("relu", "the forward pass of the relu of dense_1 (Dense)"), ("exp", "the loss (Classification)")],
)
def test_the_reason_of_a_case_names_it(what, place):
    examiner = InProcessExaminer(backend_with(what), "plain", 1)
    selection = Selection(frozenset(["sgd"]))
    (finding,) = [
        outcome
        for each, outcome in examine(examiner, registry.task("mlp"), selection)
        if each.name != LONG_CALLS
    ]
    assert f"float32: the first is {place}" in finding.explanation
    assert "missing bias" not in finding.explanation


def test_a_program_in_float64_rounds_nowhere():
    programs = TrialPrograms(NumpyBackend(), "plain", 1)
    assert locate_rounding(programs, cases(registry.task("mlp"))[0]) is None


def test_a_formula_that_is_slightly_wrong_is_not_called_float32():
    """Outputs follow a change of the weights, so nothing is rounded."""
    wrong = msgspec.structs.replace(LayerNorm(), epsilon=1.01 * LayerNorm().epsilon)

    class Backend(NumpyBackend):
        def build(self, plan, data):
            task = plan.task.with_layers(lambda each: wrong if isinstance(each, LayerNorm) else each)
            return super().build(msgspec.structs.replace(plan, task=task), data)

    case = small_case(TEXT)
    assert not compared(case, Backend())[0].passed
    assert locate_rounding(TrialPrograms(Backend(), "plain", 1), case) is None
