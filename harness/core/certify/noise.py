"""Tests of the noise of DP-SGD: statistics of a program's noise, and an audit by canaries.

Frameworks cannot share random bits, so their own noise is tested as dropout is: the tests of a correct
backend fail with a probability below 1e-7 in all. Certificates compare the rest of a step, with noise of the
harness. Seeds are fixed, so a result is the same at each repetition.
"""

import dataclasses
import math

import msgspec
import numpy as np

from harness.core.certify.cases import SAMPLES, SEED, Case
from harness.core.certify.observation import TrialPrograms
from harness.core.stats.canaries import CanaryBound, epsilon_bound
from harness.core.training.batches import BatchOrder
from harness.core.training.draws import uniform
from harness.core.training.initial import initial_weights
from harness.layers import Dense
from harness.network import Network
from harness.spec.backend import Program, Steps
from harness.spec.data import Samples
from harness.spec.schedules import ConstantRate
from harness.spec.task import BinaryClassification, Penalty, Privacy, Sgd, Task

#: How many standard deviations a statistic may be off. Six are met by chance with a probability of 2e-9.
_MOST_DEVIATIONS = 6.0
#: The noise is read from differences of weights, which rounding changes.
_ROUNDING = 1e-6


class NoiseTests(msgspec.Struct, frozen=True):
    """The faults found, a line each; the bound that the audit finds, and epsilon that is claimed there."""

    faults: list[str]
    bound: float
    claimed: float


def noise_tests(programs: TrialPrograms, case: Case) -> NoiseTests:
    """Test a backend's own noise, on the network of a case with DP-SGD; raises the backend's errors."""
    faults = [*wrong_noise(programs, case.task), *lengthened(programs)]
    audit = audit_canaries(programs)
    claimed = gaussian_epsilon(AUDIT_PRIVACY)
    if audit.epsilon > claimed:
        faults.append(
            f"an audit with {CANARIES} canaries finds epsilon of at least {audit.epsilon:.2f}, and "
            f"{claimed:.2f} is claimed: {audit.right} of {audit.guesses} guesses who took part were right"
        )
    return NoiseTests(faults[:1], audit.epsilon, claimed)


def wrong_noise(programs: TrialPrograms, task: Task) -> list[str]:
    """Find the first fault in the distribution of a program's own noise, or in its dependence on seeds."""
    task = msgspec.structs.replace(
        task, optimizer=Sgd(1.0), penalty=Penalty(), weight_decay=0.0, clip_norm=0.0, schedule=ConstantRate()
    )
    first, again, second = (_noise(programs, task, step) for step in (0, 0, 1))
    drawn = np.concatenate([array.ravel() for array in first.values()])
    later = np.concatenate([array.ravel() for array in second.values()])
    size = drawn.std()
    if not size > _ROUNDING:
        return ["DP-SGD lacks its noise"]
    count = len(drawn)
    spread = _MOST_DEVIATIONS * math.sqrt(1 / (2 * count))
    faults = {
        "the noise of DP-SGD does not follow from the step's noise_seeds: the same seeds give other noise": (
            not all(np.allclose(first[name], again[name], atol=1e-4) for name in first)
        ),
        "the noise of DP-SGD is the same in every step": np.allclose(drawn, later, atol=1e-4),
        f"the noise of DP-SGD is {size:.3g} times as large as noise * clip / batch_size": (
            abs(size - 1) > spread + _ROUNDING
        ),
        "the noise of DP-SGD does not have the mean 0": abs(drawn.mean()) * count**0.5 > _MOST_DEVIATIONS,
        "the noise of DP-SGD is not normal: its fourth moment is wrong": (
            abs((drawn**4).mean() - 3) > _MOST_DEVIATIONS * math.sqrt(96 / count)
        ),
        "the noise of DP-SGD is correlated between steps": _correlated(drawn, later),
        "the noise of DP-SGD is correlated between neighbouring parameters": _correlated(
            drawn[1:], drawn[:-1]
        ),
        "parameters share the noise of DP-SGD": _shared(list(first.values())),
    }
    return [fault for fault, present in faults.items() if present][:1]


def _noise(programs: TrialPrograms, task: Task, step: int) -> dict[str, np.ndarray]:
    """Read the noise that the program draws in a step, scaled to be standard normal."""
    program, start = programs.build(task), initial_weights(task, SEED)
    order = BatchOrder.of_task(task, SAMPLES, SEED)
    steps = order.steps(step, 1)
    nothing = {name: np.zeros((1, *array.shape)) for name, array in task.parameters().items()}
    plain = _after(program, start, dataclasses.replace(steps, noise=nothing))
    noised = _after(program, start, steps)
    privacy = task.privacy
    assert privacy is not None  # noqa: S101  the case has it
    unit = privacy.noise * privacy.clip / order.batch_size
    return {name: (plain[name] - noised[name]) / unit for name in task.parameters()}


def _after(program: Program, start: dict[str, np.ndarray], steps: Steps) -> dict[str, np.ndarray]:
    program.load(start)
    program.train(dataclasses.replace(steps, learning_rates=np.ones(1)))
    return program.weights()


def _correlated(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(abs(np.mean(first * second)) * len(first) ** 0.5 > _MOST_DEVIATIONS)


def _shared(arrays: list[np.ndarray]) -> bool:
    """Check that the beginnings of two arrays are the same."""
    starts = [array.ravel()[:8] for array in arrays if array.size >= 8]  # noqa: PLR2004
    return any(
        np.allclose(first, second, atol=1e-4)
        for place, first in enumerate(starts)
        for second in starts[:place]
    )


# An audit of one step: each canary has a weight of its own, which shows whether it took part.

#: The number of canaries, each part of the data with the probability 1/2.
CANARIES = 1000
AUDIT_PRIVACY = Privacy(noise=2.0, clip=4.0, delta=1e-5)


def audit_canaries(programs: TrialPrograms, privacy: Privacy = AUDIT_PRIVACY) -> CanaryBound:
    """Bound epsilon from below for one step that takes all data; raises the backend's errors."""
    included = uniform((CANARIES,), SEED, "canaries") < 0.5  # noqa: PLR2004  a coin
    # Their gradients are much longer than the clip, and nearly all in one weight.
    moved = _moved(programs, 100.0 * np.eye(CANARIES)[included], privacy, noised=True)
    return epsilon_bound(moved, included, privacy.delta)


def lengthened(programs: TrialPrograms) -> list[str]:
    """Return a fault if gradients shorter than the clip are changed; raises the backend's errors."""
    short = 0.1
    moved = _moved(programs, short * np.eye(CANARIES), AUDIT_PRIVACY, noised=False)
    half = 0.5  # the error of a logit of 0
    right = short * half / CANARIES
    return [] if np.allclose(moved, right, rtol=_ROUNDING) else [_LENGTHENED]


_LENGTHENED = "DP-SGD changes gradients that are shorter than the clip: multiply by min(1, clip / norm)"


def _moved(programs: TrialPrograms, inputs: np.ndarray, privacy: Privacy, *, noised: bool) -> np.ndarray:
    """Measure the change of each canary's weight ``(canaries,)`` in one step that takes all inputs."""
    task = Task(
        name="canaries",
        version=1,
        networks={"model": Network((CANARIES,), (Dense(1),))},
        objective=BinaryClassification(),
        optimizer=Sgd(1.0),
        batch_size=len(inputs),
        epochs=1,
        privacy=privacy,
    )
    data = Samples(inputs, np.ones(len(inputs), np.int64))  # of class 1: taking part raises a weight
    program = programs.build_with(task, data)
    start = {name: np.zeros(array.shape) for name, array in task.parameters().items()}
    steps = BatchOrder.of_task(task, len(inputs), SEED).steps(0, 1)
    if not noised:
        nothing = {name: np.zeros((1, *array.shape)) for name, array in start.items()}
        steps = dataclasses.replace(steps, noise=nothing)
    moved: np.ndarray = _after(program, start, steps)["model/dense_1/kernel"].ravel()
    return moved


def gaussian_epsilon(privacy: Privacy) -> float:
    """Compute epsilon of one step with all data, the Gaussian mechanism (Balle and Wang 2018, theorem 8)."""
    low, high = 0.0, 500.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _delta(middle, privacy.noise) > privacy.delta else (low, middle)
    return high


def _delta(epsilon: float, noise: float) -> float:
    from scipy.special import log_ndtr, ndtr

    half, far = 1 / (2 * noise), epsilon * noise
    return float(ndtr(half - far) - math.exp(epsilon + log_ndtr(-half - far)))
