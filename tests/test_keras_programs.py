"""The Keras backends against the formulas of harness.spec, written out once more in PyTorch float64.

Engines cannot share a process, so each engine and mode runs all its cases in one process of its own.
"""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Network
from harness.spec import (
    Adam,
    Classification,
    Penalty,
    Plan,
    RmsProp,
    Samples,
    Sgd,
    Steps,
    Task,
    Unsupported,
)

RATE = 0.25
OPTIMIZERS = {
    "sgd": Sgd(0.1),
    "momentum": Sgd(0.1, momentum=0.9),
    "nesterov": Sgd(0.1, momentum=0.9, nesterov=True),
    # An epsilon large enough to tell its places apart.
    "adam": Adam(0.01, epsilon=1e-3),
    "rmsprop": RmsProp(0.01, epsilon=1e-3),
}
PENALTIES = {"sgd": Penalty(l2=0.01), "momentum": Penalty(l1=0.01), "adam": Penalty(l1=0.01, l2=0.02)}
#: Blocks of consecutive steps; the last step is a short batch.
BLOCKS = ((1, 8), (4, 8), (2, 8), (1, 3))

# --- What runs in the process of an engine ------------------------------------------------------


def _task(optimizer, penalty=None, network=None):
    network = network or Network(
        (11, 11, 3), (Conv2D(4, 3, "relu"), MaxPool2D(2), Flatten(), Dense(8, "relu"), Dense(5))
    )
    return Task(
        name="small",
        version=1,
        networks={"model": network},
        objective=Classification(),
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        penalty=penalty or Penalty(),
    )


def _inputs(task, precision="float64"):
    random = np.random.default_rng(7)
    shape = task.networks["model"].input_shape
    inputs = random.standard_normal((40, *shape)).astype("float64" if precision == "float64" else "float32")
    targets = random.integers(0, 5, 40)
    targets.flags.writeable = False  # as in a memory-mapped data set
    data = Samples(inputs, targets)
    weights = {
        name: 0.2 * random.standard_normal(parameter.shape) for name, parameter in task.parameters().items()
    }
    return data, weights, [random.integers(0, 40, block) for block in BLOCKS]


def _train(backend, mode, task, precision="float64"):
    data, weights, blocks = _inputs(task, precision)
    program = backend.build(Plan(task=task, mode=mode, precision=precision, threads=1, seed=3), data)
    program.load(weights)
    before = program.weights()
    kept = {name: array.copy() for name, array in before.items()}
    losses = [program.train(Steps(block)) for block in blocks]
    program.synchronize()
    assert program.device == "cpu"
    assert program.device_peak_memory_bytes() is None
    assert all(np.array_equal(before[name], kept[name]) for name in kept), "weights() gave no copies"
    return {
        "losses": np.concatenate(losses),
        "weights": program.weights(),
        "predictions": program.predict(data.inputs),
    }


def _dropout(backend, mode):
    """One step of one sample of ones: the kernel's change over the bias's is the mask, scaled."""
    task = _task(Sgd(1.0), network=Network((4000,), (Dropout(RATE), Dense(5))))
    data = Samples(np.ones((1, 4000)), np.zeros(1, np.int64))
    program = backend.build(
        Plan(task=task, mode=mode, device="cpu", precision="float64", threads=1, seed=3), data
    )
    masks = []
    for _ in range(2):
        program.load({"model/dense_1/kernel": np.zeros((4000, 5)), "model/dense_1/bias": np.zeros(5)})
        program.train(Steps(np.zeros((1, 1), np.int64)))
        weights = program.weights()
        masks.append(weights["model/dense_1/kernel"][:, 0] / weights["model/dense_1/bias"][0])
    program.load({"model/dense_1/kernel": np.ones((4000, 5)), "model/dense_1/bias": np.zeros(5)})
    return {"masks": masks, "evaluation": program.predict(data.inputs)}


def child(name, mode, cases, path):
    """Run the cases and leave ``{case: arrays}`` in a file."""
    from harness_keras import harness_backend

    backend = harness_backend(name)
    assert backend.environment(1)["keras"]
    assert mode in backend.modes
    found = {case: _train(backend, mode, _task(OPTIMIZERS[case], PENALTIES.get(case))) for case in cases}
    found["dropout"] = _dropout(backend, mode)
    found["bfloat16"] = _train(backend, mode, _task(Sgd(0.1)), "bfloat16")
    found["float32"] = _train(backend, mode, _task(Sgd(0.1)), "float32")
    data, *_ = _inputs(_task(Sgd(0.1)))
    for key, attempt in {
        "cuda": lambda: backend.build(
            Plan(task=_task(Sgd(0.1)), mode=mode, device="cuda", threads=1, seed=3), data
        ),
        "engine": lambda: harness_backend("keras" if name != "keras" else "keras-jax").environment(1),
    }.items():
        try:
            attempt()
        except Unsupported as error:
            found[key] = str(error)
    Path(path).write_bytes(pickle.dumps(found))


# --- The reference ------------------------------------------------------------------------------


def _reference(task):
    import torch

    data, weights, blocks = _inputs(task)
    inputs, targets = torch.tensor(data.inputs), torch.tensor(data.targets)
    parameters = {name: torch.from_numpy(array).requires_grad_() for name, array in weights.items()}
    state = {name: (torch.zeros_like(array), torch.zeros_like(array)) for name, array in parameters.items()}

    def forward(x):
        w = {name.removeprefix("model/"): array for name, array in parameters.items()}
        x = torch.conv2d(x.movedim(-1, 1), w["conv2d_1/kernel"].permute(3, 2, 0, 1), w["conv2d_1/bias"])
        x = torch.max_pool2d(x.relu(), 2).movedim(1, -1).flatten(1)
        x = (x @ w["dense_1/kernel"] + w["dense_1/bias"]).relu()
        return x @ w["dense_2/kernel"] + w["dense_2/bias"]

    losses = []
    for t, rows in enumerate((rows for block in blocks for rows in block), start=1):
        kernels = [array for name, array in parameters.items() if name.endswith("kernel")]
        loss = torch.nn.functional.cross_entropy(forward(inputs[rows]), targets[rows])
        loss = loss + sum(task.penalty.l1 * w.abs().sum() + task.penalty.l2 * (w**2).sum() for w in kernels)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        with torch.no_grad():
            for name, g in zip(parameters, gradients, strict=True):
                parameters[name].sub_(_update(task.optimizer, g, *state[name], t))
        losses.append(loss.item())
    return {
        "losses": np.array(losses),
        "weights": {name: array.detach().numpy() for name, array in parameters.items()},
        "predictions": forward(inputs).detach().numpy(),
    }


def _update(optimizer, g, m, v, t):
    match optimizer:
        case Sgd(learning_rate, momentum, nesterov):
            m.mul_(momentum).add_(g)
            return learning_rate * (g + momentum * m if nesterov else m)
        case Adam(learning_rate, beta_1, beta_2, epsilon):
            m.mul_(beta_1).add_((1 - beta_1) * g)
            v.mul_(beta_2).add_((1 - beta_2) * g**2)
            return learning_rate * (m / (1 - beta_1**t)) / ((v / (1 - beta_2**t)) ** 0.5 + epsilon)
        case RmsProp(learning_rate, rho, epsilon):
            v.mul_(rho).add_((1 - rho) * g**2)
            return learning_rate * g / (v**0.5 + epsilon)


# --- The tests ----------------------------------------------------------------------------------

RUNS = {
    ("keras", "fit"): ("tensorflow", tuple(OPTIMIZERS)),
    ("keras", "xla"): ("tensorflow", ("adam",)),
    ("keras-jax", "fit"): ("jax", tuple(OPTIMIZERS)),
    ("keras-torch", "fit"): ("torch", tuple(OPTIMIZERS)),
}


@pytest.fixture(scope="module", params=RUNS, ids=":".join)
def found(request, tmp_path_factory):
    name, mode = request.param
    engine, cases = RUNS[request.param]
    for module in ("keras", "torch", engine):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    path = tmp_path_factory.mktemp("keras") / "found"
    call = f"import test_keras_programs as t; t.child({name!r}, {mode!r}, {cases!r}, {str(path)!r})"
    subprocess.run([sys.executable, "-c", call], check=True, cwd=Path(__file__).parent)
    return pickle.loads(path.read_bytes())  # noqa: S301


def _largest_relative_error(actual, expected):
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


def test_float64_training_is_the_contracts(found):
    for case in [case for case in OPTIMIZERS if case in found]:
        actual, expected = found[case], _reference(_task(OPTIMIZERS[case], PENALTIES.get(case)))
        for key in ("losses", "predictions"):
            assert actual[key].dtype == np.float64
            assert _largest_relative_error(actual[key], expected[key]) < 1e-9, (case, key)
        assert actual["weights"].keys() == expected["weights"].keys()
        for name, array in expected["weights"].items():
            assert _largest_relative_error(actual["weights"][name], array) < 1e-9, (case, name)


def test_dropout_scales_what_it_keeps_and_is_off_in_evaluation(found):
    first, second = found["dropout"]["masks"]
    kept = first > 0
    np.testing.assert_allclose(first[kept], 1 / (1 - RATE))
    assert abs(kept.mean() - (1 - RATE)) < 0.03  # 4 standard deviations
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(found["dropout"]["evaluation"], 4000)


def test_lower_precisions_stay_near(found):
    expected = _reference(_task(Sgd(0.1)))["losses"]
    np.testing.assert_allclose(found["float32"]["losses"], expected, rtol=1e-3)
    np.testing.assert_allclose(found["bfloat16"]["losses"], expected, rtol=0.05)
    assert _largest_relative_error(found["bfloat16"]["losses"], found["float32"]["losses"]) > 1e-5
    for precision in ("float32", "bfloat16"):
        assert found[precision]["predictions"].dtype == np.float32
        assert {array.dtype for array in found[precision]["weights"].values()} == {np.dtype("float32")}


def test_what_cannot_be_done_is_refused_with_the_reason(found):
    assert "sees no GPU here" in found["cuda"]
    assert "needs a process of its own" in found["engine"]


def test_importing_the_plugin_and_making_backends_imports_no_framework():
    code = (
        "import sys, harness_keras as k\n"
        "assert all(k.harness_backend(n).modes for n in ('keras', 'keras-jax', 'keras-torch'))\n"
        "assert k.harness_backend('keras').install == 'dl-harness[keras]'\n"
        "assert k.harness_backend('other') is None\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
