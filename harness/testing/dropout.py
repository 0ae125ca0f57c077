"""Whether dropout works as specified, by statistical tests: frameworks cannot share random bits.

The tests of a correct backend fail with a probability below 1e-6 in all, by these bounds. The share of
dropped values is accepted within six standard deviations of at least 256 draws (Chernoff: below 2e-7 a test).
Equal counts in all steps, in all samples or in all values of a sample have a probability below 2e-9 with at
least eight inputs and four steps; with fewer inputs no test is made. Equal losses under two seeds need equal
masks of hundreds of values. Seeds are fixed, so a result is the same at each repetition.
"""

import msgspec
import numpy as np

from harness.layers import Dense, Dropout
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import Adversarial, Augmentation, Penalty, Sgd, Task
from harness.testing.cases import SEED, Case, case_samples, data_network
from harness.testing.trial_programs import TrialPrograms, first_losses
from harness.training.initial import initial_weights

_ROUNDING = 1e-6
#: Not a half, where dropped and kept values could be mistaken for each other.
_RATE = 0.25
_COPIES = 8
_STEPS = 4
#: How many standard deviations the share of dropped values may be off.
_MOST_DEVIATIONS = 6.0
#: With fewer inputs of the last layer, chance could look like a fault.
_FEWEST_INPUTS = 8


class DropoutTests(msgspec.Struct, frozen=True):
    """The faults found, a line each; not ``complete`` where no test of the dropped values was possible."""

    faults: list[str]
    complete: bool


def uses_dropout(task: Task) -> bool:
    """Whether any network of the task drops values."""
    return any(
        isinstance(place.layer, Dropout) for network in task.networks.values() for place in network.placed()
    )


def dropout_tests(programs: TrialPrograms, case: Case) -> DropoutTests:
    """All tests of dropout; raises what the backend raises, except Unsupported."""
    faults = careless_dropout(programs, case)
    if faults:
        return DropoutTests(faults, complete=True)
    kept = _kept(programs, case)
    fault = "" if kept is None else _fault_of_masks(kept)
    return DropoutTests([fault] if fault else [], complete=kept is not None)


def careless_dropout(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether dropout depends on ``plan.seed`` alone, and predict() applies none."""
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


def wrong_masks(programs: TrialPrograms, case: Case) -> list[str]:
    """Whether every value of every sample is dropped again at each step, at its rate, and the rest scaled.

    The last layer's weights are zero. So its outputs, and the gradient that the loss returns, are the same
    whatever is dropped before it, and the gradient of a row of its kernel is proportional to its input. A
    batch of copies of one sample then shows in how many copies each input was kept.
    """
    kept = _kept(programs, case)
    fault = "" if kept is None else _fault_of_masks(kept)
    return [fault] if fault else []


def _kept(programs: TrialPrograms, case: Case) -> np.ndarray | None:
    """As :func:`_copies_kept`; None where the network or the backend allows no such test."""
    if isinstance(case.task.objective, Adversarial) or not _ends_linear(case.task):
        return None
    try:
        kept = _copies_kept(programs, _bare(case.task))
    except Unsupported:
        return None
    return kept if kept.shape[1] >= _FEWEST_INPUTS else None


def _fault_of_masks(kept: np.ndarray) -> str:
    """What is wrong with the masks, from the number of copies ``(steps, inputs)`` that kept each input."""
    counts = kept.round()
    dropped = 1 - counts.mean() / _COPIES
    deviation = np.sqrt(_RATE * (1 - _RATE) / (_COPIES * counts.size))
    faults = {
        "values that dropout keeps are not scaled by 1 / (1 - rate)": (
            not np.allclose(kept, counts, atol=_ROUNDING) or counts.max() > _COPIES
        ),
        "dropout drops the same values at every step": (counts == counts[0]).all(),
        "dropout drops the same values in all samples of a batch": np.isin(counts, (0, _COPIES)).all(),
        "dropout drops whole samples instead of single values": (
            counts.shape[1] > 1 and (counts == counts[:, :1]).all()
        ),
        f"dropout at rate {_RATE} drops {dropped:.0%} of the values": abs(dropped - _RATE)
        > _MOST_DEVIATIONS * deviation,
    }
    return next((fault for fault, present in faults.items() if present), "")


def _copies_kept(programs: TrialPrograms, bare: Task) -> np.ndarray:
    """How many copies kept each input of the last layer, ``(steps, inputs)``; zeros are left out."""
    last = f"model/{bare.networks['model'].placed()[-1].name}"
    start = initial_weights(bare, SEED)
    start |= {name: np.zeros_like(start[name]) for name in (f"{last}/kernel", f"{last}/bias")}

    def updates(task: Task) -> np.ndarray:
        program, kernels = programs.build(task), []
        for _ in range(_STEPS):
            program.load(start)
            program.train(Steps(np.zeros((1, _COPIES), np.int64)))
            kernels.append(program.weights()[f"{last}/kernel"])
        return np.array(kernels)

    whole, thinned = updates(bare)[0], updates(with_dropout(bare, _RATE))
    size = (whole * whole).sum(axis=1)
    nonzero = size > _ROUNDING * size.max()
    share: np.ndarray = (whole * thinned).sum(axis=2)[:, nonzero] / size[nonzero]
    return share * ((1 - _RATE) * _COPIES)


def with_dropout(task: Task, rate: float = 0.5) -> Task:
    """The task with dropout ahead of the last layer of the network that sees the data."""
    name = data_network(task)
    network = task.networks[name]
    layers = (*network.layers[:-1], Dropout(rate), network.layers[-1])
    return msgspec.structs.replace(
        task, networks=task.networks | {name: msgspec.structs.replace(network, layers=layers)}
    )


def _ends_linear(task: Task) -> bool:
    last = task.networks["model"].layers[-1]
    return isinstance(last, Dense) and last.activation is None


def _bare(task: Task) -> Task:
    """The task with plain gradient descent, of which one step shows the gradient, and no regulariser."""
    return msgspec.structs.replace(
        task,
        optimizer=Sgd(1.0),
        batch_size=_COPIES,
        penalty=Penalty(),
        weight_decay=0.0,
        augmentation=Augmentation(),
    )
