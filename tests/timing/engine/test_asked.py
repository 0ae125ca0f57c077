"""The text of a configuration: ``"torch:compile threads=2"``."""

import sys

import pytest

from harness.errors import UsageError
from harness.timing.engine.asked import Asked, parsed, written


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("torch env.EMPTY=", Asked(name="torch", variables={"EMPTY": ""})),
        ("torch:compile", Asked(name="torch:compile")),
        ("  torch  threads=2 ", Asked(name="torch", threads=2)),
        ("my folder/bench.py:make", Asked(name="my folder/bench.py:make")),
        (
            "jax precision=bfloat16 device=cuda:1 batch_size=8 dp_clip=1.0",
            Asked(name="jax", precision="bfloat16", device="cuda:1", batch_size=8, private=["dp_clip=1.0"]),
        ),
        (
            "my folder/bench.py:make env.XLA_FLAGS='--a=1 --b' env.X=1",
            Asked(name="my folder/bench.py:make", variables={"XLA_FLAGS": "--a=1 --b", "X": "1"}),
        ),
    ],
)
def test_settings_follow_a_name(text, asked):
    assert parsed(text) == asked


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("torch thread=2", "Did you mean 'threads'"),
        ("torch threads=2 fast", "NAME=VALUE"),
        ("torch threads=0", "from 1 on"),
        ("torch threads=two", "from 1 on"),
        ("torch threads=1 threads=2", "given twice"),
        ("torch precision=half", "bfloat16"),
        ("torch device=gpu", "cuda:N"),
        ("torch env.=1", "NAME=VALUE"),
        ("torch env.X='1", "quotation mark"),
        ("torch python=/no/python", "bin/python"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_right(text, right):
    with pytest.raises(UsageError) as refusal:
        parsed(text)
    assert right in str(refusal.value)


def test_a_written_configuration_is_read_again():
    text = written("torch:eager", sys.executable, {"XLA_FLAGS": "--a --b='x'"})
    assert parsed(text) == Asked(
        name="torch:eager", python=sys.executable, variables={"XLA_FLAGS": "--a --b='x'"}
    )
