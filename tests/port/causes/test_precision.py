"""A model that is far less exact as written than the other one is named; right pairs are not accused."""

import math

import numpy as np
import pytest

from harness.port.causes.precision import error, first_off, is_off
from harness.tracing.calls import Call, Trace, Value
from harness.tracing.semantics import Activation

RNG = np.random.default_rng(0)
WANTED = RNG.normal(size=(7, 5))


def trace(*arrays):
    return Trace([Value("call", array) for array in arrays], [], [], list(range(len(arrays))))


def test_the_error_is_that_of_the_worst_output_in_a_typical_sample():
    small, large = WANTED * (1 + 1e-7), WANTED * (1 + 1e-2)
    assert error(trace(small, large), trace(WANTED, WANTED)) > 1e-3
    turned = small.copy()
    turned[:3] += 1.0
    assert error(trace(turned), trace(WANTED)) < 1e-6


def test_numbers_that_are_infinite_on_both_sides_are_no_error():
    wanted = np.array([[-math.inf, 1.0], [2.0, 3.0]])
    assert error(trace(wanted.astype(np.float32)), trace(wanted)) == 0.0
    assert error(trace(np.array([[math.nan, 1.0], [math.nan, 3.0]])), trace(wanted)) == math.inf


def test_integers_and_other_shapes_are_left_to_the_comparison_in_float64():
    assert error(trace(np.arange(7)), trace(np.arange(7) + 1)) == 0.0
    assert error(trace(WANTED[:3]), trace(WANTED)) == 0.0


@pytest.mark.parametrize(
    ("errors", "off"),
    [
        ((1e-7, 1e-3), True),
        ((math.inf, 1e-7), True),
        ((1e-7, 1e-4), False),
        ((1e-3, 2e-2), False),
        ((0.0, 0.0), False),
        ((math.inf, math.inf), False),
    ],
)
def test_one_side_is_off_only_if_the_other_is_far_more_exact(errors, off):
    assert is_off(*errors) == is_off(*errors[::-1]) == off


def chain(*calls, start=WANTED):
    """A trace of functions, each of the value before: pairs of a name and the array that it gives."""
    values, made = [Value("input", start)], []
    for name, array in calls:
        does = Activation(function=name)
        made.append(
            Call(path=name, function=name, does=does, inputs=[len(values) - 1], outputs=[len(values)])
        )
        values.append(Value("call", array))
    return Trace(values, made, [0], [len(values) - 1])


def in_bfloat16(array):
    bits = array.astype(np.float32).view(np.uint32) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32)


SINGLE = WANTED.astype(np.float32)
ROUGH = in_bfloat16(SINGLE)
EXACT = chain(("tanh", WANTED), ("exp", WANTED * 2), ("abs", WANTED * 3))


@pytest.mark.parametrize(
    ("written", "path", "words"),
    [
        (
            chain(("tanh", SINGLE), ("exp", in_bfloat16(SINGLE * 2)), ("abs", in_bfloat16(SINGLE * 2) * 1.5)),
            "exp",
            "exp in bfloat16",
        ),
        (
            chain(("tanh", SINGLE), ("exp", SINGLE * 2), ("halve", SINGLE), ("abs", SINGLE * 1.5)),
            "abs",
            "abs",
        ),
        (chain(("tanh", SINGLE), ("to", ROUGH), ("exp", SINGLE * 2.1), ("abs", SINGLE * 3.1)), "exp", "exp"),
    ],
)
def test_the_first_call_that_differs_is_named(written, path, words):
    found = first_off(written, EXACT)
    assert (found.written.path, found.words) == (path, words)


def test_outputs_alone_are_off_where_all_calls_are_right():
    assert first_off(chain(("tanh", SINGLE), ("exp", SINGLE * 2), ("abs", SINGLE * 3)), EXACT) is None


MODELS = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.first, self.last = kind, nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        if self.kind == "chunks":
            x = torch.cat([self.first(part) for part in x.split(1)])
        else:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.kind == "autocast"):
                x = self.first(x)
        if self.kind == "refused" and x.dtype == torch.float32:
            raise ValueError("no float32")
        return self.last(torch.tanh(x).to(self.last.weight.dtype))

def make(kind="plain"): return Model(kind)
"""


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (
            "autocast",
            1,
            "against torch.nn.functional.linear in bfloat16",
        ),
        ("chunks", 0, "EQUAL: "),
        ("refused", 0, "Not compared: the precision of the code as written"),
    ],
)
def test_what_the_code_makes_of_float32_decides_where_float64_agrees(harness, kind, code, words):
    pytest.importorskip("torch")
    (harness.folder / "precise.py").write_text(MODELS)
    side = "precise.py:make"
    done = harness("port", side, side, "--input", "6", "--set-b", f"kind={kind}", "--steps", "2", "--quiet")
    assert (done.returncode, done.stderr) == (code, "")
    assert words in done.stdout
