"""A Keras model as a side: its parameters, its traced evaluation, its gradients and its training."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.errors import UsageError
from harness.tracing.calls import Trace
from harness.tracing.side import Gradients, InputShape, Loss, Override, OwnTraining, Trained, Update
from harness.tracing.user_code import described
from harness_keras.port import engines, float64, hooks, training
from harness_keras.port.own_models import called, named_variables
from harness_keras.port.recorder import Recorder, is_array
from harness_keras.port.shapes import Layout, layout_of
from harness_keras.port.undropped import without_dropout
from harness_keras.port.updates import update_of

Tensor = Any


class KerasSide:
    """The side of a model or layer.

    Raises:
        UsageError: the model does not take inputs of these shapes.
    """

    draws = False

    def __init__(self, built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> None:
        hooks.install()
        float64.widen(built)
        engine = keras.config.backend()
        self.framework = f"keras on {engine}"
        self.backend = "keras" if engine == "tensorflow" else f"keras-{engine}"
        self.versions = _versions()
        self._model = built
        self._own = own
        self._layout: Layout = layout_of(built, shapes)
        self._evaluate_once()
        self._variables = named_variables(built)
        self._opaque: dict[bool, set[tuple[Any, ...]]] = {}

    def _evaluate_once(self) -> None:
        """Make the parameters of a model that makes them at its first call.

        Raises:
            UsageError: the model does not take inputs of these shapes.
        """
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

    def trace(
        self, inputs: Sequence[np.ndarray], *, training: bool, overrides: Sequence[Override] = ()
    ) -> Trace:
        if overrides and training not in self._opaque:
            self.trace(inputs, training=training)
        before = self._state_values()
        recorder = Recorder(self._variables, self._opaque.setdefault(training, set()), overrides)
        with self._restored(self._state()):
            trace = recorded(self._model, self._layout, self._tensors(inputs), recorder, training=training)
            after = self._state_values()
        changed = {name: array for name, array in after.items() if not np.array_equal(array, before[name])}
        self._layout.to_channels_last(trace)
        trace.state_after = changed
        return trace

    def gradients(
        self,
        inputs: Sequence[np.ndarray],
        targets: np.ndarray,
        loss: Loss,
        *,
        output: str = "",
        own: bool = False,
    ) -> Gradients:
        trained = self.trained()
        names = [name for name in self._variables if name in trained]
        function = training.own_loss(self._own, loss) if own else training.loss_function(loss)
        outputs_of = functools.partial(self._output_of, output)
        with without_dropout():
            with self._restored(self._state()):
                value, of_parameters, of_inputs = engines.gradients(
                    training.LossOf(outputs_of, function, targets, self._state()),
                    [self._variables[name] for name in names],
                    self._tensors(inputs),
                )
            with self._restored(self._state()):
                made_output = outputs_of(self._tensors(inputs))
            alone = training.LossOf(lambda tensors: tensors[0], function, targets, [])
            _, _, (of_output,) = engines.gradients(alone, [], [made_output])
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
        batches: Sequence[tuple[list[np.ndarray], np.ndarray]],
        loss: Loss,
        learning_rate: float,
        *,
        output: str = "",
    ) -> Trained:
        optimizer = self._own.make_optimizer() if self._own.make_optimizer else None
        if optimizer is None:
            optimizer = keras.optimizers.SGD(learning_rate)
        of = training.own_loss(self._own, loss)
        variables = list(self._model.trainable_variables)
        outputs_of = functools.partial(self._output_of, output)
        optimizer.build(variables)

        def step(inputs: list[np.ndarray], targets: np.ndarray) -> float:
            loss_of = training.LossOf(outputs_of, of, targets, self._state(), self._regularization)
            value, made, _ = engines.gradients(loss_of, variables, self._tensors(inputs))
            pairs = [(g, v) for g, v in zip(made, variables, strict=True) if g is not None]
            optimizer.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
            return float(value)

        with self._restored(self._model.variables), without_dropout():
            losses = [step(inputs, targets) for inputs, targets in batches]
            return Trained(losses, self.parameters())

    def update(self) -> Update | None:
        if self._own.make_optimizer is None:
            return None
        return update_of(self._own.make_optimizer(), self._model)

    def _output_of(self, name: str, tensors: Sequence[Tensor]) -> Tensor:
        """The output of this name, or else the first, in training mode."""
        outputs = dict(named_outputs(self._call(tensors, training=True)))
        return self._layout.output_to_channels_last(outputs.get(name, next(iter(outputs.values()))))

    def _call(self, tensors: Sequence[Tensor], *, training: bool) -> Any:
        return called(self._model, self._given(tensors), training=training)

    def _given(self, tensors: Sequence[Tensor]) -> Any:
        return self._layout.structured(tensors)

    def _tensors(self, inputs: Sequence[np.ndarray]) -> list[Tensor]:
        return self._layout.tensors(inputs)

    def _state_values(self) -> dict[str, np.ndarray]:
        """What training changes without gradients."""
        trained = self.trained()
        state = {name: variable for name, variable in self._variables.items() if name not in trained}
        return {name: _array(variable) for name, variable in state.items()}

    def _state(self) -> list[keras.Variable]:
        return list(self._model.non_trainable_variables)

    def _regularization(self) -> Tensor:
        return sum(self._model.losses, start=ops.zeros(()))

    @contextmanager
    def _restored(self, variables: Sequence[keras.Variable]) -> Iterator[None]:
        """What changes of these meanwhile is as before afterwards."""
        before = [engines.held(variable) for variable in variables]
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)


def recorded(
    model: Any, layout: Layout, tensors: Sequence[Tensor], recorder: Recorder, *, training: bool
) -> Trace:
    """The calls of one evaluation of a model."""
    with without_dropout(), recorder.recording(), engines.watching():
        for name, tensor in zip(layout.names, tensors, strict=False):
            recorder.add_input(tensor, name)
        outputs = dict(named_outputs(called(model, layout.structured(tensors), training=training)))
        return recorder.trace(tensors, outputs)


def _array(tensor: Tensor) -> np.ndarray:
    return engines.numbers(tensor).astype(np.float64, copy=False)


def named_outputs(outputs: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors that a model returns, named by position or key; what is no tensor is left out.

    Those of a dictionary come in alphabetical order, in which every framework gives them.
    """
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(outputs, Mapping):
        items = sorted(outputs.items(), key=lambda item: str(item[0]))
    elif isinstance(outputs, list | tuple):
        items = enumerate(outputs)
    elif is_array(outputs):
        yield name, outputs
    for key, each in items:
        yield from named_outputs(each, f"{name}.{key}" if name else str(key))


def _versions() -> dict[str, str]:
    engine = keras.config.backend()
    module = __import__(engine)
    return {"keras": keras.version(), engine: str(module.__version__)}
