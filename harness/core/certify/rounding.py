"""Location of float32 arithmetic in a float64 program: the first layer, or the loss, that rounds to it.

Beginnings of the case's networks are built as networks of their own, which end in one output and the mean
squared error, and are compared with NumPy. Rounding is distinguished from a slightly wrong
formula by changing all weights by a relative 1e-8: outputs in float64 follow the change, those in float32
jump or stay.
"""

import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.core.certify.cases import BATCH_SIZE, SEED, Case
from harness.core.certify.observation import Observation, TrialPrograms
from harness.core.certify.parity import TOLERANCE, Finding, array_differences, loss_difference
from harness.core.reference.training import NumpyProgram, refuse_uncovered
from harness.core.stats.deviations import exceeds, largest
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.layers import AnyLayer, Dense, Flatten
from harness.layers.tree import PlacedLayer
from harness.network import Network
from harness.spec.backend import Program
from harness.spec.task import Adversarial, Objective, Regression, Sgd, Task

#: The most that rounding to float32 changes the first loss and the first gradients of a case.
_MOST_OF_LOSS, _MOST_OF_GRADIENTS = 1e-5, 1e-3
_CHANGE = 1e-8
#: The share of the change of an output by which one in float64 may miss it.
_MISSED_SHARE = 0.1
_RATE = 0.5
#: Gradients below this share of the largest norm are rounding.
_TINY = 1e-6


class Rounding(msgspec.Struct, frozen=True):
    """What computes in float32 first: a layer, its activation, or the loss, and how far it is off."""

    place: str
    off: float

    @property
    def text(self) -> str:
        """The cause in words."""
        return (
            f"something computes in float32: the first is {self.place}, off by a relative {self.off:.1e} "
            "(float64 is exact to about 1e-15)"
        )


def is_like_float32(finding: Finding, observed: Observation, expected: Observation) -> bool:
    """Check whether the deviations of a case that failed are as small as those of float32."""
    if finding.passed or not finding.deviation or observed.changed_by_predict:
        return False
    gradients = array_differences(observed.gradients, expected.gradients)
    return (
        loss_difference(observed.losses[0], expected.losses[0]) <= _MOST_OF_LOSS
        and max(gradients.values(), default=0.0) <= _MOST_OF_GRADIENTS
        and finding.worst <= 10 * _MOST_OF_GRADIENTS
    )


def locate_rounding(programs: TrialPrograms, case: Case) -> Rounding | None:
    """Find the first part of a case's forward and backward pass that rounds to float32; None if none does.

    Raises:
        Unsupported: NumPy does not cover the task, or the backend does not support a beginning of it.
    """
    refuse_uncovered(case.task)
    search = _Search(programs, case.task)
    if found := search.checked(
        Network((BATCH_SIZE,), (Dense(1),)), "a single Dense layer with the mean squared error"
    ):
        return found
    for name, network in case.task.networks.items():
        prefix = f"{name}/" if len(case.task.networks) > 1 else ""
        if found := search.in_layers(network.input_shape, (), network.placed(), prefix):
            return found
    return None if isinstance(case.task.objective, Adversarial) else search.in_loss()


class _Values(NamedTuple):
    """What a program makes of weights: outputs in evaluation, the loss of a step, and its gradients."""

    outputs: np.ndarray
    loss: np.ndarray
    gradients: dict[str, np.ndarray]

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return all arrays, the gradients as one vector."""
        return self.outputs, self.loss, np.concatenate([each.ravel() for each in self.gradients.values()])


class _Trial:
    """One task on the backend and in NumPy, compared at its initial weights and at slightly changed ones."""

    def __init__(self, programs: TrialPrograms, task: Task) -> None:
        self._task = task
        self._program, self._data = programs.build_on(task, 3 * BATCH_SIZE)
        self._start = initial_weights(task, SEED)
        self._ours, self._theirs = self._values(self._start)
        pairs = zip(self._ours[:2], self._theirs[:2], strict=True)
        self.forward = [_relative(ours, theirs) for ours, theirs in pairs]
        longest = largest(float(np.linalg.norm(each)) for each in self._theirs.gradients.values())
        self.backward = largest(
            float(np.linalg.norm(self._ours.gradients[name] - right))
            / max(float(np.linalg.norm(right)), _TINY * longest)
            for name, right in self._theirs.gradients.items()
        )

    def rounds(self) -> bool:
        """Check whether the deviation does not follow a small change of the weights."""
        generator = np.random.default_rng(SEED)
        changed = {
            name: array * (1 + _CHANGE * generator.uniform(-1, 1, array.shape))
            for name, array in self._start.items()
        }
        values = zip(*map(_Values.arrays, (*self._values(changed), self._ours, self._theirs)), strict=True)
        for ours, theirs, ours_before, theirs_before in values:
            expected = theirs - theirs_before
            missed = np.linalg.norm(ours - ours_before - expected)
            if exceeds(float(missed), _MISSED_SHARE * float(np.linalg.norm(expected))):
                return True
        return False

    def _values(self, weights: Mapping[str, np.ndarray]) -> tuple[_Values, _Values]:
        task, data = self._task, self._data
        return self._of(self._program, weights), self._of(NumpyProgram(task, data), weights)

    def _of(self, program: Program, weights: Mapping[str, np.ndarray]) -> _Values:
        program.load(weights)
        task = self._task
        outputs = np.array(program.predict(self._data.inputs, "model"), np.float64)
        steps = BatchOrder.of_task(task, len(self._data), SEED).steps(0, 1)
        loss = np.array(program.train(steps), np.float64)
        after = program.weights()
        gradients = {name: (weights[name] - after[name]) / _RATE for name in task.parameters()}
        return _Values(outputs, loss, gradients)


class _Search:
    """The search for the first part that rounds; each beginning of a network is built once."""

    def __init__(self, programs: TrialPrograms, task: Task) -> None:
        self._programs, self._task = programs, task
        self._trials: dict[Network, _Trial] = {}

    def in_layers(
        self,
        shape: tuple[int, ...],
        before: tuple[AnyLayer, ...],
        places: Sequence[PlacedLayer],
        prefix: str = "",
    ) -> Rounding | None:
        """Find the first of consecutive layers whose outputs, or else whose gradients, deviate by rounding.

        ``before`` are the layers that come before them, from inputs of ``shape`` on.
        """
        layers = [place.layer for place in places]

        def network(count: int) -> Network:
            return Network(shape, (*before, *layers[:count]))

        for pass_name, deviation in _PASSES.items():
            first = bisect.bisect_left(
                range(1, len(places) + 1),
                True,
                key=lambda count: exceeds(deviation(self._trial(network(count))), TOLERANCE),
            )
            if first == len(places):
                continue
            place, earlier = places[first], (*before, *layers[:first])
            for branch in place.branches.values():
                if found := self.in_layers(shape, earlier, branch, prefix):
                    return found
            label = self._label(place, shape, earlier, deviation)
            return self.checked(network(first + 1), f"{pass_name} of {label.format(prefix + place.name)}")
        return None

    def _label(
        self,
        place: PlacedLayer,
        shape: tuple[int, ...],
        before: tuple[AnyLayer, ...],
        deviation: Callable[[_Trial], float],
    ) -> str:
        """Name the layer, or its activation where the layer without one agrees."""
        layer = place.layer
        kind = type(layer).__name__
        if place.branches:
            return f"what joins the branches of {{}} ({kind})"
        if activation := getattr(layer, "activation", None):
            plain: Any = msgspec.structs.replace(layer, activation=None)
            if deviation(self._trial(Network(shape, (*before, plain)))) <= TOLERANCE:
                return f"the {activation} of {{}} ({kind})"
        return f"{{}} ({getattr(layer, 'function', kind)})"

    def checked(self, network: Network, place: str) -> Rounding | None:
        """Return the rounding of this network, at this place; None if it has none."""
        return _rounding(self._trial(network), place)

    def in_loss(self) -> Rounding | None:
        """Check the loss, once all layers agree; with the rules of plain gradient descent alone."""
        trial = _Trial(self._programs, self._plain(self._task.networks, self._task.objective))
        kind, special = type(self._task.objective).__name__, self._task.special_loss()
        return _rounding(trial, f"the loss ({f'{kind}, {special}' if special else kind})")

    def _trial(self, network: Network) -> _Trial:
        if network not in self._trials:
            flat = (Flatten(),) if len(network.output_shape()) > 1 else ()
            ended = Network(network.input_shape, (*network.layers, *flat, Dense(1)))
            self._trials[network] = _Trial(self._programs, self._plain({"model": ended}, Regression()))
        return self._trials[network]

    def _plain(self, networks: dict[str, Network], objective: Objective) -> Task:
        """Reduce a task to the rules of plain gradient descent."""
        return Task(
            name=self._task.name,
            version=self._task.version,
            networks=networks,
            objective=objective,
            optimizer=Sgd(_RATE),
            batch_size=BATCH_SIZE,
            epochs=1,
        )


#: How far each pass is off, in the order in which they are searched.
_PASSES: dict[str, Callable[[_Trial], float]] = {
    "the forward pass": lambda trial: largest(trial.forward),
    "the backward pass": lambda trial: trial.backward,
}


def _rounding(trial: _Trial, place: str) -> Rounding | None:
    """Return the rounding of a trial at this place; None where the trial agrees, or deviates smoothly."""
    deviations = (deviation(trial) for deviation in _PASSES.values())
    off = next((off for off in deviations if exceeds(off, TOLERANCE)), None)
    return Rounding(place, off) if off is not None and trial.rounds() else None


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(theirs)), 1e-300))
