"""A model of the user's own as a layer of a network: made, called and seeded as in a process of its own."""

import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import ops, tree
from keras.src import backend
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

from harness.backend_support.feeding import made_model, refuse_changed, seeded, stored_in
from harness.layers import Native, NativeArray, PlacedLayer, Shape
from harness.spec import Penalty, Task, Unsupported
from harness.tracing.calls import InputShape, Stored
from harness.tracing.user_code import described, make_model
from harness_keras.layout import PICTURE_AXES, channels_first, configured_format, keras_shape
from harness_keras.objectives import KernelPenalty
from harness_keras.port import float64
from harness_keras.port.layers import without_dropout
from harness_keras.port.models import called, layout_of, named_variables

Tensor = Any
FRAMEWORK = "keras"
#: Keras's counters of the names that it gives.
_NAMES = "object_name_uids"
_NO_LAYER = " and no keras.Model or keras.Layer"


class NativeModel:
    """The user's model for inputs of a canonical ``shape``, without the batch.

    ``layer`` is the model. ``inputs_first`` and ``outputs_first`` say whether its channels come first,
    ``output_dtype`` is the type of what it returns, and ``draws`` says whether training draws at random.
    """

    def __init__(self, native: Native, shape: Shape, seed: int) -> None:
        self._native, self._shape = native, shape
        self._tokens = native.vocabulary is not None
        self._exact = keras.config.floatx() == "float64"
        drops = native.dropout == "active"
        #: That of functions without a seed, such as keras.random.dropout; Keras's is no part of any model.
        self.own_seeds = keras.random.SeedGenerator(seed, name="own_seeds") if drops else None
        # Layers are numbered as in a process that has made none: the task names arrays by such numbers.
        _seed_engine(seed)
        with _global_value(_NAMES, defaultdict(int)), seeded(seed), self._as_alone():
            self.layer = made_model(native, FRAMEWORK, make_model, _is_layer, _NO_LAYER)
            float64.widen(self.layer)
            layout = layout_of(self.layer, [InputShape(shape, integer=self._tokens)])
            self._structured = layout.structured
            self.inputs_first = layout.first[0]
            self.outputs_first = layout.outputs_first and len(native.outputs) >= PICTURE_AXES
            self.output_dtype = self._evaluate_once().dtype
        self.draws = self._seed_layers(seed) or drops

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Compute the model's output for inputs in its own layout."""
        with self._as_alone():
            return self._output_of(x, training=training)

    @contextlib.contextmanager
    def _as_alone(self) -> Iterator[None]:
        """Run the user's code with Keras's own configuration, or exactly in float64 in a certificate."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(configured_format())
            if self._exact:
                stack.enter_context(float64.exactly())
            if self._native.dropout == "off":
                stack.enter_context(without_dropout())
            if self.own_seeds is not None:
                stack.enter_context(_global_value(GLOBAL_SEED_GENERATOR, self.own_seeds))
            yield

    def _output_of(self, x: Tensor, *, training: bool) -> Tensor:
        outputs = tree.flatten(called(self.layer, self._structured([x]), training=training))
        if len(outputs) != 1:
            raise Unsupported(f"the model has {len(outputs)} outputs; a task needs one")
        return outputs[0]

    def _evaluate_once(self) -> keras.KerasTensor:
        """Compute the symbolic output; a model that was not built before is built."""
        dtype = "int32" if self._tokens else keras.config.floatx()
        x = keras.KerasTensor((None, *_in_layout(self._shape, first=self.inputs_first)), dtype=dtype)
        try:
            output = self._output_of(x, training=False)
            adds_losses = self._adds_losses(x)
        except Unsupported:
            raise
        except Exception as error:  # whatever the user's code raises
            raise Unsupported(
                f"{type(self.layer).__name__} cannot be called with inputs of shape {self._shape} (without "
                f"the batch): {described(error)}"
            ) from error
        if adds_losses:
            raise Unsupported(
                "the model adds to its loss, by add_loss or an activity regularizer, but the task says what "
                "is minimised"
            )
        expected = _in_layout(self._native.outputs, first=self.outputs_first)
        if tuple(output.shape[1:]) != expected:
            raise Unsupported(
                f"the model's output has shape {tuple(output.shape[1:])}, and the task says {expected}"
            )
        return output

    def _adds_losses(self, x: keras.KerasTensor) -> bool:
        """Check for layers that add a term to the loss of training."""
        added: list[Any] = []
        with mock.patch.object(keras.layers.Layer, "add_loss", lambda _, loss: added.append(loss)):
            backend.compute_output_spec(lambda x: self._output_of(x, training=True), x)
        return bool(added)

    def _seed_layers(self, seed: int) -> bool:
        """Seed every layer that draws at random by the plan's seed; returns True if there are such layers."""
        states = [v for v in self.layer.non_trainable_variables if v.name == "seed_generator_state"]
        draws = random.Random(seed)  # noqa: S311
        for state in states:
            state.assign(np.array([draws.getrandbits(31), 0]).astype(state.dtype))
        return bool(states) and self._native.dropout != "off"


def _is_layer(made: Any) -> bool:
    return isinstance(made, keras.layers.Layer)


def _in_layout(shape: Shape, *, first: bool) -> Shape:
    return (shape[-1], *shape[:-1]) if first else shape


@contextlib.contextmanager
def _global_value(name: str, value: Any) -> Iterator[None]:
    """Replace one of Keras's own global values for a while."""
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, value)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)


def _seed_engine(seed: int) -> None:
    """Seed the engine's own generator, from which the harness draws nothing."""
    match keras.backend.backend():
        case "torch":
            import torch

            torch.manual_seed(seed)
        case "tensorflow":
            import tensorflow as tf

            tf.random.set_seed(seed)


# The arrays of a user's model in its Keras variables, of which each may hold several.


@dataclass(frozen=True)
class NativeSlot:
    """A variable, and the canonical arrays in it with the part that holds each."""

    names: tuple[str, ...]
    variable: Any
    parts: tuple[Stored, ...]
    shapes: tuple[tuple[int, ...], ...]

    def is_decayed(self, task: Task) -> bool:
        """Check that the task's weight decay shrinks the variable; raises as :meth:`agrees`."""
        return bool(task.weight_decay) and self.agrees("decayed", task.is_decayed)

    def to_keras(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        whole = np.array(keras.ops.convert_to_numpy(self.variable), np.float64)
        for part, array in zip(self.parts, arrays, strict=True):
            part.store(array, whole)
        return whole

    def to_canonical(self, array: np.ndarray) -> list[np.ndarray]:
        whole = array if array.dtype.itemsize >= np.dtype(np.float32).itemsize else array.astype(np.float32)
        return [
            part.canonical(whole).reshape(shape) for part, shape in zip(self.parts, self.shapes, strict=True)
        ]

    def agrees(self, treatment: str, applies: Callable[[str], bool]) -> bool:
        """Check that a treatment applies to the arrays, by their names."""
        chosen = {applies(name) for name in self.names}
        if len(chosen) > 1:
            raise Unsupported(f"{self.variable.path} holds several arrays of which only some are {treatment}")
        return chosen == {True}


def native_slots(
    place: PlacedLayer, arrays: Sequence[NativeArray], model: keras.layers.Layer, *, trained: bool
) -> list[NativeSlot]:
    """Return the slots of ``arrays``; gradients change all of these arrays (``trained``) or none."""
    variables = named_variables(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    by_variable: dict[str, list[tuple[NativeArray, Stored]]] = {}
    for array in arrays:
        stored: Stored = stored_in(array, FRAMEWORK)
        if (id(variables[stored.name]) in trainable) is not trained:
            trains = "does not train" if trained else "trains"
            raise Unsupported(
                f"the model {trains} {stored.name}, unlike the task, which has {array.name} in it"
            )
        by_variable.setdefault(stored.name, []).append((array, stored))
    return [
        NativeSlot(
            tuple(f"{place.name}/{array.name}" for array, _ in held),
            variables[name],
            tuple(stored for _, stored in held),
            tuple(array.shape for array, _ in held),
        )
        for name, held in by_variable.items()
    ]


# The layer.


class NativeLayer(keras.layers.Layer):
    """The user's model, for inputs and outputs in the layout of the engine.

    ``trained`` and ``held`` are the slots of its arrays. ``draws_from_engine`` says whether training may draw
    from the engine's own generator of random numbers, as Keras's dropout does on PyTorch.
    """

    def __init__(self, place: PlacedLayer, penalty: Penalty, seed: int, *, xla: bool, **options: Any) -> None:
        super().__init__(dtype=keras.config.floatx(), **options)
        native = place.layer
        assert isinstance(native, Native)  # noqa: S101  for the type checker
        self._native_model = NativeModel(native, place.input_shape, seed)
        # By attributes Keras finds their variables.
        self._user_layer, self._own_seeds = self._native_model.layer, self._native_model.own_seeds
        self.built = True
        self._place, self._outputs = place, native.outputs
        trainable = {id(variable) for variable in self._user_layer.trainable_variables}
        variables = named_variables(self._user_layer)
        learned = [name for name, variable in variables.items() if id(variable) in trainable]
        refuse_changed(native, FRAMEWORK, variables, learned)
        self.trained = tuple(native_slots(place, native.trained, self._user_layer, trained=True))
        self.held = tuple(native_slots(place, native.held, self._user_layer, trained=False))
        _check_complete(self._user_layer, (*self.trained, *self.held))
        _check_regularizers(self._user_layer)
        if xla:
            _check_xla(self._user_layer)
        _penalize(self.trained, penalty)
        # On other engines Keras draws from states that are variables of its layers.
        self.draws_from_engine = self._native_model.draws and keras.backend.backend() == "torch"

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Map ``(batch, *input)`` to ``(batch, *output)``, both in the layout of the engine."""
        model = self._native_model
        x = _moved(inputs, channels_first(self._place.input_shape), model.inputs_first)
        return _moved(model(x, training=bool(training)), model.outputs_first, channels_first(self._outputs))

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None) -> keras.KerasTensor:
        del inputs, training
        return keras.KerasTensor((None, *keras_shape(self._outputs)), dtype=self._native_model.output_dtype)


def _moved(x: Tensor, was_first: bool, is_first: bool) -> Tensor:
    """Move the channels of a batch to the axis where they are expected."""
    if was_first == is_first:
        return x
    moved = ops.moveaxis(x, 1, -1) if was_first else ops.moveaxis(x, -1, 1)
    # PyTorch only changes the strides, and the user's layers would run in another memory format than alone.
    return moved.contiguous() if keras.backend.backend() == "torch" else moved


def _check_complete(layer: keras.layers.Layer, slots: Sequence[NativeSlot]) -> None:
    known = {id(slot.variable) for slot in slots}
    floating = (each for each in layer.weights if keras.backend.is_float_dtype(each.dtype))
    unknown = next((each.path for each in floating if id(each) not in known), None)
    if unknown is not None:
        raise Unsupported(f"the model has an array {unknown}, which the task does not name: write it again")


def _check_regularizers(layer: keras.layers.Layer) -> None:
    regularized = next((each.path for each in layer.weights if each.regularizer is not None), None)
    if regularized is not None:
        raise Unsupported(
            f"{regularized} has a regularizer, but the task says what is minimised: remove it, and give the "
            "task a penalty or weight decay"
        )


def _check_xla(layer: keras.layers.Layer) -> None:
    names = [each.name for each in layer._flatten_layers() if not each.supports_jit]  # noqa: SLF001
    if names:
        raise Unsupported(
            f"XLA cannot compile the model's layer {names[0]}; recurrent layers need use_cudnn=False"
        )


def _penalize(slots: Sequence[NativeSlot], penalty: Penalty) -> None:
    if not penalty.l1 and not penalty.l2:
        return
    for slot in slots:
        if slot.agrees("penalised", lambda name: name.endswith("kernel")):
            slot.variable.regularizer = KernelPenalty(penalty.l1, penalty.l2)
