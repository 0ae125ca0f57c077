"""Completion of commands, options and arguments of families."""

import pytest
from support.command import complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("harness comp", ["compare"]),
        ("harness export ml", ["mlflow"]),
        ("harness duel torch ke", ["keras", "keras-jax", "keras-torch"]),
    ],
)
def test_names_are_completed(line, offered):
    assert complete(line) == offered
