"""Models of the user's own that do not fit their data, or hinder their training."""

import numpy as np
import pytest

from harness.core.models.fit import remarks, whole_numbers
from harness.core.models.reading import OwnModel, SideSpec, read_model
from harness.core.models.task_file import Choice, TaskData, task_file
from harness.errors import UsageError
from harness.layers import Native, NativeModel
from harness.spec.task import BinaryClassification, Classification, Regression
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, InputShape, Trace, Value

CLASSES = TaskData("digits", InputShape((32, 32, 3)), (), 10)
_WITHOUT_ROWS = """
import torch


class Model(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x).sum(0)


def make():
    return Model(4, 4)
"""
NUMBERS = TaskData("sunspots", InputShape((32,)), (1,), None)


def _model(shape, *, ends_in=None):
    """A model of which an evaluation of two samples returned an output of this shape."""
    values = [Value("input", np.zeros((2, 32, 32, 3))), Value("call", np.zeros(shape))]
    calls = []
    if ends_in is not None:
        calls.append(Call(path="", function="end", does=ends_in, inputs=[0], outputs=[1]))
    trace = Trace(values, calls, [0], [1])
    return OwnModel(SideSpec("nets.py:make"), None, None, trace, trace)


def _layer(*outputs, **arguments):
    return Native((NativeModel("torch", "nets.py:make", arguments),), (), outputs)


@pytest.mark.parametrize(
    ("outputs", "data", "message"),
    [
        ((), CLASSES, r"the shape \(batch\); expected \(batch, 10\), one for each class"),
        ((1,), CLASSES, r"the shape \(batch, 1\); expected \(batch, 10\)"),
        ((64, 10), CLASSES, r"the shape \(batch, 64, 10\); expected \(batch, 10\)"),
        ((2,), NUMBERS, r"the shape \(batch, 2\); expected \(batch, 1\), a number for each target"),
    ],
)
def test_an_output_that_does_not_fit_is_refused_with_the_shape_that_does(outputs, data, message):
    with pytest.raises(UsageError, match=f"nets.py:make does not fit {data.dataset}: .*{message}"):
        data.objective(_layer(*outputs))


@pytest.mark.parametrize(
    ("outputs", "data", "kind"),
    [
        ((10,), CLASSES, Classification),
        ((1000,), CLASSES, Classification),
        ((1,), CLASSES._replace(classes=2), BinaryClassification),
        ((1,), NUMBERS, Regression),
    ],
)
def test_an_output_that_fits_says_what_is_predicted(outputs, data, kind):
    assert isinstance(data.objective(_layer(*outputs)), kind)


@pytest.mark.parametrize(
    ("choices", "classes", "message"),
    [((10, 3), 10, "nets.py:make with outputs=3 does not fit digits"), ((2, 1), 2, "others two; give one")],
)
def test_every_choice_of_arguments_must_fit(choices, classes, message):
    layers = [Choice({"outputs": count}, _layer(count, outputs=count)) for count in choices]
    with pytest.raises(UsageError, match=message):
        task_file("nets", layers, CLASSES._replace(classes=classes), "run")


def test_an_output_without_a_row_for_each_sample_is_refused(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "nets.py").write_text(_WITHOUT_ROWS)
    expected = r"shape \(4,\) for 2 samples; expected a row for each sample, \(2, outputs\)"
    with pytest.raises(UsageError, match=expected):
        read_model(SideSpec(f"{tmp_path / 'nets.py'}:make"), InputShape((4,)), None, lambda _phase: None)


@pytest.mark.parametrize(
    ("ends_in", "data", "named"),
    [
        (kinds.Softmax(-1), CLASSES, "ends in a softmax"),
        (kinds.Activation("sigmoid"), CLASSES, "ends in a sigmoid"),
        (kinds.Softmax(-1, logarithm=True), CLASSES, None),  # the softmax of it is the same
        (kinds.Activation("relu"), CLASSES, None),
        (kinds.Activation("sigmoid"), NUMBERS, None),  # numbers from 0 to 1
        (None, CLASSES, None),
    ],
)
def test_a_softmax_before_a_loss_of_logits_is_named(ends_in, data, named):
    found = list(remarks(_model((2, 10), ends_in=ends_in), data))
    assert [named in line for line in found] == ([True] if named else [])


def test_classes_that_are_stored_as_floats_are_named():
    (line,) = whole_numbers(np.array([0.0, 1.0, 2.0]), "mine")
    assert "float64" in line
    assert "int64" in line
    assert list(whole_numbers(np.array([0.5, 1.0]), "mine")) == []
    assert list(whole_numbers(np.array([0, 1]), "mine")) == []


@pytest.mark.parametrize(
    ("layers", "hint"), [("linear", "3072 numbers and received 3x32x32"), ("conv", "3600")]
)
def test_a_missing_flatten_is_named(layers, hint):
    torch = pytest.importorskip("torch")
    from harness_torch.port.training import find_layouts

    nn = torch.nn
    model = {
        "linear": nn.Sequential(nn.Linear(3072, 10)),
        "conv": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(3600, 10)),
    }[layers].double()
    shape = InputShape((32, 32, 3))
    with pytest.raises(UsageError, match=f"{hint}.*Flatten"):
        find_layouts(lambda tensors: model(*tensors), [shape])
    wrong = nn.Linear(7, 10).double()
    with pytest.raises(UsageError) as refused:
        find_layouts(lambda tensors: wrong(*tensors), [shape])
    assert "Flatten" not in str(refused.value)
