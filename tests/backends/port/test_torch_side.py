"""Modules of PyTorch as sides: what is recorded is what was computed, in terms of the vocabulary."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support import torch_modules  # noqa: E402
from support.formulas import problem_of  # noqa: E402
from support.torch_sides import inputs_of, opaque, output, prepared, side_of  # noqa: E402

from harness.tracing.calls import InputShape  # noqa: E402

#: How many calls are opaque because torch's own are beyond the vocabulary.
OPAQUE = {"shape in place": 3}
#: NumPy has no formula for kernels that are computed, for single steps of cells, and for these.
WITHOUT_FORMULA = {
    "pooling bicubic",
    "convolution transposed groups",
    "convolution weight norm",
    "convolution convolution of weight norm",
    "sequence gru cell",
    "sequence lstm cell",
    "shape in place",
}
#: Modules that drop values or lower the precision by functions, which a side prevents.
OTHER_BY_ITSELF = {"sequence scaled attention", "shape lower types"}

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_side():
    with prepared():
        yield


def evaluated(side, module, inputs, *, training):
    """The first output of the module itself, channels last, without dropout."""
    module = copy.deepcopy(module).train(training)
    for each in module.modules():
        if isinstance(each, torch.nn.Dropout | torch.nn.AlphaDropout):
            each.p = 0.0
        elif isinstance(getattr(each, "dropout", None), float):
            each.dropout = 0.0
    tensors = [torch.from_numpy(array) for array in inputs]
    tensors = [
        tensor.movedim(-1, 1) if first else tensor
        for tensor, first in zip(tensors, side.input_layouts, strict=True)
    ]
    with torch.no_grad():
        result = module(*tensors)
    return result.movedim(1, -1).numpy() if result.dim() > 3 else result.numpy()


@pytest.mark.parametrize("name", torch_modules.ALL)
def test_trace_is_what_the_module_computes(name):
    module, shapes = torch_modules.ALL[name]
    side = side_of(module, shapes)
    inputs = inputs_of(shapes)
    before = side.parameters()
    for training in (False, True):
        trace = side.trace(inputs, training=training)
        if name not in OTHER_BY_ITSELF:
            expected = evaluated(side, module, inputs, training=training)
            np.testing.assert_allclose(output(trace), expected, 1e-12, 1e-13)
        assert len(opaque(trace)) == OPAQUE.get(name, 0), opaque(trace)
        if name not in WITHOUT_FORMULA:
            assert [problem for call in trace.calls if (problem := problem_of(trace, call))] == []
    after = side.parameters()
    assert all(np.array_equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize(
    "name", [name for name in torch_modules.ALL if name.startswith(("conv", "seq", "norm"))]
)
def test_canonical_parameters_round_trip(name):
    module, shapes = torch_modules.ALL[name]
    side = side_of(module, shapes)
    trace = side.trace(inputs_of(shapes), training=False)
    stored = side.parameters()
    for call in trace.calls:
        arrays = trace.parameters_of(call)
        for role, each in call.parameters.items():
            emptied = np.full_like(stored[each.name], np.nan)
            each.store(arrays[role], emptied)
            np.testing.assert_array_equal(each.canonical(emptied), arrays[role])
            written = ~np.isnan(emptied)
            np.testing.assert_array_equal(emptied[written], stored[each.name][written])


class Narrow(torch.nn.Module):
    """Asks for narrow complex numbers."""

    def __init__(self):
        super().__init__()
        self.filter = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))

    def forward(self, x):
        made = torch.zeros(x.shape, dtype=torch.cfloat)
        made[:] = x.cfloat() * self.filter / 3
        return made.real


def test_complex_numbers_are_wide():
    module = Narrow()
    side, numbers = side_of(module, [InputShape((3,))]), np.array([1 + 2j, 3 - 1j, 0.1j]) / 3
    side.load({"filter": numbers})
    x = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(output(side.trace([x], training=False)), (x * numbers / 3).real, 1e-14)
    np.testing.assert_array_equal(side.parameters()["filter"], numbers)
