"""The ledger states what the installed frameworks do: its numbers are compared with their signatures."""

import inspect
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.certify.ledger import LEDGER, measured_costs
from harness.cli.ledger import command
from harness.report.numbers import estimate

ENTRIES = {entry.topic: entry for entry in LEDGER}


def _default(function, parameter):
    return inspect.signature(function).parameters[parameter].default


def test_torch():
    torch = pytest.importorskip("torch")
    assert float(ENTRIES["Adam: epsilon"].torch) == _default(torch.optim.Adam, "eps")
    assert f"outside the root, {_default(torch.optim.RMSprop, 'eps'):.0e}".replace("e-0", "e-") == (
        ENTRIES["RMSprop: epsilon"].torch
    )
    assert float(ENTRIES["RMSprop: decay of the mean square"].torch) == _default(torch.optim.RMSprop, "alpha")
    assert f"AdamW ({_default(torch.optim.AdamW, 'weight_decay')})" in ENTRIES["weight decay"].torch
    assert float(ENTRIES["leaky ReLU: slope below zero"].torch) == _default(
        torch.nn.LeakyReLU, "negative_slope"
    )
    assert float(ENTRIES["BatchNorm: epsilon"].torch) == _default(torch.nn.BatchNorm2d, "eps")
    assert ENTRIES["BatchNorm: momentum"].torch.startswith(f"{_default(torch.nn.BatchNorm2d, 'momentum')},")
    assert float(ENTRIES["GroupNorm: epsilon"].torch) == _default(torch.nn.GroupNorm, "eps")
    assert float(ENTRIES["LayerNorm: epsilon"].torch) == _default(torch.nn.LayerNorm, "eps")
    assert _default(torch.nn.GELU, "approximate") == "none"
    x = torch.zeros(1, requires_grad=True)
    torch.nn.functional.leaky_relu(x, 0.2).backward()
    assert x.grad.item() == pytest.approx(0.2)


KERAS = """
import inspect, json, keras
def default(function, parameter):
    return inspect.signature(function).parameters[parameter].default
print(json.dumps([
    default(keras.optimizers.Adam.__init__, "epsilon"),
    default(keras.optimizers.RMSprop.__init__, "epsilon"),
    default(keras.optimizers.RMSprop.__init__, "rho"),
    default(keras.optimizers.AdamW.__init__, "weight_decay"),
    default(keras.layers.LeakyReLU.__init__, "negative_slope"),
    default(keras.activations.leaky_relu, "negative_slope"),
    default(keras.layers.GRU.__init__, "reset_after"),
    default(keras.layers.Conv2D.__init__, "padding"),
    [default(kind.__init__, "epsilon") for kind in (
        keras.layers.BatchNormalization, keras.layers.GroupNormalization, keras.layers.LayerNormalization
    )],
    default(keras.layers.BatchNormalization.__init__, "momentum"),
    default(keras.activations.gelu, "approximate"),
]))
"""


def test_keras():
    pytest.importorskip("keras")
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", KERAS],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=True,
    )
    *defaults, epsilons, momentum, approximate = json.loads(done.stdout.splitlines()[-1])
    adam, rmsprop, rho, decay, layer, function, reset_after, padding = defaults
    kinds = ("BatchNorm", "GroupNorm", "LayerNorm")
    assert [float(ENTRIES[f"{kind}: epsilon"].keras) for kind in kinds] == epsilons
    assert ENTRIES["BatchNorm: momentum"].keras.startswith(f"{momentum},")
    assert not approximate
    assert float(ENTRIES["Adam: epsilon"].keras) == adam
    assert float(ENTRIES["RMSprop: epsilon"].keras.rpartition(" ")[2]) == rmsprop
    assert float(ENTRIES["RMSprop: decay of the mean square"].keras) == rho
    assert f"AdamW: {decay}" in ENTRIES["weight decay"].keras
    assert ENTRIES["leaky ReLU: slope below zero"].keras == f"{layer} as a layer, {function} as a function"
    assert reset_after
    assert padding in ENTRIES["padding of a convolution"].keras


@pytest.mark.usefixtures("quick_xla")
def test_jax_and_what_is_used_with_it():
    jax = pytest.importorskip("jax")
    assert _default(jax.nn.gelu, "approximate")
    assert float(ENTRIES["leaky ReLU: slope below zero"].jax) == _default(jax.nn.leaky_relu, "negative_slope")
    assert jax.grad(jax.nn.leaky_relu)(0.0) == float(ENTRIES["leaky ReLU: gradient at zero"].jax)
    optax = pytest.importorskip("optax")
    assert ENTRIES["Adam: epsilon"].jax == "optax: 1e-8"
    assert _default(optax.adam, "eps") == _default(optax.rmsprop, "eps") == 1e-8
    assert _default(optax.rmsprop, "eps_in_sqrt")
    assert ENTRIES["RMSprop: decay of the mean square"].jax == f"optax: {_default(optax.rmsprop, 'decay')}"
    assert _default(optax.adamw, "weight_decay") == 1e-4


def test_costs_belong_to_entries_and_their_numbers():
    costs = measured_costs().costs
    for cost in costs:
        entry = ENTRIES[cost.topic]
        value = cost.default.rpartition(": ")[2]
        assert value in f"{entry.torch} {entry.keras} {entry.jax}"
        difference = cost.difference
        assert difference.low <= difference.value <= difference.high
        assert difference.n >= 5
    numbers = ("Adam: epsilon", "RMSprop: epsilon", "RMSprop: decay of the mean square", "weight decay")
    numbers += (
        "leaky ReLU: slope below zero",
        "BatchNorm: epsilon",
        "BatchNorm: momentum",
        "LayerNorm: epsilon",
    )
    assert set(numbers) <= {cost.topic for cost in costs}


def test_the_command_prints_what_was_measured():
    result = CliRunner(env={"COLUMNS": "200"}).invoke(command)
    assert result.exit_code == 0
    for cost in measured_costs().costs:
        assert estimate(cost.difference, 2, sign=True) in result.output
