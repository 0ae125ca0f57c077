"""Values that were copied with an error are named with the operation; right copies are never accused."""

import numpy as np
import pytest
from support.numpy_side import NumpySide

from harness.port.causes.copies import copied
from harness.port.causes.training import worst_parameter
from harness.port.evaluation import worst_output
from harness.port.pairing.matching import Matching, match
from harness.port.pairing.relations import operation_between
from harness.port.pairing.transfer import transferred
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 4, 4))
MATRIX = RNG.normal(size=(6, 8))
VECTOR = RNG.normal(size=8)
INPUTS = [RNG.normal(size=(5, 6, 6, 4))]
CONV = kinds.Convolution(strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (KERNEL, KERNEL[::-1, ::-1], "a rotation by 180°"),
        (KERNEL, KERNEL[:, ::-1], "mirroring along axis 1"),
        (KERNEL, KERNEL.transpose(1, 0, 2, 3), "a transposition to its axes (1, 0, 2, 3)"),
        (KERNEL, KERNEL.transpose(0, 1, 3, 2), "a transposition to its axes (0, 1, 3, 2)"),
        (MATRIX, MATRIX.T.reshape(6, 8), "a reshape in the place of a transposition"),
        (MATRIX, MATRIX.reshape(8, 6).T, "a reshape in the place of a transposition"),
        (MATRIX, np.roll(MATRIX, 4, 1), "an exchange of the halves of axis 1"),
        (MATRIX, MATRIX.reshape(6, 2, 2, 2).swapaxes(2, 3).reshape(6, 8), "a permutation of axis 1"),
        (MATRIX, MATRIX.reshape(6, 2, 4).swapaxes(1, 2).reshape(6, 8), "of 2 × 4 parts of axis 1"),
        (MATRIX, MATRIX[[3, 0, 1, 5, 2, 4]], "a permutation of axis 0"),
        (VECTOR, VECTOR + 1, "an offset of +1"),
        (VECTOR, VECTOR[::-1].astype(np.float32), "a reversal of axis 0"),
    ],
)
def test_an_operation_is_named_and_gives_the_other_array(one, other, text):
    operation = operation_between(one, other, one.ndim - 2 if one.ndim == 4 else 0)
    assert text in operation.text
    np.testing.assert_allclose(operation.applied(one), other, rtol=1e-6)
    np.testing.assert_allclose(operation.applied(2 * one) - operation.applied(one), operation.moved(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MATRIX, MATRIX.copy()),
        (MATRIX, RNG.normal(size=(6, 8))),
        (MATRIX, MATRIX * 2),
        (np.eye(4)[:3], np.eye(4)[:3, ::-1]),
        (np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])),
        (MATRIX, np.full((6, 8), np.nan)),
    ],
)
def test_equal_arrays_and_those_of_other_numbers_have_no_operation(one, other):
    assert operation_between(one, other) is None


def side(first, last=None, *between):
    return NumpySide(
        ("conv", CONV, {"kernel": first, "bias": np.zeros(4)}),
        *between,
        ("flat", kinds.Reshape(shape=(144,)), {}),
        ("dense", kinds.Linear(), {"kernel": DENSE if last is None else last, "bias": VECTOR}),
    )


DENSE = RNG.normal(size=(144, 8))


def found(a, b):
    traces = [each.trace(INPUTS, training=False) for each in (a, b)]
    matching = match(*traces)
    return copied(*traces, matching, worst_output(*traces)[0]), matching


def test_a_kernel_that_was_copied_upside_down_is_a_fault_of_its_layer():
    ((cause,), matching) = found(side(KERNEL), side(KERNEL[::-1, ::-1]))
    assert (cause.kind, cause.path_b, cause.harmless) == ("copied values", "conv kernel", False)
    assert (cause.a, cause.b) == ("conv.kernel", "conv.kernel, equal after a rotation by 180°")
    assert cause.before > 0.1
    assert cause.after < 1e-12
    assert matching.operations == {}


def test_an_offset_of_constants_counts_where_the_kernel_was_copied():
    right = side(KERNEL)
    off = side(KERNEL)
    off.load({"conv.bias": np.ones(4)})
    ((cause,), _) = found(right, off)
    assert cause.b == "conv.bias, equal after an offset of +1"
    off.load({"conv.kernel": RNG.normal(size=KERNEL.shape)})
    assert found(right, off)[0] == []


def test_sides_that_were_made_with_values_of_their_own_are_not_accused():
    assert found(side(KERNEL), side(RNG.normal(size=KERNEL.shape), RNG.normal(size=DENSE.shape)))[0] == []


def with_order():
    """A dense layer with its rows in the order that another flattening needs, and the reference."""
    moved = kinds.Transposition(axes=(0, 3, 1, 2))
    rows = DENSE.reshape(6, 6, 4, 8).transpose(2, 0, 1, 3).reshape(144, 8)
    return side(KERNEL), side(KERNEL, rows, ("move", moved, {}))


@pytest.mark.parametrize("other_fault", [False, True])
def test_a_kernel_with_the_order_that_the_code_needs_is_harmless_and_is_kept(other_fault):
    a, b = with_order()
    if other_fault:
        b.load({"conv.kernel": KERNEL[:, ::-1]})
    causes, matching = found(a, b)
    assert [cause.kind for cause in causes if cause.harmless == (not other_fault)][:1] == ["copied values"]
    if other_fault:
        return
    a.load({name: array * 1.5 for name, array in a.loaded.items()})
    values, _ = transferred(matching, a.loaded, b.loaded)
    b.load(values)
    assert worst_output(*(each.trace(INPUTS, training=False) for each in (a, b)))[0] < 1e-12
    assert worst_parameter(matching, a.loaded, b.loaded)[0] == 0.0


def test_a_bias_that_has_two_of_the_other_side_in_it_is_right():
    gates = {f"{kind}_{gate}": RNG.normal(size=(4, 3)) for kind in ("kernel",) for gate in "ifgo"}
    gates |= {f"recurrent_{gate}": RNG.normal(size=(3, 3)) for gate in "ifgo"}
    biases = {f"bias_{gate}": RNG.normal(size=3) for gate in "ifgo"}
    second = {f"recurrent_bias_{gate}": np.full(3, gate == "f", float) for gate in "ifgo"}
    both = {f"bias_{gate}": biases[f"bias_{gate}"] + (gate == "f") for gate in "ifgo"}
    does = kinds.Recurrent(cell="lstm", activation="tanh", recurrent_activation="sigmoid")
    a, b = NumpySide(("rnn", does, gates | biases | second)), NumpySide(("rnn", does, gates | both))
    inputs = [RNG.normal(size=(2, 5, 4))]
    traces = [each.trace(inputs, training=False) for each in (a, b)]
    matching = match(*traces)
    assert copied(*traces, matching, 0.0) == []
    values, _ = transferred(matching, a.loaded, b.loaded)
    assert all(np.array_equal(values[f"rnn.{name}"], array) for name, array in both.items())


MODELS = """
import torch
from torch import nn

class Mirrored(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.conv, self.code = nn.Conv2d(3, 4, 3, padding=1), code

    def forward(self, x):
        x = x.flip(2, 3) if self.code else x
        x = self.conv(x)
        return torch.relu(x.flip(2, 3) if self.code else x).flatten(1)

class Seeded(nn.Module):
    def __init__(self, turned):
        super().__init__()
        torch.manual_seed(0)
        self.weight, self.turned = nn.Parameter(torch.randn(5, 5)), turned

    def forward(self, x):
        x = torch.tanh(x).mean((1, 2))[:, [0, 1, 2, 0, 1]]
        return x @ (self.weight.T if self.turned else self.weight)

def make(code=False, values=False):
    torch.manual_seed(0)
    model = Mirrored(code)
    if values:
        model.conv.weight.data = model.conv.weight.data.flip(2, 3)
    return model

def seeded(turned=False): return Seeded(turned)
"""


@pytest.mark.parametrize(
    ("target", "flags", "code", "words"),
    [
        ("make", ("values=true",), 1, "equal after a rotation by 180°"),
        ("make", ("values=true", "code=true"), 0, "EQUAL UP TO copied values"),
        ("seeded", ("turned=true",), 0, "EQUAL"),
    ],
)
def test_values_as_made_decide_and_the_code_that_reverses_them_is_right(harness, target, flags, code, words):
    pytest.importorskip("torch")
    (harness.folder / "copies.py").write_text(MODELS)
    sides = (f"copies.py:{target}",) * 2
    given = [part for flag in flags for part in ("--set-b", flag)]
    done = harness("port", *sides, "--input", "4,4,3", "--quiet", *given)
    assert (done.returncode, done.stderr) == (code, "")
    assert words in done.stdout


def added(table, result):
    """Trace a model that adds a table to its input, and gives ``result``."""
    values = [Value("input", MATRIX), Value("parameter", table, "table"), Value("call", result)]
    call = Call(path="", function="add", does=kinds.Arithmetic(function="add"), inputs=[0, 1], outputs=[2])
    return Trace(values, [call], [0], [2])


@pytest.mark.parametrize(("worst", "operations"), [(0.0, 1), (0.5, 0)])
def test_rows_of_a_table_in_another_order_count_only_if_outputs_differ(worst, operations):
    table = RNG.normal(size=MATRIX.shape)
    rolled = np.roll(table, -1, 0)
    matching = Matching([], [(Stored("table"), Stored("table"))], [], [])
    causes = copied(added(table, MATRIX + table), added(rolled, MATRIX + table), matching, worst)
    assert [(each.b, each.harmless) for each in causes] == [
        ("table, equal after a permutation of axis 0", True)
    ] * operations
    loaded, _ = transferred(matching, {"table": 2 * table}, {"table": rolled})
    np.testing.assert_array_equal(loaded["table"], 2 * (rolled if operations else table))
