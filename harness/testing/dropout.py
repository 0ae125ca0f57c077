"""Whether dropout works as specified, by statistical tests: frameworks cannot share random bits.

The tests of a correct backend fail with a probability below 1e-6 in all, by these bounds. The share of
dropped values is accepted within six standard deviations of at least 256 draws (Chernoff: below 2e-7 a test).
Equal counts in all steps, in all samples or in all values of a sample have a probability below 2e-9 with at
least eight inputs and four steps; with fewer inputs no test is made. Equal losses under two seeds need equal
masks of hundreds of values. Seeds are fixed, so a result is the same at each repetition.
"""

import contextlib

import msgspec
import numpy as np

from harness.layers import Dropout, Layer, Native, SelfAttention
from harness.spec.backend import Unsupported
from harness.spec.task import Adversarial, Task
from harness.testing.cases import SEED, Case, case_samples, data_network
from harness.testing.dropout_masks import COPIES, RATE, attention_kept, copies_kept, with_dropout
from harness.testing.trial_programs import TrialPrograms, first_losses

_ROUNDING = 1e-6
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
    layers = [place.layer for network in task.networks.values() for place in network.leaves()]
    return any(
        isinstance(layer, Dropout) or drops_attention(layer) or _drops_within(layer) for layer in layers
    )


def _drops_within(layer: Layer) -> bool:
    """Whether the user's own code drops values."""
    return isinstance(layer, Native) and layer.dropout == "active"


def drops_attention(layer: Layer) -> bool:
    """Whether the layer is an attention that drops weights."""
    return isinstance(layer, SelfAttention) and layer.dropout > 0


def dropout_tests(programs: TrialPrograms, case: Case) -> DropoutTests:
    """All tests of dropout; raises what the backend raises, except Unsupported."""
    faults = careless_dropout(programs, case)
    if faults:
        return DropoutTests(faults, complete=True)
    if any(isinstance(place.layer, Native) for place in case.task.networks[data_network(case.task)].leaves()):
        return DropoutTests([], complete=False)  # which values its code drops cannot be seen from outside
    tested = _masks(programs, case)
    return DropoutTests(_faults_of_masks(tested), complete=bool(tested))


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

    So too the weights of attention, where the task's network has some. The counts that show it are those of
    :mod:`harness.testing.dropout_masks`.
    """
    return _faults_of_masks(_masks(programs, case))


def _masks(programs: TrialPrograms, case: Case) -> dict[str, np.ndarray]:
    """In how many copies ``(steps, values)`` each value was kept, by what drops; empty if untestable."""
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


def _faults_of_masks(masks: dict[str, np.ndarray]) -> list[str]:
    """The first fault."""
    faults = (_fault_of_masks(name, kept) for name, kept in masks.items())
    return [fault for fault in faults if fault][:1]


def _fault_of_masks(name: str, kept: np.ndarray) -> str:
    """What is wrong with the masks, from the number of copies ``(steps, inputs)`` that kept each input."""
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
