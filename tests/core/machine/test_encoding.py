"""Values of plugins are encoded as what they stand for, and what is nothing plain is refused by its type."""

import enum
import json

import msgspec
import numpy as np
import pytest

from harness.core.machine.encoding import encode, recorded


class Text(str):
    __slots__ = ()

    def __str__(self):
        return self


class Count(int):
    def __int__(self):
        return self


class Number(float):
    def __float__(self):
        return self


class Colour(enum.Enum):
    RED = "red"


class Facts(msgspec.Struct):
    name: str
    count: int
    sizes: list[float]


def test_subclasses_and_scalars_are_plain_when_they_are_read():
    values = [Text("a"), np.str_("b"), Count(1), np.uint8(2), Number(0.5), np.float16(0.25), np.bool_(True)]
    assert json.loads(encode([*values, Colour.RED, {np.str_("k"): np.array(3)}])) == [
        *("a", "b", 1, 2, 0.5, 0.25, True, "red"),
        {"k": 3},
    ]
    facts = recorded(Facts(Text("a"), Count(1), (np.float32(2), 3)), Facts)
    assert facts == Facts("a", 1, [2.0, 3.0])
    assert [type(each) for each in (facts.name, facts.count, *facts.sizes)] == [str, int, float, float]


@pytest.mark.parametrize("value", [np.arange(2), np.longdouble(1), object(), 1j])
def test_other_values_are_refused_by_their_type(value):
    with pytest.raises(TypeError, match=f"{type(value).__name__} is no value that a record can hold"):
        encode({"value": [value]})


def test_a_number_that_is_none_is_no_number():
    with pytest.raises(msgspec.ValidationError, match=r"\$.sizes\[0\]"):
        recorded(Facts("a", 1, [np.float64("nan")]), Facts)
