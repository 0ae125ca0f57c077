"""Keras models as sides: every layer's call is confirmed by NumPy's formula, on every engine.

Each engine runs in a process of its own, since a side makes Keras compute in float64 for good.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.engines import QUICK_XLA

SCRIPT = Path(__file__).with_name("keras_layers.py")
#: What engines compute by code of their own; the rest is Keras's and the same in all.
OF_ENGINE = (
    "dense of a sequence",
    "conv2d same",
    "batch normalization",
    "layer normalization",
    "lstm both ways",
    "attention causal",
    "average pooling same",
    "up-sampling bilinear",
    "lambda",
    "subclassed",
    "activation gelu",
    "activation leaky_relu",
)


def problems_on(engine, cases):
    for module in ("keras", engine):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    float64 = {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, SCRIPT, *cases],
        env={**os.environ, **QUICK_XLA, **float64, "KERAS_BACKEND": engine, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_every_layer_computes_its_formula_on_tensorflow():
    assert problems_on("tensorflow", ()) == {}


@pytest.mark.long
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_what_an_engine_computes_is_its_formula(engine):
    assert problems_on(engine, OF_ENGINE) == {}
