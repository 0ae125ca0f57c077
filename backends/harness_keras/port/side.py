"""A Keras model as a side, and as its code is."""

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.errors import UsageError
from harness.tracing.calls import InputShape, Loss, Trace
from harness.tracing.recorder import named_tensors
from harness.tracing.side import (
    LEARNING_RATE,
    Batch,
    Gradients,
    Inputs,
    Override,
    OwnTraining,
    Trained,
    Updates,
)
from harness.tracing.user_code import described
from harness_keras.port import float64, functions, operators, optimizers, sequences, training  # noqa: F401  fill the tables
from harness_keras.port.layers import without_dropout
from harness_keras.port.models import Layout, called, layout_of, named_variables
from harness_keras.port.readings import install
from harness_keras.port.recorder import Recorder, is_array, numbers

Tensor = Any


class KerasSide:
    """The side of a model or layer."""

    draws = False
    seeded = True

    def __init__(self, built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> None:
        install()
        float64.widen(built)
        engine = keras.config.backend()
        self.framework = f"keras on {engine}"
        self.backend = "keras" if engine == "tensorflow" else f"keras-{engine}"
        self.versions = {"keras": keras.version(), engine: str(__import__(engine).__version__)}
        self._model = built
        self._own = own
        self._layout: Layout = layout_of(built, shapes)
        self._evaluate_once()
        self._variables = named_variables(built)
        self._opaque: dict[bool, set[tuple[Any, ...]]] = {}

    def _evaluate_once(self) -> None:
        """Make the parameters of a model that makes them at its first call."""
        try:
            with without_dropout():
                self._call(self._layout.zeros(), training=False)
        except Exception as error:
            shapes = " and ".join(str(shape.shape) for shape in self._layout.shapes)
            raise UsageError(
                f"{type(self._model).__name__} cannot be called with inputs of shape {shapes} (without the "
                f"batch): {described(error)}"
            ) from error

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: _array(variable) for name, variable in self._variables.items()}

    def trained(self) -> set[str]:
        trained = {id(variable) for variable in self._model.trainable_variables}
        return {name for name, variable in self._variables.items() if id(variable) in trained}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        for name, array in parameters.items():
            self._variables[name].assign(array)

    def trace(self, inputs: Inputs, *, training: bool, overrides: Sequence[Override] = ()) -> Trace:
        if overrides and training not in self._opaque:
            self.trace(inputs, training=training)
        before = self._state_values()
        recorder = Recorder(self._variables, self._opaque.setdefault(training, set()), overrides)
        with self._restored(self._state()):
            trace = recorded(
                self._model, self._layout, self._layout.tensors(inputs), recorder, training=training
            )
            after = self._state_values()
        changed = {name: array for name, array in after.items() if not np.array_equal(array, before[name])}
        trace.state_after = changed
        return trace

    def gradients(
        self, inputs: Inputs, targets: np.ndarray, loss: Loss, *, output: str = "", own: bool = False
    ) -> Gradients:
        trained = self.trained()
        names = [name for name in self._variables if name in trained]
        function = training.own_loss(self._own, loss) if own else training.LOSSES[loss]
        outputs_of = functools.partial(self._output_of, output)
        with without_dropout():
            with self._restored(self._state()):
                value, of_parameters, of_inputs = training.gradients(
                    training.LossOf(outputs_of, function, targets, self._state()),
                    [self._variables[name] for name in names],
                    self._layout.tensors(inputs),
                )
            with self._restored(self._state()):
                made_output = outputs_of(self._layout.tensors(inputs))
            alone = training.LossOf(lambda tensors: tensors[0], function, targets, [])
            _, _, (of_output,) = training.gradients(alone, [], [made_output])
        arrays = {
            name: np.zeros(self._variables[name].shape) if made is None else _array(made)
            for name, made in zip(names, of_parameters, strict=True)
        }
        floating = [_array(made) for made in of_inputs if made is not None]
        return Gradients(
            float(value),
            arrays,
            self._layout.inputs_to_channels_last(floating),
            _array(made_output),
            np.zeros(made_output.shape) if of_output is None else _array(of_output),
        )

    def train(
        self,
        batches: Sequence[Batch],
        loss: Loss,
        *,
        output: str = "",
        aligned: bool = False,
        held: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Trained:
        optimizer = self._own.make_optimizer() if self._own.make_optimizer else None
        if optimizer is None:
            optimizer = keras.optimizers.SGD(LEARNING_RATE)
        of = training.own_loss(self._own, loss)
        variables = list(self._model.trainable_variables)
        outputs_of = functools.partial(self._output_of, output)
        masks = {id(self._variables[name]): mask for name, mask in held.items()}
        optimizer.build(variables)
        if aligned:
            optimizers.align(optimizer)

        def regularization() -> Tensor:
            return sum(self._model.losses, start=ops.zeros(()))

        def step(inputs: list[np.ndarray], targets: np.ndarray) -> float:
            loss_of = training.LossOf(outputs_of, of, targets, self._state(), regularization)
            value, made, _ = training.gradients(loss_of, variables, self._layout.tensors(inputs))
            for place, variable in enumerate(variables):
                if made[place] is not None and id(variable) in masks:
                    made[place] = ops.where(masks[id(variable)], 0.0, made[place])
            if any(gradient is not None for gradient in made):
                scale = float(optimizer.scale_loss(1.0))  # by which the optimizer will divide
                scaled = [None if gradient is None else gradient * scale for gradient in made]
                optimizer.apply(made if scale == 1.0 else scaled, variables)
            return float(value)

        # Keras warns of each variable without a gradient in each step.
        with self._restored(self._model.variables), without_dropout(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses = [step(inputs, targets) for inputs, targets in batches]
            optimizer.finalize_variable_values(variables)  # as ``fit`` does
            return Trained(losses, self.parameters())

    def updates(self) -> Updates | None:
        if self._own.make_optimizer is None:
            return None
        trained = {id(variable) for variable in self._model.trainable_variables}
        variables = {name: each for name, each in self._variables.items() if id(each) in trained}
        return optimizers.rules_of(self._own.make_optimizer(), variables)

    def _output_of(self, name: str, tensors: Sequence[Tensor]) -> Tensor:
        """Compute the output named ``name``, or else the first output, in training mode."""
        outputs = dict(named_tensors(self._call(tensors, training=True), is_array))
        return self._layout.output_to_channels_last(outputs.get(name, next(iter(outputs.values()))))

    def _call(self, tensors: Sequence[Tensor], *, training: bool) -> Any:
        return called(self._model, self._layout.structured(tensors), training=training)

    def _state_values(self) -> dict[str, np.ndarray]:
        """Return the values that training changes without gradients."""
        trained = self.trained()
        state = {name: variable for name, variable in self._variables.items() if name not in trained}
        return {name: _array(variable) for name, variable in state.items()}

    def _state(self) -> list[keras.Variable]:
        return list(self._model.non_trainable_variables)

    @contextlib.contextmanager
    def _restored(self, variables: Sequence[keras.Variable]) -> Iterator[None]:
        before = [np.array(numbers(variable)) for variable in variables]
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)


def recorded(
    model: Any, layout: Layout, tensors: Sequence[Tensor], recorder: Recorder, *, training: bool
) -> Trace:
    """Record the calls of one evaluation of a model."""
    with without_dropout(), recorder.recording(), _watching():
        for name, tensor in zip(layout.names, tensors, strict=False):
            recorder.add_input(tensor, name)
        outputs = called(model, layout.structured(tensors), training=training)
        for name, output in named_tensors(outputs, is_array):
            recorder.add_output(output, name)
        return recorder.trace


def _watching() -> contextlib.AbstractContextManager[Any]:
    """Report the engine's own functions to the recorder, as far as the engine can."""
    if keras.config.backend() == "tensorflow":
        from harness_keras.port.tensorflow_primitives import watching

        return watching()
    return operators.watching_jax() if keras.config.backend() == "jax" else operators.watching_torch()


def _array(tensor: Tensor) -> np.ndarray:
    return numbers(tensor).astype(np.float64, copy=False)
