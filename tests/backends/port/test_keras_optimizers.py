"""Rules that are read from optimizers of Keras, and updates with PyTorch's conventions, on each engine."""

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from support.engines import child_results

from harness.tracing.side import RATED_STEPS

FALLING = tuple(0.0 if step < 3 else 0.1 * 0.9**step for step in range(20))
ACCUMULATED, AVERAGED, EVERY = 3, 0.99, 4
ADAM = {"epsilon": 1e-2}
RMSPROP = {"rho": 0.9, "epsilon": 1e-2}
OF_RMSPROP = {"alpha": 0.9, "eps": 1e-2}
#: Of each case: the optimizer and options in Keras, those in PyTorch, and whether the learning rate falls.
ALIGNED = {
    "adam": ("Adam", ADAM, "Adam", {"eps": 1e-2}, False),
    "amsgrad": ("Adam", {**ADAM, "amsgrad": True}, "Adam", {"eps": 1e-2, "amsgrad": True}, False),
    "accumulated": (
        "Adam",
        {**ADAM, "gradient_accumulation_steps": ACCUMULATED},
        "Adam",
        {"eps": 1e-2},
        False,
    ),
    "averaged": (
        "AdamW",
        {**ADAM, "weight_decay": 0.1, "use_ema": True, "ema_overwrite_frequency": EVERY},
        "AdamW",
        {"eps": 1e-2, "weight_decay": 0.1},
        False,
    ),
    "nesterov": (
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        True,
    ),
    "accumulated momentum": (
        "SGD",
        {"momentum": 0.9, "gradient_accumulation_steps": ACCUMULATED},
        "SGD",
        {"momentum": 0.9},
        True,
    ),
    "rmsprop": ("RMSprop", {**RMSPROP, "momentum": 0.5}, "RMSprop", {**OF_RMSPROP, "momentum": 0.5}, True),
    "centered": (
        "RMSprop",
        {**RMSPROP, "centered": True},
        "RMSprop",
        {**OF_RMSPROP, "centered": True},
        False,
    ),
}


def of_pytorch(name):
    """The weights after the steps of PyTorch's optimizer, by which gradients may be accumulated."""
    torch = pytest.importorskip("torch")
    _, _, kind, options, falls = ALIGNED[name]
    rng = np.random.default_rng(0)
    weights = torch.tensor(rng.standard_normal(64), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([weights], lr=0.1, **options)
    total, average, accumulated = 0.0, weights.detach(), ACCUMULATED if "accumulated" in name else 1
    for step in range(20):
        total = total + torch.tensor(rng.standard_normal(64)) / accumulated
        if falls:
            optimizer.param_groups[0]["lr"] = FALLING[step]
        if (step + 1) % accumulated == 0:
            weights.grad, total = total, 0.0
            optimizer.step()
        share = AVERAGED if step and name == "averaged" else 0.0
        average = share * average + (1 - share) * weights.detach()
        if name == "averaged" and (step + 1) % EVERY == 0:
            weights.data = average.clone()
    return average.numpy()


def trained(name):
    """The weights after the steps of an aligned optimizer of Keras."""
    import keras

    from harness_keras.port.optimizers import align

    class Falling(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return keras.ops.take(keras.ops.convert_to_tensor(np.array(FALLING)), step)

    kind, options, _, _, falls = ALIGNED[name]
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.standard_normal(64))
    optimizer = getattr(keras.optimizers, kind)(Falling() if falls else 0.1, **options)
    optimizer.build([variable])
    align(optimizer)
    for _ in range(20):
        optimizer.apply([keras.ops.convert_to_tensor(rng.standard_normal(64))], [variable])
    optimizer.finalize_variable_values([variable])
    return keras.ops.convert_to_numpy(variable)


def child(engine, path):
    """Write the weights of all cases on another engine."""
    os.environ["KERAS_BACKEND"] = engine
    from harness_keras.port import prepare

    prepare()
    Path(path).write_bytes(pickle.dumps({name: trained(name) for name in ALIGNED}))


@pytest.fixture
def keras():
    """Keras in float64, as in a side."""
    pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    from harness_keras import tensorflow_engine
    from harness_keras.port.float64 import exactly

    tensorflow_engine.prepare(1)  # TensorFlow takes its threads at its first operation, for all tests
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    with exactly():
        yield keras
    keras.config.set_floatx(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALIGNED)
def test_aligned_updates_are_those_of_pytorch(keras, name):
    np.testing.assert_allclose(trained(name), of_pytorch(name), rtol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_aligned_updates_are_those_of_pytorch_on_other_engines(engine, tmp_path):
    for module in ("keras", engine):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    for name, weights in child_results("port.test_keras_optimizers", engine, folder=tmp_path).items():
        np.testing.assert_allclose(weights, of_pytorch(name), rtol=1e-9, err_msg=name)


@pytest.fixture
def variables(keras):
    """Those of two layers, the second one with a decay of its own."""
    layers = [keras.layers.Dense(3), keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.05))]
    keras.Sequential([keras.Input((4,)), *layers])
    return {
        f"{name}/{variable.name}": variable
        for name, layer in zip(("one", "two"), layers, strict=True)
        for variable in layer.trainable_variables
    }


def rules(optimizer, variables, field):
    from harness_keras.port.optimizers import rules_of

    return [getattr(each, field) for each in rules_of(optimizer, variables).values()]


@pytest.mark.filterwarnings("ignore")
def test_the_rule_of_each_variable_is_read(keras, variables):
    make = keras.optimizers
    excluding = make.AdamW(0.1, weight_decay=0.01)
    excluding.exclude_from_weight_decay(var_names=["bias"])
    del variables["two/kernel"]
    assert rules(excluding, variables, "decay") == [0.01, 0.0, 0.0]
    variables["one/kernel"].regularizer = keras.regularizers.L2(0.05)
    assert rules(make.SGD(0.1), variables, "decay") == [0.1, 0.0, 0.0]
    assert rules(make.SGD(0.1), variables, "decay_coupled") == [True, False, False]
    assert rules(make.AdamW(0.1), variables, "rule") == ["unknown", "adam", "adam"]
    assert rules(make.LossScaleOptimizer(make.Adam(0.1)), variables, "rule") == ["adam"] * 3
    assert rules(make.Adamax(0.1), variables, "rule") == ["unknown"] * 3
    own = type("Adam", (make.Adam,), {"__module__": "my_optimizers"})
    assert rules(own(0.1), variables, "rule") == ["unknown"] * 3


@pytest.mark.filterwarnings("ignore")
def test_the_rules_of_groups_are_read(keras, variables):
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this release of Keras has no groups")
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([60], [0.2, 0.02])
    first, second = keras.optimizers.Adam(0.1), keras.optimizers.SGD(schedule)
    groups = keras.optimizers.MultiOptimizer(lambda variable: first if variable.shape[-1] == 3 else second)
    assert rules(groups, variables, "rule") == ["adam", "adam", "sgd", "sgd"]
    assert [len(rates) for rates in rules(groups, variables, "rates")] == [0, 0, *[len(RATED_STEPS)] * 2]
