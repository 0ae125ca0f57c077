"""A model of the user's own as a layer of a network."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from harness.layers import Native, PlacedLayer
from harness.spec import Penalty, Unsupported
from harness_keras.layers import KernelPenalty
from harness_keras.layout import channels_first, keras_shape
from harness_keras.native_model import NativeModel
from harness_keras.native_slots import NativeSlot, native_slots

Tensor = Any


class NativeLayer(keras.layers.Layer):
    """The user's model, for inputs and outputs in the layout of the engine.

    ``trained`` and ``held`` are the slots of its arrays. ``draws_from_engine`` says whether training may draw
    from the engine's own generator of random numbers, as Keras's dropout does on PyTorch.

    Raises:
        Unsupported: the model is not what the task says, or adds to the loss, or XLA cannot compile it.
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
        self.trained = tuple(native_slots(place, native.trained, self._user_layer, trained=True))
        self.held = tuple(native_slots(place, native.held, self._user_layer, trained=False))
        _check_complete(self._user_layer, (*self.trained, *self.held))
        _check_regularizers(self._user_layer)
        if xla:
            _check_xla(self._user_layer)
        _penalize(self.trained, penalty)
        self.draws_from_engine = self._native_model.draws

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """``(batch, *input)`` to ``(batch, *output)``, both in the layout of the engine."""
        model = self._native_model
        x = _moved(inputs, channels_first(self._place.input_shape), model.inputs_first)
        return _moved(model(x, training=bool(training)), model.outputs_first, channels_first(self._outputs))

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None) -> keras.KerasTensor:
        """The symbolic output, from which Keras learns its shape."""
        del inputs, training
        return keras.KerasTensor((None, *keras_shape(self._outputs)), dtype=self._native_model.output_dtype)


def _moved(x: Tensor, was_first: bool, is_first: bool) -> Tensor:
    """A batch with its channels where they are expected."""
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
