"""What only the torch backend does: it compiles, and sets threads and precision of its process."""

import os
import shutil

import numpy as np
import pytest
from support.training_cases import BOTH, CLASSES, CONVOLUTIONS, SGD, program, samples, task, trained

from harness.layers import Dense
from harness.network import Network
from harness.spec.backend import Plan, Steps, Unsupported
from harness.spec.task import Adam, RmsProp, Sgd
from harness_torch import harness_backend

torch = pytest.importorskip("torch")

# torch's own compiler uses what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")

BACKEND = harness_backend("torch")


@pytest.fixture(autouse=True, scope="module")
def _own_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def _compiled(width, function, optimizer=SGD):
    small = task(Network((4,), (Dense(width, function), Dense(CLASSES))), optimizer=optimizer)
    try:
        return small, program(BACKEND, small, "compile")
    except Unsupported as error:
        pytest.skip(str(error))


@pytest.mark.long  # compiled
def test_every_program_of_a_process_is_compiled():
    # torch stops compiling, with a line in a log, once the same code was compiled this many times.
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    compiled = []
    with config.patch(recompile_limit=1):
        for width in (3, 4):
            counters.clear()
            small, built = _compiled(width, "tanh")
            trained(built, small)
            compiled.append(counters["stats"]["unique_graphs"])
    assert all(compiled), compiled


@pytest.mark.slow  # compiled
def test_one_rate_after_another_compiles_nothing_again():
    from torch._dynamo.utils import counters

    _, built = _compiled(3, "gelu", Adam(0.1))
    rows = np.random.default_rng(4).integers(0, 12, (4, 8))
    built.train(Steps(rows[:1], learning_rates=np.array([0.1])))
    compiled = counters["stats"]["unique_graphs"]
    built.train(Steps(rows, learning_rates=np.array([0.01, 0.03, 0.02, 0.005])))
    assert counters["stats"]["unique_graphs"] == compiled > 0


def test_the_loss_includes_the_penalty():
    plain, penalized = task(CONVOLUTIONS), task(CONVOLUTIONS, penalty=BOTH)
    programs = [program(BACKEND, each) for each in (plain, penalized)]
    kernels = [array for name, array in programs[0].weights().items() if name.endswith("kernel")]
    added = sum(0.01 * np.abs(kernel).sum() + 0.02 * (kernel**2).sum() for kernel in kernels)
    losses = [trained(built, plain, ((1, 8),))[0] for built in programs]
    assert losses[1] - losses[0] == pytest.approx(added, rel=1e-9)


@pytest.mark.parametrize("optimizer", [Sgd(1e300), Sgd(1e38), Adam(1e38), RmsProp(1e300)])
def test_a_learning_rate_beyond_float32_makes_the_loss_infinite_and_raises_nothing(optimizer):
    case = task(CONVOLUTIONS, optimizer=optimizer)
    losses = trained(program(BACKEND, case, precision="float32"), case)
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[-1])


def test_compiling_without_a_compiler_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CXX", raising=False)
    assert not shutil.which("g++")
    plan = Plan(task=task(CONVOLUTIONS), mode="compile", device="cpu", threads=1, seed=0)
    with pytest.raises(
        Unsupported, match=r"needs a C\+\+ compiler, but g\+\+ is missing; .* apt install g\+\+"
    ):
        BACKEND.build(plan, samples(plan.task, "float32"))


def test_the_environment_is_reported_and_the_threads_are_set():
    assert BACKEND.environment(2)["engine"] == "torch"
    assert torch.get_num_threads() == 2
    reported = BACKEND.environment(1)
    assert torch.get_num_threads() == 1
    assert torch.__version__.startswith(reported["torch"].partition("+")[0])
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
