"""Augmentation in the user's own code: what it gets, what the steps get, and what is refused."""

import tracemalloc

import msgspec
import numpy as np
import pytest
from support.training_cases import task

from harness.core.training.federated import FederatedProgram
from harness.core.training.own_augmentation import OwnAugmentation
from harness.layers import Dense, Embedding, Flatten
from harness.network import Network
from harness.spec.backend import Program, Steps, Unsupported
from harness.spec.task import Federated, OwnCode

CODE = """
import numpy as np

def noise(batch, rng):
    assert batch.dtype == np.float32
    batch += rng.normal(size=batch.shape).astype(batch.dtype)
    return batch

def swapped(batch, rng):
    return np.where(rng.random(batch.shape) < 0.5, 0, batch)

def wide(batch, rng):
    return batch + rng.normal(size=batch.shape)

def short(batch, rng):
    return batch[:, 1:]

def listed(batch, rng):
    return batch.tolist()

def empty(batch, rng):
    return batch * np.float32("nan")

def elsewhere(batch, rng):
    return batch + np.random.default_rng().normal(size=batch.shape).astype(batch.dtype)

def broken(batch, rng):
    raise ValueError("a fault")

def alone(batch):
    return batch

def late(batch, rng):
    return batch if batch[0, 0] < 10 else batch / np.float32(0)

def tokens(batch, rng):
    return batch + 1
"""
INPUTS = np.arange(40, dtype=np.float64).reshape(20, 2)
NETWORK = Network((2,), (Dense(5),))
TEXT = Network((2,), (Embedding(12, 3), Flatten(), Dense(5)))


@pytest.fixture
def own(tmp_path):
    (path := tmp_path / "own.py").write_text(CODE)

    def augmentation(name, network=NETWORK, inputs=INPUTS, seed=0):
        code = OwnCode(augment=f"{path}:{name}") if name else None
        return OwnAugmentation(msgspec.structs.replace(task(network), own_code=code), inputs, seed)

    return augmentation


def test_a_batch_depends_on_the_seed_and_the_step_alone(own):
    steps = Steps(np.arange(12).reshape(3, 4))
    whole = own("noise").added_to(steps, 5).augmented
    assert whole.shape == (3, 4, 2)
    assert whole.dtype == INPUTS.dtype
    one = own("noise").added_to(Steps(steps.indices[1:2]), 6).augmented
    np.testing.assert_array_equal(one[0], whole[1])
    for other, first in ((own("noise", seed=1), 6), (own("noise"), 7)):
        assert not np.array_equal(other.added_to(Steps(steps.indices[1:2]), first).augmented, one)


def test_the_inputs_of_a_call_are_held_once(own):
    inputs = np.zeros((20, 2), np.float32)
    augmentation = own("swapped", inputs=inputs)
    steps = Steps(np.zeros((2_000, 20), np.int64))
    tracemalloc.start()
    try:
        held = augmentation.added_to(steps, 0).augmented
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held.dtype == np.float32
    assert peak < 1.2 * held.nbytes


def test_the_training_data_stay_as_they_are(own):
    before = INPUTS.copy()
    own("noise").added_to(Steps(np.arange(4)[None]), 0)
    np.testing.assert_array_equal(INPUTS, before)


def test_numbers_are_the_same_in_every_precision(own):
    steps = Steps(np.arange(4)[None])
    exact = own("noise").added_to(steps, 0).augmented
    narrow = own("noise", inputs=INPUTS.astype(np.float32)).added_to(steps, 0).augmented
    assert (exact.dtype, narrow.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(exact, narrow)


def test_tokens_remain_tokens(own):
    text = own("swapped", TEXT, np.arange(20).reshape(10, 2) % 12)
    added = text.added_to(Steps(np.arange(4)[None]), 0).augmented
    assert added.dtype == np.int64
    assert added.max() < 12


def test_without_such_code_steps_have_no_inputs(own):
    steps = Steps(np.arange(4)[None])
    assert own("").added_to(steps, 0) is steps


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wide", r"returned an array of float64; expected float32, such as by \.astype\(batch\.dtype\)"),
        ("short", r"returned an array of shape \(20, 1\); expected \(20, 2\), that of the batch"),
        ("listed", r"returned a list; expected a NumPy array of shape \(20, 2\)"),
        ("empty", "returned NaN or infinity at step 1; expected finite numbers"),
        ("elsewhere", "two results for the same batch and generator; all that it draws must come from rng"),
        ("broken", "raised ValueError: a fault"),
        ("alone", "raised TypeError: .* takes 1 positional argument but 2 were given"),
        ("missing", "has no callable 'missing'"),
    ],
)
def test_code_that_cannot_be_used_is_declined_before_the_training(own, name, message):
    with pytest.raises(Unsupported, match=message) as refused:
        own(name)
    assert len(str(refused.value).splitlines()) == 1


def test_tokens_out_of_range_are_declined(own):
    with pytest.raises(Unsupported, match="returned other tokens than 0 to 11"):
        own("tokens", TEXT, np.arange(24).reshape(12, 2) % 12)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_later_batch_that_cannot_be_used_is_declined_with_its_step(own):
    late = own("late")
    late.added_to(Steps(np.arange(4)[None]), 0)
    with pytest.raises(Unsupported, match="NaN or infinity at step 9"):
        late.added_to(Steps(np.arange(10, 14)[None]), 8)


class _Recording(Program):
    """Keeps the steps that it is given."""

    device = "cpu"

    def __init__(self):
        self.steps = []

    def load(self, weights):
        pass

    def weights(self):
        return {name: np.zeros(array.shape) for name, array in task(NETWORK).weights().items()}

    def train(self, steps):
        self.steps.append(steps)
        return np.ones(len(steps.indices))

    def predict(self, inputs, network="model"):
        raise NotImplementedError

    def synchronize(self):
        pass


def test_clients_see_the_augmented_inputs_of_their_samples(own):
    described = msgspec.structs.replace(task(NETWORK), federated=Federated(2), batch_size=3)
    recording, owners = _Recording(), np.arange(20) % 2
    averaging = FederatedProgram(recording, described, owners)
    averaging.load(recording.weights())
    steps = own("noise").added_to(Steps(np.arange(12)[None], learning_rates=np.ones(1)), 0)
    averaging.train(steps)
    assert {part.augmented.shape for part in recording.steps} == {(2, 3, 2)}
    for part in recording.steps:
        np.testing.assert_array_equal(part.augmented, steps.augmented[0][part.indices])
