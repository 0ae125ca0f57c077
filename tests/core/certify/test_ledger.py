"""The ledger states what the installed frameworks do: its numbers are compared with their signatures."""

import inspect
import json
import os
import re

import pytest
from click.testing import CliRunner
from support.command import python

from harness.core.certify.ledger import LEDGER, measured_costs
from harness.core.documents.numbers import estimate
from harness.core.shell.commands.ledger import command

ENTRIES = {entry.topic: entry for entry in LEDGER}
RMSPROP, LEAKY = "RMSprop: decay of the mean square", "leaky ReLU: slope below zero"
#: Of each entry whose default is a parameter: the callable of PyTorch, and that of Keras.
TORCH = {
    "Adam: epsilon": ("optim.Adam", "eps"),
    "RMSprop: epsilon": ("optim.RMSprop", "eps"),
    RMSPROP: ("optim.RMSprop", "alpha"),
    "weight decay": ("optim.AdamW", "weight_decay"),
    LEAKY: ("nn.LeakyReLU", "negative_slope"),
    "BatchNorm: epsilon": ("nn.BatchNorm2d", "eps"),
    "BatchNorm: momentum": ("nn.BatchNorm2d", "momentum"),
    "GroupNorm: epsilon": ("nn.GroupNorm", "eps"),
    "LayerNorm: epsilon": ("nn.LayerNorm", "eps"),
}
KERAS = {
    "Adam: epsilon": ("optimizers.Adam", "epsilon"),
    "RMSprop: epsilon": ("optimizers.RMSprop", "epsilon"),
    RMSPROP: ("optimizers.RMSprop", "rho"),
    "weight decay": ("optimizers.AdamW", "weight_decay"),
    LEAKY: ("layers.LeakyReLU", "negative_slope"),
    "BatchNorm: epsilon": ("layers.BatchNormalization", "epsilon"),
    "BatchNorm: momentum": ("layers.BatchNormalization", "momentum"),
    "GroupNorm: epsilon": ("layers.GroupNormalization", "epsilon"),
    "LayerNorm: epsilon": ("layers.LayerNormalization", "epsilon"),
}
#: Of Keras the defaults of these too, which entries state in words.
KERAS_OTHERS = [
    ("activations.leaky_relu", "negative_slope"),
    ("layers.GRU", "reset_after"),
    ("layers.Conv2D", "padding"),
    ("activations.gelu", "approximate"),
]
_IN_KERAS = """
import functools, inspect, json, sys, keras
def default(name, parameter):
    function = functools.reduce(getattr, name.split("."), keras)
    function = function.__init__ if inspect.isclass(function) else function
    return inspect.signature(function).parameters[parameter].default
print(json.dumps([default(*each) for each in json.loads(sys.argv[1])]))
"""


def numbers(text):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def default_of(function, parameter):
    return inspect.signature(function).parameters[parameter].default


def test_torch():
    torch = pytest.importorskip("torch")
    for topic, (name, parameter) in TORCH.items():
        module, kind = name.split(".")
        assert default_of(getattr(getattr(torch, module), kind), parameter) in numbers(ENTRIES[topic].torch)
    assert default_of(torch.nn.GELU, "approximate") == "none"
    x = torch.zeros(1, requires_grad=True)
    torch.nn.functional.leaky_relu(x, 0.2).backward()
    assert x.grad.item() == pytest.approx(0.2)


@pytest.mark.slow
def test_keras():
    pytest.importorskip("keras")
    pytest.importorskip("torch")
    asked = json.dumps([*KERAS.values(), *KERAS_OTHERS])
    printed = python(_IN_KERAS, asked, env={**os.environ, "KERAS_BACKEND": "torch"})
    *defaults, slope, reset_after, padding, approximate = json.loads(printed.splitlines()[-1])
    for topic, value in zip(KERAS, defaults, strict=True):
        assert value in numbers(ENTRIES[topic].keras) or str(value) in ENTRIES[topic].keras
    assert slope in numbers(ENTRIES[LEAKY].keras)
    assert (reset_after, approximate) == (True, False)
    assert padding in ENTRIES["padding of a convolution"].keras


@pytest.mark.usefixtures("quick_xla")
def test_jax_and_what_is_used_with_it():
    jax = pytest.importorskip("jax")
    assert default_of(jax.nn.gelu, "approximate")
    assert float(ENTRIES[LEAKY].jax) == default_of(jax.nn.leaky_relu, "negative_slope")
    assert jax.grad(jax.nn.leaky_relu)(0.0) == float(ENTRIES["leaky ReLU: gradient at zero"].jax)
    optax = pytest.importorskip("optax")
    for topic, function, parameter in (
        ("Adam: epsilon", optax.adam, "eps"),
        (RMSPROP, optax.rmsprop, "decay"),
    ):
        assert numbers(ENTRIES[topic].jax) == [default_of(function, parameter)]
    assert (default_of(optax.rmsprop, "eps"), default_of(optax.rmsprop, "eps_in_sqrt")) == (1e-8, True)
    assert default_of(optax.adamw, "weight_decay") == 1e-4


def test_costs_belong_to_entries_and_their_numbers_and_are_printed():
    costs = measured_costs().costs
    printed = CliRunner(env={"COLUMNS": "200"}).invoke(command)
    assert printed.exit_code == 0
    for cost in costs:
        entry = ENTRIES[cost.topic]
        assert cost.default.rpartition(": ")[2] in f"{entry.torch} {entry.keras} {entry.jax}"
        difference = cost.difference
        assert difference.low <= difference.value <= difference.high
        assert difference.n >= 5
        assert estimate(difference, 2, sign=True) in printed.output
    assert {*TORCH} - {"GroupNorm: epsilon"} <= {cost.topic for cost in costs}  # no task has it by default
