"""The conformance kit finds each planted fault, names it, and passes a correct backend."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from support.altered import Altered, faulty, one_by_one

from harness.core.plugins import registry
from harness.errors import UsageError
from harness.spec.backend import Unsupported
from harness.spec.task import Adam
from harness.testing.kit import ConformanceError, backend_tests, check_backend
from harness_torch import TorchBackend


class Transposed(Altered):
    def load(self, weights):
        self.right.load({n: w.T if n.endswith("dense_2/kernel") else w for n, w in weights.items()})


class SkippedBatch(Altered):
    def train(self, steps):
        if len(steps.indices) < 2:
            return self.right.train(steps)
        kept = type(steps)(steps.indices[:-1])
        losses = self.right.train(kept)
        return np.append(losses, losses[-1])


class UpdatesLostToRounding(Altered):
    def train(self, steps):
        if len(steps.indices) == 1:
            start = self.right.weights()
            losses = self.right.train(steps)
            self.right.load(start)
            return losses
        return np.concatenate(list(map(self.train, one_by_one(steps))))


class Leak(Altered):
    """Changes with what other programs trained since it was built."""

    trained = 0

    def __init__(self, right):
        super().__init__(right)
        self.own, self.before = 0, Leak.trained

    def train(self, steps):
        others = Leak.trained - self.before - self.own
        Leak.trained += 1
        self.own += 1
        return self.right.train(steps) + 1e-3 * others


class TrainingModeInPredict(Altered):
    def predict(self, inputs, network="model"):
        return self.right.predict(inputs, network) * 1.0001


class DropoutLeftOn(Altered):
    def predict(self, inputs, network="model"):
        modules = self.right._modules[network].modules()
        drops = any(type(module).__name__ == "Dropout" for module in modules)
        return self.right.predict(inputs, network) * (0.5 if drops else 1.0)


class GuidedGradients(Altered):
    """Cuts negative gradients, as guided backpropagation does."""

    def input_gradients(self, inputs, targets, network="model"):
        gradients, outputs = self.right.input_gradients(inputs, targets, network)
        return np.maximum(gradients, 0), outputs


class RowsCutWrongly(Altered):
    def predict(self, inputs, network="model"):
        outputs = self.right.predict(inputs, network)
        return outputs if len(outputs) < 500 else np.concatenate([outputs[:500], outputs[499:-1]])


class RowsLeftOut(Altered):
    def predict(self, inputs, network="model"):
        outputs = self.right.predict(inputs, network)
        return outputs if len(outputs) < 500 else outputs[: len(outputs) // 256 * 256]


class DrawsInPredict(Altered):
    drawn = 0.0

    def predict(self, inputs, network="model"):
        self.drawn = 1e-3
        return self.right.predict(inputs, network)

    def train(self, steps):
        return self.right.train(steps) + self.drawn


def _in_bfloat16(plan):
    return msgspec.structs.replace(plan, precision="bfloat16")


def _one_seed(plan):
    return msgspec.structs.replace(plan, seed=0)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (faulty(Transposed), "the loss of step 1 is"),
        (faulty(SkippedBatch), "gradients of step 1 agree, the loss of step"),
        (faulty(Leak), "leaks between programs"),
        (faulty(plan=_one_seed), "the seed is ignored"),
        (faulty(TrainingModeInPredict), "outputs in evaluation mode"),
        (faulty(DropoutLeftOn), r"predict\(\) applies dropout"),
        (faulty(GuidedGradients), r"input_gradients\(\) differs from the NumPy reference"),
        (faulty(RowsCutWrongly), r"predict\(\) of 1026 rows differs from"),
        (faulty(DrawsInPredict), "changes the training that follows"),
        (faulty(UpdatesLostToRounding, only_in="bfloat16"), "but in bfloat16 the loss of step"),
        *(
            pytest.param(*further, marks=pytest.mark.long)
            for further in (
                (faulty(RowsLeftOut), r"wrong rows: raised .*predict\(\) of 1026 inputs by model"),
                (faulty(plan=_in_bfloat16, only_in="float32"), "float64 agrees, but in float32 the loss of"),
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_fault_is_found_and_named(backend, words):
    """Those that a certificate or a test of dropout finds are in tests/certify."""
    with pytest.raises(ConformanceError, match=words):
        check_backend(backend, ["mlp"])


def test_an_environment_without_an_engine_is_a_fault(monkeypatch):
    backend = faulty()
    monkeypatch.setattr(type(backend), "environment", lambda *_: {"framework": "acme"})
    with pytest.raises(ConformanceError, match="its version under that name"):
        check_backend(backend, ["mlp"])


@pytest.mark.long
def test_a_declined_case_hides_no_other_fault():
    def without_adam(plan):
        if isinstance(plan.task.optimizer, Adam):
            raise Unsupported("no Adam here")
        return plan

    with pytest.raises(ConformanceError, match=r"(?s)no Adam here.*leaks between programs"):
        check_backend(faulty(Leak, without_adam), ["mlp"])


def test_a_task_without_a_reference_is_skipped_unless_it_is_named(monkeypatch):
    bare = msgspec.structs.replace(registry.task("mlp"), reference=None)
    monkeypatch.setattr(registry, "names", lambda kind: ["mlp"] if kind == "task" else [])
    monkeypatch.setattr(registry, "task", lambda _: bare)
    with pytest.raises(pytest.skip.Exception, match="task mlp has no reference"):
        backend_tests(TorchBackend())("eager", "mlp")
    with pytest.raises(UsageError, match="no installed task has a reference"):
        check_backend(TorchBackend())
    with pytest.raises(pytest.fail.Exception, match="task mlp has no reference"):
        backend_tests(TorchBackend(), ["mlp"])("eager", "mlp")


test_torch_conforms = backend_tests(TorchBackend(), ["mlp"], ["eager"])
test_torch_conforms_on_further_tasks = pytest.mark.long(
    backend_tests(TorchBackend(), ["gan", "rnn"], ["eager", "channels_last"])
)
