"""A whole program for a framework with arrays like NumPy's: its author adds the network and the gradient."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from harness.backend_support import feeding, rules
from harness.backend_support.feeding import Array
from harness.backend_support.rules import Arrays
from harness.layers import Layer, PlacedLayer, Residual, Shape, Skip
from harness.spec import Adversarial, Plan, Program, Samples, Steps, Unsupported

#: The state of a training: ``weights`` by network and name, ``moments`` by network and name, and ``steps``,
#: the number of steps so far ``()``.
State = dict[str, Any]


class Draws:
    """Seeds for what a step draws at random, such as masks of dropout: the same for the same step and plan.

    As they follow from the number of the step, no generator is part of the training's state.
    """

    def __init__(self, seed: int, step: int) -> None:
        self._entropy, self._drawn = [seed % 2**63, step], 0

    def seed(self) -> int:
        """Return a seed of 63 bits, a different seed for each call within a step."""
        self._drawn += 1
        sequence = np.random.SeedSequence([*self._entropy, self._drawn])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One use of a ``layer`` for an input of ``shape`` (without the batch).

    ``weights`` are the layer's own parameters and state, ``network`` those of the whole network by their
    names in it. ``draws`` are the random numbers of a training step, None in evaluation.

    A layer with state puts the next one into ``state``, by the names of its own weights.
    """

    layer: Any
    shape: Shape
    weights: Arrays
    network: Arrays
    draws: Draws | None
    state: dict[str, Array] = dataclasses.field(default_factory=dict)


#: A kind of layer as a function of its call and its input ``(n, *shape)``, before its activation.
Apply = Callable[[Call, Array], Array]


class FunctionalProgram(Program):
    """A task as pure functions of arrays in canonical layout.

    A subclass gives these attributes, and the methods :meth:`array`, :meth:`to_numpy`, :meth:`value_and_grad`
    and :meth:`synchronize`. ``xp`` is the framework's module with functions of NumPy's names, such as
    ``jax.numpy``, ``torch`` or ``mlx.core``. ``layers`` are the kinds of layer that it computes, without
    composite ones, and ``activations`` the functions of :data:`harness.layers.ActivationName`.

    :meth:`step` is pure: a framework that compiles may replace it by its compiled form, and then
    :meth:`draws` by one whose random numbers may be traced. A network's weights go by their names in it, such
    as ``dense_1/kernel``.
    """

    xp: ModuleType
    layers: Mapping[type[Layer], Apply]
    activations: Mapping[str, Callable[[Array], Array]]
    device = "cpu"
    #: Rows in a call of :meth:`forward` for predictions.
    prediction_rows = 256

    @classmethod
    def require_supported(cls, plan: Plan) -> None:
        """Check that the program computes every layer of a plan, in its precision.

        Raises:
            Unsupported: the message names the first thing that the program lacks.
        """
        if plan.precision == "bfloat16":
            raise Unsupported("only float32 and float64")
        for network in plan.task.networks.values():
            for place in network.leaves():
                if type(place.layer) not in cls.layers:
                    raise Unsupported(f"no {type(place.layer).__name__} layers")
                function = _activation_of(place.layer)
                if function is not None and function not in cls.activations:
                    raise Unsupported(f"no activation {function}")

    def __init__(self, plan: Plan, data: Samples) -> None:
        self.task, self.seed = plan.task, plan.seed
        #: The type of all numbers of the program but integers.
        self.dtype = np.dtype("float64" if plan.precision == "float64" else "float32")
        self.inputs = self.array(feeding.padded_pictures(data.inputs, self.task.augmentation.crop))
        self.targets = self.array(data.targets)
        weights = getattr(self.task.objective, "class_weights", ())
        self._class_weights = self.array(np.array(weights, self.dtype)) if weights else None
        self._places = {name: network.placed() for name, network in self.task.networks.items()}
        if self.task.augmentation.flip or self.task.augmentation.crop:
            self._rows, self._columns = (self.array(np.arange(axis)) for axis in data.inputs.shape[1:3])
        self.state: State = self._zeros()

    @abc.abstractmethod
    def array(self, values: np.ndarray) -> Array:
        """Copy ``values`` to the device, in their own type: float32, float64, int64 or bool."""

    @abc.abstractmethod
    def to_numpy(self, array: Array) -> np.ndarray:
        """Copy an array of the framework to NumPy; later steps do not change the copy."""

    @abc.abstractmethod
    def value_and_grad(
        self, function: Callable[[Arrays], tuple[Array, Any]], parameters: Arrays
    ) -> tuple[tuple[Array, Any], Arrays]:
        """Call ``function`` and differentiate its scalar by ``parameters``.

        ``function`` returns the scalar and anything else. Returns the results of ``function`` and the
        gradients by name. The results must not lead back to the parameters: the gradient of a later call does
        not go through them.
        """

    def draws(self, steps: Array) -> Draws:
        """Return the random numbers of the step after ``steps``."""
        return Draws(self.seed, int(steps))

    # A network and a step, as pure functions.

    def forward(
        self, network: str, weights: Arrays, x: Array, draws: Draws | None
    ) -> tuple[Array, dict[str, Array]]:
        """Compute a network's outputs for inputs ``(n, *input)``, and the next state of its layers by name.

        ``weights`` are its parameters and state. ``draws`` is given in a training step, None in evaluation.
        """
        state: dict[str, Array] = {}
        return self._sequence(self._places[network], weights, x, draws, state), state

    def _sequence(
        self,
        places: Sequence[PlacedLayer],
        weights: Arrays,
        x: Array,
        draws: Draws | None,
        state: dict[str, Array],
    ) -> Array:
        """Apply layers to ``x`` in order, their branches by recursion; an empty sequence is the identity."""
        for place in places:
            branches = {
                name: self._sequence(branch, weights, x, draws, state)
                for name, branch in place.branches.items()
            }
            match place.layer:
                case Residual():
                    x = branches["shortcut"] + branches["body"]
                case Skip():
                    x = self.xp.concatenate([x, branches["body"]], axis=-1)
                case _:
                    x = self._layer(place, weights, x, draws, state)
        return x

    def _layer(
        self,
        place: PlacedLayer,
        weights: Arrays,
        x: Array,
        draws: Draws | None,
        state: dict[str, Array],
    ) -> Array:
        layer, prefix = place.layer, f"{place.name}/"
        own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
        call = Call(layer, place.input_shape, own, weights, draws)
        y = self.layers[type(layer)](call, x)
        state.update({prefix + name: array for name, array in call.state.items()})
        function = getattr(layer, "activation", None)
        return y if function is None else self.activations[function](y)

    def step(self, state: State, batch: Arrays) -> tuple[State, Array]:
        """Compute the next state, and the loss that the step minimised: ``()``, or ``(2,)`` for two networks.

        ``batch`` holds ``inputs``, ``rate``, and ``targets`` or ``latents``.
        """
        if isinstance(self.task.objective, Adversarial):
            return self._adversarial_step(state, batch)
        draws = self.draws(state["steps"])

        def minimized(parameters: Arrays) -> tuple[Array, dict[str, Array]]:
            weights = {**state["weights"]["model"], **parameters}
            outputs, layers = self.forward("model", weights, batch["inputs"], draws)
            objective, targets = self.task.objective, batch["targets"]
            loss = rules.supervised_loss(self.xp, objective, outputs, targets, self._class_weights)
            return self._penalized(loss, parameters), layers

        loss, state = self._minimize(state, "model", minimized, batch["rate"])
        return state | {"steps": state["steps"] + 1}, loss

    def _adversarial_step(self, state: State, batch: Arrays) -> tuple[State, Array]:
        draws, xp = self.draws(state["steps"]), self.xp
        made, _ = self.forward("generator", state["weights"]["generator"], batch["latents"], draws)

        def logits(parameters: Arrays, pictures: Array) -> Array:
            return self.forward("discriminator", parameters, pictures, draws)[0]

        def distinguished(parameters: Arrays) -> tuple[Array, dict[str, Array]]:
            real = rules.real_loss(xp, logits(parameters, batch["inputs"]))
            fake = rules.fake_loss(xp, logits(parameters, made))
            return self._penalized((real + fake) / 2.0, parameters), {}

        first, state = self._minimize(state, "discriminator", distinguished, batch["rate"])
        discriminator = state["weights"]["discriminator"]

        def fooled(parameters: Arrays) -> tuple[Array, dict[str, Array]]:
            pictures, _ = self.forward("generator", parameters, batch["latents"], self.draws(state["steps"]))
            return self._penalized(rules.real_loss(xp, logits(discriminator, pictures)), parameters), {}

        second, state = self._minimize(state, "generator", fooled, batch["rate"])
        return state | {"steps": state["steps"] + 1}, xp.stack([first, second])

    def _minimize(
        self, state: State, network: str, minimized: Callable[[Arrays], tuple[Array, Any]], rate: Array
    ) -> tuple[Array, State]:
        """Update the weights of ``network`` by one step; return its loss and the state afterwards."""
        weights, moments = state["weights"][network], state["moments"][network]
        parameters = {name: weights[name] for name in self.task.networks[network].parameters()}
        (loss, layers), gradients = self.value_and_grad(minimized, parameters)
        number = state["steps"] + 1
        parameters, moments = rules.updated(self.xp, self.task, parameters, gradients, moments, number, rate)
        return loss, state | {
            "weights": state["weights"] | {network: weights | parameters | layers},
            "moments": state["moments"] | {network: moments},
        }

    def _penalized(self, loss: Array, parameters: Arrays) -> Array:
        for term in rules.penalty_terms(self.xp, self.task.penalty, parameters):
            loss = loss + term
        return loss

    # What the harness calls.

    def train(self, steps: Steps) -> np.ndarray:
        """See :meth:`harness.spec.Program.train`."""
        every = feeding.draws(steps, self.task)
        rates = every.pop("learning_rates").astype(self.dtype)
        arrays = {name: self.array(array) for name, array in every.items()}
        losses = []
        for number, rate in enumerate(rates):
            batch = self._batch({name: array[number] for name, array in arrays.items()})
            self.state, loss = self.step(self.state, batch | {"rate": self.array(np.asarray(rate))})
            losses.append(loss)
        return np.stack([self.to_numpy(loss) for loss in losses])

    def _batch(self, draws: dict[str, Array]) -> dict[str, Array]:
        rows = draws["indices"]
        if "augmented" in draws:
            inputs = draws["augmented"]
        elif feeding.is_augmented(draws):
            inputs = self.inputs[feeding.windows(self.xp.where, draws, self._rows, self._columns)]
        else:
            inputs = self.inputs[rows]
        second = {"latents": draws["latents"]} if "latents" in draws else {"targets": self.targets[rows]}
        return {"inputs": inputs, **second}

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """See :meth:`harness.spec.Program.predict`."""
        weights = self.state["weights"][network]

        def outputs(part: np.ndarray) -> np.ndarray:
            return self.to_numpy(self.forward(network, weights, self.array(part), None)[0])

        return feeding.predicted(outputs, inputs, (self.prediction_rows,), pad=False)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """See :meth:`harness.spec.Program.load`."""
        self.state["weights"] = {
            network: {name: self.array(weights[f"{network}/{name}"].astype(self.dtype)) for name in arrays}
            for network, arrays in self.state["weights"].items()
        }

    def weights(self) -> dict[str, np.ndarray]:
        """See :meth:`harness.spec.Program.weights`."""
        return {name: self.to_numpy(array) for name, array in feeding.flat(self.state["weights"]).items()}

    def training_state(self) -> dict[str, np.ndarray]:
        """See :meth:`harness.spec.Program.training_state`."""
        return {name: self.to_numpy(array) for name, array in feeding.flat(self._besides_weights()).items()}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """See :meth:`harness.spec.Program.load_training_state`."""
        arrays = {name: self.array(array) for name, array in state.items()}
        self.state |= feeding.nested(arrays, self._besides_weights())

    def _besides_weights(self) -> State:
        return {name: part for name, part in self.state.items() if name != "weights"}

    def _zeros(self) -> State:
        count = rules.moment_count(self.task.optimizer)

        def zeros(shape: tuple[int, ...]) -> Array:
            return self.array(np.zeros(shape, self.dtype))

        networks = self.task.networks.items()
        return {
            "weights": {
                name: {each: zeros(array.shape) for each, array in (net.parameters() | net.state()).items()}
                for name, net in networks
            },
            "moments": {
                name: {
                    each: tuple(zeros(array.shape) for _ in range(count))
                    for each, array in net.parameters().items()
                }
                for name, net in networks
            },
            "steps": zeros(()),
        }


def _activation_of(layer: Layer) -> str | None:
    """Return the activation that a layer applies to its output, or that the layer itself is."""
    return getattr(layer, "activation", None) or getattr(layer, "function", None)
