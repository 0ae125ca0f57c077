"""The smallest expressions that differ, and the change that gives the other side's numbers."""

import numpy as np
import pytest
from support.numpy_side import NumpyGraph

from harness.port.pairing.matching import match
from harness.port.walk.walk import walk
from harness.tracing import semantics as kinds

RNG = np.random.default_rng(0)
ADD, SUBTRACT, MULTIPLY = (kinds.Arithmetic(function=name) for name in ("add", "subtract", "multiply"))
SILU, TANH = (kinds.Activation(function=name) for name in ("silu", "tanh"))
JOIN, PRODUCT = kinds.Concatenation(axis=-1), kinds.MatrixProduct(transposed=True)


def times(number):
    return kinds.Arithmetic(function="multiply", constant=number)


def part(index):
    return kinds.Slice(index=index)


def causes(a, b, *shapes):
    inputs = [RNG.normal(size=shape) for shape in shapes]
    sides = [NumpyGraph(*(("", does, sources, {}) for does, *sources in calls)) for calls in (a, b)]
    trace_a, trace_b = (side.trace(inputs, training=False) for side in sides)
    return walk(sides[1], trace_a, trace_b, inputs, match(trace_a, trace_b), training=False)


def gated(one, other):
    halves = (part("[:, :4]"), 0), (part("[:, 4:]"), 0)
    return *halves, (SILU, one), (MULTIPLY, 3, other)


def table(base=10000.0):
    angles = np.arange(6)[:, None] * base ** -(np.arange(4) / 4)
    return np.concatenate([np.sin(angles), np.cos(angles)], -1)


def rotated(cosines, sines, adjacent):
    """Rotary positions of (batch, positions, 8), scored with the second input."""
    if adjacent:
        turned = [
            (part("[..., 1::2]"), 0),
            (part("[..., ::2]"), 0),
            (kinds.Activation(function="negative"), 2),
        ]
        turned += [(kinds.Reshape(shape=(6, 4, 1)), 4), (kinds.Reshape(shape=(6, 4, 1)), 3), (JOIN, 5, 6)]
        turned += [(kinds.Reshape(shape=(6, 8)), 7)]
    else:
        turned = [(part("[..., 4:]"), 0), (part("[..., :4]"), 0), (kinds.Activation(function="negative"), 2)]
        turned += [(JOIN, 4, 3)]
    last = 1 + len(turned)
    return *turned, (MULTIPLY, 0, cosines), (MULTIPLY, last, sines), (ADD, last + 1, last + 2)


def angles(adjacent):
    base = np.arange(6)[:, None] * 10.0 ** -np.arange(4)
    return np.repeat(base, 2, -1) if adjacent else np.concatenate([base, base], -1)


def rotary(adjacent):
    """Of both inputs, then their scores."""
    tables = np.cos(angles(adjacent)), np.sin(angles(adjacent))
    first = rotated(*tables, adjacent)
    count = len(first)

    def moved(source):  # the same calls on the second input
        if isinstance(source, np.ndarray):
            return source
        return 1 if source == 0 else source + count

    second = [(does, *map(moved, sources)) for does, *sources in first]
    return *first, *second, (PRODUCT, 1 + count, 1 + 2 * count)


MASK = np.where(np.tri(5, dtype=bool), 0.0, -np.inf)
WINDOW, WIDER = (
    (far >= 0) & (far < size) for far in [np.subtract.outer(np.arange(5), np.arange(5))] for size in (2, 3)
)
LOWER = kinds.Arithmetic(function="subtract", constant=9.0)
LARGEST = kinds.Reduction(function="max", axes=(-1,))
SOFTMAX = kinds.Softmax(axis=-1)
CASES = {
    "order of parts": (
        [(SILU, 0), (TANH, 0), (JOIN, 1, 2)],
        [(SILU, 0), (TANH, 0), (JOIN, 2, 1)],
        [(3, 4)],
        ("order of parts", "silu, tanh", "tanh, silu"),
    ),
    "halves": (
        gated(1, 2),
        gated(2, 1),
        [(3, 8)],
        ("exchange", "first[:, :4], first[:, 4:]", "first[:, 4:], first[:, :4]"),
    ),
    "difference": (
        [(SUBTRACT, 0, 1)],
        [(SUBTRACT, 1, 0)],
        [(3, 4), (3, 4)],
        ("order of parts", "first, second", "second, first"),
    ),
    "factor": (
        [(times(4.0), 0), (ADD, 1, 0), (TANH, 2)],
        [(ADD, 0, 0), (TANH, 1)],
        [(3, 4)],
        ("missing call", "multiply 4", "nothing"),
    ),
    "constant": (
        [(times(4.0), 0), (TANH, 1)],
        [(times(0.25), 0), (TANH, 1)],
        [(3, 4)],
        ("constant", "4", "0.25"),
    ),
    "heads": (
        [(kinds.Reshape(shape=(5, 2, 4)), 0), (TANH, 1)],
        [(kinds.Reshape(shape=(5, 4, 2)), 0), (kinds.Transposition(axes=(0, 1, 3, 2)), 1), (TANH, 2)],
        [(3, 5, 8)],
        ("heads", "(5, 2, 4)", "(5, 4, 2)"),
    ),
    "flatten": (
        [(kinds.Transposition(axes=(0, 2, 1)), 0), (kinds.Reshape(shape=(20,)), 1), (part("[:, 1:]"), 2)],
        [(kinds.Reshape(shape=(20,)), 0), (part("[:, 1:]"), 1)],
        [(3, 5, 4)],
        ("flatten order", "axes (0, 2, 1)", "axes (0, 1, 2)"),
    ),
    "flip": (
        [(part("[:, ::-1]"), 0), (TANH, 1)],
        [(part("[:, :, ::-1]"), 0), (TANH, 1)],
        [(3, 5, 4)],
        ("part", "[:, ::-1]", "[:, :, ::-1]"),
    ),
    "mask": (
        [(ADD, 0, MASK), (SOFTMAX, 1)],
        [(SOFTMAX, 0)],
        [(3, 5, 5)],
        ("mask", "keys up to its own", "none"),
    ),
    "window": (
        [(kinds.Selection(), WINDOW, 0, np.array(-np.inf)), (SOFTMAX, 1)],
        [(kinds.Selection(), WIDER, 0, np.array(-1e30)), (SOFTMAX, 1)],
        [(3, 5, 5)],
        ("mask", "keys from -1 to its own", "keys from -2 to its own"),
    ),
    "frequencies": (
        [(ADD, 0, table()), (TANH, 1)],
        [(ADD, 0, table(base=100.0)), (TANH, 1)],
        [(3, 6, 8)],
        ("table", "table 6×8, 0.0998334 at (1, 1) and 29 more", "table 6×8, 0.310984 at (1, 1) and 29 more"),
    ),
    "positions": (
        [(kinds.Gather(axis=1), 0, np.arange(2, 6)), (TANH, 1)],
        [(kinds.Gather(axis=1), 0, np.arange(4)), (TANH, 1)],
        [(3, 7, 8)],
        ("table", "table 4", "table 4, "),
    ),
    "rotary pairs": (
        rotary(adjacent=False),
        rotary(adjacent=True),
        [(2, 6, 8)] * 2,
        ("rotary pairs", "half apart", "adjacent"),
    ),
    "border": (
        [(LOWER, 0), (kinds.Padded(padding=((0, 0), (1, 1)), value=-np.inf), 1), (LARGEST, 2)],
        [(LOWER, 0), (kinds.Padded(padding=((0, 0), (1, 1))), 1), (LARGEST, 2)],
        [(3, 5)],
        ("border", "-inf", "0"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_of_an_expression_is_named_with_the_number_that_proves_it(case):
    a, b, shapes, (kind, own, other) = CASES[case]
    (cause,) = causes(a, b, *shapes)
    assert cause.kind == kind
    assert own in cause.a
    assert other in cause.b
    assert cause.after < 1e-12 < cause.before


def test_without_a_change_the_smallest_expressions_are_left_with_their_lines():
    sine, cosine = (kinds.Activation(function=name) for name in ("sin", "exp"))
    tail = lambda place: ((times(3.0), place), (TANH, place + 1))  # noqa: E731
    a = [(SILU, 0), (sine, 1), (MULTIPLY, 2, 1), *tail(3)]
    b = [(SILU, 0), (cosine, 1), (cosine, 2), (MULTIPLY, 3, 1), *tail(4)]
    (cause,) = causes(a, b, (3, 4))
    assert (cause.kind, cause.a, cause.b) == ("other function", "sin", "exp → exp")
    assert (cause.line_a, cause.line_b) == ("model.py:2", "model.py:3")
    assert cause.exchanged == []


def test_equal_expressions_of_other_form_have_no_cause():
    a = [(times(2.0), 0), (times(2.0), 1), (TANH, 2)]
    assert causes(a, [(times(4.0), 0), (TANH, 1)], (3, 4)) == []
    assert causes(gated(1, 2), [*reversed(gated(2, 1)[:2]), (SILU, 2), (MULTIPLY, 3, 1)], (3, 8)) == []
