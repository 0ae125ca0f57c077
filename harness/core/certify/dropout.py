"""Statistical tests of dropout, because frameworks cannot share random bits.

The tests of a correct backend fail with a probability below 1e-6 in all, by these bounds. The share of
dropped values is accepted within six standard deviations of at least 256 draws (Chernoff: below 2e-7 a test).
Equal counts in all steps, in all samples or in all values of a sample have a probability below 2e-9 with at
least eight inputs and four steps; with fewer inputs no test is made. Equal losses under two seeds need equal
masks of hundreds of values. Seeds are fixed, so a result is the same at each repetition.
"""

import contextlib

import msgspec
import numpy as np

from harness.core.certify.cases import SEED, Case, case_samples, data_network
from harness.core.certify.observation import TrialPrograms, first_losses
from harness.core.training.initial import initial_weights
from harness.layers import AnyLayer, Dense, Dropout, Flatten, Layer, Native, SelfAttention
from harness.network import Network
from harness.spec.backend import Steps, Unsupported
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adversarial, Augmentation, Classification, Penalty, Sgd, Task

# How often a program keeps each value that it may drop, read from single steps of gradient descent.
#
# The weights of the network's last layer are zero. So its outputs, and the gradient that the loss returns,
# are the same whatever is dropped before it, and the gradient of a row of its kernel is proportional to its
# input. A batch of copies of one sample then shows in how many copies each input was kept.

#: Not a half, where dropped and kept values could be mistaken for each other.
RATE = 0.25
COPIES = 8
_STEPS = 4
_ROUNDING = 1e-6
#: For tasks whose network does not end in a linear layer, such as a transformer with tied weights.
_SUBSTITUTE = Network((16,), (Dense(32), Dense(10)))
_POSITIONS, _HEADS = 4, 2
_WIDTH = _POSITIONS * _HEADS


def copies_kept(programs: TrialPrograms, task: Task) -> np.ndarray:
    """Count the copies that kept each input of the last layer, ``(steps, inputs)``; leave out zeros.

    The network is the task's, with dropout ahead of its last layer, if that layer is linear. Raises the
    backend's errors.
    """
    bare = _bare(task, task.networks["model"] if _ends_linear(task) else _SUBSTITUTE)
    start = _with_zero_outputs(bare)
    share, nonzero = _shares(programs, bare, with_dropout(bare, RATE), start)
    return share[:, nonzero] * ((1 - RATE) * COPIES)


def attention_kept(programs: TrialPrograms, task: Task) -> np.ndarray:
    """Count the copies that kept each weight of an attention, ``(steps, positions * heads * positions)``.

    All scores are zero, so all weights are equal, and a head's values are a square matrix: the outputs of a
    position show which of its weights were kept. Raises the backend's errors.
    """
    bare, thinned = (_bare(task, _attention(rate)) for rate in (0.0, RATE))
    start = _with_zero_outputs(bare)
    layer, identity = "model/self_attention_1", np.eye(_WIDTH)
    start |= {
        f"{layer}/qkv_kernel": np.hstack([np.zeros((_WIDTH, 2 * _WIDTH)), identity]),
        f"{layer}/output_kernel": identity,
    }
    share, _ = _shares(programs, bare, thinned, start)
    values = case_samples(bare).inputs[0]  # (key, feature)
    kept = share.reshape(_STEPS, _POSITIONS, _WIDTH) * ((1 - RATE) * COPIES) * values.sum(axis=0)
    by_head = [
        part @ np.linalg.inv(own)  # (step, query, feature) to (step, query, key)
        for part, own in zip(np.split(kept, _HEADS, axis=2), np.split(values, _HEADS, axis=1), strict=True)
    ]
    return np.stack(by_head, axis=2).reshape(_STEPS, -1)


def with_dropout(task: Task, rate: float = 0.5) -> Task:
    """Insert dropout ahead of the last layer of the network that sees the data.

    A user's own model that drops values keeps the dropout of its code, at its own rates.
    """
    name = data_network(task)
    network = task.networks[name]
    layers: tuple[AnyLayer, ...] = (*network.layers[:-1], Dropout(rate), network.layers[-1])
    match network.layers[-1]:
        case Native(dropout="off") as own:
            layers = (*network.layers[:-1], msgspec.structs.replace(own, dropout="active"))
    return msgspec.structs.replace(
        task, networks=task.networks | {name: msgspec.structs.replace(network, layers=layers)}
    )


def _attention(rate: float) -> Network:
    return Network((_POSITIONS, _WIDTH), (SelfAttention(_HEADS, dropout=rate), Flatten(), Dense(10)))


def _last(task: Task) -> str:
    return f"model/{task.networks['model'].placed()[-1].name}"


def _with_zero_outputs(bare: Task) -> dict[str, np.ndarray]:
    """Return the initial weights, with zeros for the last layer."""
    last, start = _last(bare), initial_weights(bare, SEED)
    return {name: np.zeros_like(w) if name.startswith(f"{last}/") else w for name, w in start.items()}


def _shares(
    programs: TrialPrograms, whole: Task, thinned: Task, start: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum each input of the last layer over the copies, as a share of its value without dropout.

    Return the shares ``(steps, inputs)``, and a mask of the inputs that are not zero without dropout
    ``(inputs,)``.
    """
    kernel = f"{_last(whole)}/kernel"

    def updates(task: Task) -> np.ndarray:
        program, kernels = programs.build(task), []
        for _ in range(_STEPS):
            program.load(start)
            program.train(Steps(np.zeros((1, COPIES), np.int64), learning_rates=np.ones(1)))
            kernels.append(program.weights()[kernel])
        return np.array(kernels)

    expected, observed = updates(whole)[0], updates(thinned)
    size = (expected * expected).sum(axis=1)
    nonzero = size > _ROUNDING * size.max()
    share: np.ndarray = (expected * observed).sum(axis=2) / np.where(nonzero, size, 1.0)
    return share, nonzero


def _ends_linear(task: Task) -> bool:
    last = task.networks["model"].placed()[-1]
    return isinstance(last.layer, Dense) and last.layer.activation is None and len(last.output_shape) == 1


def _bare(task: Task, network: Network) -> Task:
    """Strip a task of regularisers, and give it plain gradient descent, whose steps show the gradient."""
    own = network is task.networks["model"]
    return msgspec.structs.replace(
        task,
        networks={"model": network},
        objective=task.objective if own else Classification(),
        optimizer=Sgd(1.0),
        batch_size=COPIES,
        penalty=Penalty(),
        weight_decay=0.0,
        schedule=ConstantRate(),
        clip_norm=0.0,
        augmentation=Augmentation(),
    )


#: How many standard deviations the share of dropped values may be off.
_MOST_DEVIATIONS = 6.0
#: With fewer inputs of the last layer, chance could look like a fault.
_FEWEST_INPUTS = 8


class DropoutTests(msgspec.Struct, frozen=True):
    """The faults found, a line each; not ``complete`` where no test of the dropped values was possible."""

    faults: list[str]
    complete: bool


def uses_dropout(task: Task) -> bool:
    """Check that a network of the task drops values."""
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    return any(
        isinstance(layer, Dropout) or drops_attention(layer) or _drops_within(layer) for layer in layers
    )


def _drops_within(layer: Layer) -> bool:
    """Check that the user's own code drops values."""
    return isinstance(layer, Native) and layer.dropout == "active"


def drops_attention(layer: Layer) -> bool:
    """Check that the layer is an attention that drops weights."""
    return isinstance(layer, SelfAttention) and layer.dropout > 0


def dropout_tests(programs: TrialPrograms, case: Case) -> DropoutTests:
    """Test that dropout depends on the seed alone, and drops anew for each value, sample and step.

    The weights of attention are tested too, where the task's network has an attention. Raises the backend's
    errors, except Unsupported.
    """
    faults = _careless(programs, case)
    if faults:
        return DropoutTests(faults, complete=True)
    if any(isinstance(place.layer, Native) for place in case.task.networks[data_network(case.task)].leaves()):
        return DropoutTests([], complete=False)  # which values its code drops cannot be seen from outside
    return mask_tests(programs, case)


def mask_tests(programs: TrialPrograms, case: Case) -> DropoutTests:
    """Test, as :func:`dropout_tests`, how a program of the case's task drops values."""
    tested = _masks(programs, case)
    faults = [fault for name, kept in tested.items() if (fault := _fault_of_masks(name, kept))]
    return DropoutTests(faults[:1], complete=bool(tested))


def _careless(programs: TrialPrograms, case: Case) -> list[str]:
    """Name a violation of the rules: dropout depends on ``plan.seed`` alone, and predict() applies none."""
    task = with_dropout(case.task)
    try:
        losses, again, other = (
            first_losses(programs.build(task, seed), task) for seed in (SEED, SEED, SEED + 1)
        )
    except Unsupported:
        return []
    if np.array_equal(losses, other):
        return ["the seed is ignored: dropout drops the same values under another seed"]
    if not np.allclose(losses, again, rtol=_ROUNDING):
        return ["dropout is not determined by the seed: the same seed drops other values"]
    few, network = case_samples(task).inputs, data_network(task)
    plain = programs.build(case.task).predict(few, network)
    program = programs.build(task)  # built last: programs may share a source of random numbers
    faults = []
    if not np.allclose(program.predict(few, network), plain, rtol=_ROUNDING):
        faults.append("predict() applies dropout")
    if not np.allclose(first_losses(program, task), losses, rtol=_ROUNDING):
        faults.append("predict() changes the training that follows, or its random numbers")
    return faults


def _masks(programs: TrialPrograms, case: Case) -> dict[str, np.ndarray]:
    """Count the copies ``(steps, values)`` that kept each value, by dropping part; empty if untestable."""
    if isinstance(case.task.objective, Adversarial):
        return {}
    tests = {"dropout": copies_kept}
    if any(isinstance(place.layer, SelfAttention) for place in case.task.networks["model"].leaves()):
        tests["the dropout of attention"] = attention_kept
    counts = {}
    for name, test in tests.items():
        with contextlib.suppress(Unsupported):
            counts[name] = test(programs, case.task)
    return {name: kept for name, kept in counts.items() if kept.shape[1] >= _FEWEST_INPUTS}


def _fault_of_masks(name: str, kept: np.ndarray) -> str:
    """Name the fault of the masks, from the number of copies ``(steps, inputs)`` that kept each input."""
    counts = kept.round()
    dropped = 1 - counts.mean() / COPIES
    deviation = np.sqrt(RATE * (1 - RATE) / (COPIES * counts.size))
    faults = {
        f"values that {name} keeps are not scaled by 1 / (1 - rate)": (
            not np.allclose(kept, counts, atol=_ROUNDING) or counts.max() > COPIES
        ),
        f"{name} drops the same values at every step": (counts == counts[0]).all(),
        f"{name} drops the same values in all samples of a batch": np.isin(counts, (0, COPIES)).all(),
        f"{name} drops whole samples instead of single values": (
            counts.shape[1] > 1 and (counts == counts[:, :1]).all()
        ),
        f"{name} at rate {RATE} drops {dropped:.0%} of the values": abs(dropped - RATE)
        > _MOST_DEVIATIONS * deviation,
    }
    return next((fault for fault, present in faults.items() if present), "")
