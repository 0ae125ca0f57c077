"""Models of the user's own that do not fit their data, or hinder their training."""

import numpy as np
import pytest

from harness.core.models.fit import remarks, require_fit, whole_numbers
from harness.core.models.reading import OwnModel, SideSpec
from harness.core.models.task_file import TaskData
from harness.errors import UsageError
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, InputShape, Trace, Value

CLASSES = TaskData("digits", InputShape((32, 32, 3)), (), 10)
NUMBERS = TaskData("sunspots", InputShape((32,)), (1,), None)


def _model(shape, *, ends_in=None):
    """A model of which an evaluation of two samples returned an output of this shape."""
    values = [Value("input", np.zeros((2, 32, 32, 3))), Value("call", np.zeros(shape))]
    calls = []
    if ends_in is not None:
        calls.append(Call(path="", function="end", does=ends_in, inputs=[0], outputs=[1]))
    trace = Trace(values, calls, [0], [1])
    return OwnModel(SideSpec("nets.py:make"), None, None, trace, trace)


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        ((10,), CLASSES, r"of shape \(10,\) for 2 samples; expected a row for each sample, \(2, 10\)"),
        ((), NUMBERS, r"of shape \(\) for 2 samples; expected a row for each sample, \(2, outputs\)"),
        ((2,), CLASSES, r"of shape \(2,\), and digits has 10 classes; .* \(2, 10\)"),
        ((2, 1), CLASSES, r"of shape \(2, 1\), and digits has 10 classes; .* \(2, 10\)"),
    ],
)
def test_an_output_that_does_not_fit_is_refused_with_the_shape_that_does(shape, data, message):
    with pytest.raises(UsageError, match=message):
        require_fit(_model(shape), data)


@pytest.mark.parametrize(
    ("shape", "data"), [((2, 10), CLASSES), ((2, 64, 10), CLASSES), ((2, 1), NUMBERS), ((2, 1000), CLASSES)]
)
def test_an_output_that_fits_is_accepted(shape, data):
    require_fit(_model(shape), data)


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
