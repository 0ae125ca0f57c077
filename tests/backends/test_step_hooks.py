"""The hooks with which steps of one's own are repeated in float64: nothing is rounded to float32 any more."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = Path(__file__).parents[2] / "backends"
#: Prints those expressions that are not 1/3 in float64, as none is without the hook.
CODE = """
import pathlib, sys
import numpy
hooks, library, *expressions = sys.argv[1:]
names = {"__name__": "hooks", "numpy": numpy}
exec(f"import {library}", names)
exec(pathlib.Path(hooks).read_text(), names)

def attended(function, convert):
    "A third plus the error of attention, which is exact in float64."
    random = numpy.random.default_rng(0)
    q, k, v = random.normal(size=(3, 1, 4, 1, 3))
    weights = numpy.exp(numpy.einsum("bqhd,bkhd->bhqk", q, k) / 3**0.5)
    exact = numpy.einsum("bhqk,bkhd->bqhd", weights / weights.sum(axis=-1, keepdims=True), v)
    return numpy.asarray(function(*map(convert, (q, k, v)))) - exact + 1 / 3

names["compute_in_float64"]()
names.update(attended=attended, single=numpy.ones(3, "float32"))
found = {each: numpy.asarray(eval(each, names), "float64") for each in expressions}
print([each for each, array in found.items() if abs(array - 1 / 3).max() > 1e-14])
"""
TORCH = (
    "torch.ones(3) / 3",
    "(torch.ones(3) / 3).float()",
    "(torch.ones(3) / 3).to(torch.float32)",
    "(torch.ones(3) / 3).to(dtype=torch.float32)",
    "(torch.ones(3) / 3).type(torch.float32)",
    "torch.ones(3, dtype=torch.float32) / 3",
    "torch.sum(torch.ones(3) / 3, dtype=torch.float32) / 3",
    "torch.from_numpy(single) / 3",
)
JAX = (
    "jax.numpy.ones(3) / 3",
    "(jax.numpy.ones(3) / 3).astype(jax.numpy.float32)",
    "jax.numpy.ones(3, dtype=jax.numpy.float32) / 3",
    "jax.numpy.sum(jax.numpy.ones(3) / 3, dtype=jax.numpy.float32) / 3",
    "jax.numpy.int32(1) / jax.numpy.int32(3)",
    "jax.numpy.asarray(single) / 3",
    "jax.numpy.array(single) / 3",
    "jax.device_put(single) / 3",
    "attended(jax.nn.dot_product_attention, jax.numpy.asarray)",
)
_UNITS = "keras.layers.Dense(1, kernel_initializer='ones')(keras.ops.ones((1, 1)))"
_TENSOR = "lambda array: keras.ops.convert_to_tensor(array, keras.config.floatx())"
KERAS = tuple(f"keras.ops.convert_to_numpy({ones} / 3)" for ones in ("keras.ops.ones(3)", _UNITS))
#: The scale of attention is of float32 on this engine alone.
KERAS_ON_TENSORFLOW = (*KERAS, f"attended(keras.ops.dot_product_attention, {_TENSOR})")


@pytest.mark.parametrize(
    ("backend", "engine", "expressions"),
    [
        ("torch", "torch", TORCH),
        ("jax", "jax", JAX),
        ("keras", "torch", KERAS),
        pytest.param("keras", "tensorflow", KERAS_ON_TENSORFLOW, marks=pytest.mark.slow),
    ],
)
def test_a_step_in_float64_is_rounded_nowhere(backend, engine, expressions):
    for module in (backend, engine):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    hooks = BACKENDS / f"harness_{backend}" / "step_hooks.py"
    done = subprocess.run(
        [sys.executable, "-c", CODE, hooks, backend, *expressions],
        env=os.environ | {"KERAS_BACKEND": engine},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_keras_that_casts_in_another_way_is_refused():
    for module in ("keras", "torch"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    code = (
        "import pathlib, sys, keras\n"
        "keras.backend.result_type = lambda *_: 'float32'\n"
        "exec(pathlib.Path(sys.argv[1]).read_text())\n"
        "compute_in_float64()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, BACKENDS / "harness_keras" / "step_hooks.py"],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "casts results of float64 to float32" in done.stderr
