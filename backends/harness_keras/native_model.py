"""A model of the user's own in Keras: made, called and seeded as in a process of its own."""

import contextlib
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import tree
from keras.src import backend
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

from harness.errors import HarnessError
from harness.layers import Native, Shape
from harness.spec import Unsupported
from harness.tracing.calls import InputShape
from harness.tracing.user_code import described, make_model
from harness_keras.layout import PICTURE_AXES, configured_format
from harness_keras.port import float64
from harness_keras.port.own_models import called
from harness_keras.port.shapes import layout_of
from harness_keras.port.undropped import without_dropout

Tensor = Any
FRAMEWORK = "keras"
#: Keras's counters of the names that it gives.
_NAMES = "object_name_uids"


class NativeModel:
    """The user's model for inputs of a canonical ``shape``, without the batch.

    ``layer`` is the model. ``inputs_first`` and ``outputs_first`` say whether its channels come first,
    ``output_dtype`` is the type of what it returns, and ``draws`` says whether training draws at random.

    Raises:
        Unsupported: there is no code for Keras, or it gives no model of these inputs and outputs.
    """

    def __init__(self, native: Native, shape: Shape, seed: int) -> None:
        self._native, self._shape = native, shape
        self._tokens = native.vocabulary is not None
        self._exact = keras.config.floatx() == "float64"
        drops = native.dropout == "active"
        #: That of functions without a seed, such as keras.random.dropout; Keras's is no part of any model.
        self.own_seeds = keras.random.SeedGenerator(seed, name="own_seeds") if drops else None
        with _fresh_names(), _seeded(seed), self._as_alone():
            self.layer = _made(native)
            float64.widen(self.layer)
            layout = layout_of(self.layer, [InputShape(shape, integer=self._tokens)])
            self._structured = layout.structured
            self.inputs_first = layout.first[0]
            self.outputs_first = layout.outputs_first and len(native.outputs) >= PICTURE_AXES
            self.output_dtype = self._evaluate_once().dtype
        self.draws = self._seed_layers(seed) or drops

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """The model's output of inputs in its own layout."""
        with self._as_alone():
            return self._output_of(x, training=training)

    @contextlib.contextmanager
    def _as_alone(self) -> Iterator[None]:
        """What the user's code finds when it runs: Keras as it is configured, exact in a certificate."""
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
        """The symbolic output; a model that was not built before is built."""
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
        """Whether any layer adds a term to the loss of training."""
        added: list[Any] = []
        with mock.patch.object(keras.layers.Layer, "add_loss", lambda _, loss: added.append(loss)):
            backend.compute_output_spec(lambda x: self._output_of(x, training=True), x)
        return bool(added)

    def _seed_layers(self, seed: int) -> bool:
        """Let every layer that draws at random follow the plan's seed, whatever its own; are there any?"""
        states = [v for v in self.layer.non_trainable_variables if v.name == "seed_generator_state"]
        draws = random.Random(seed)  # noqa: S311
        for state in states:
            state.assign(np.array([draws.getrandbits(31), 0]).astype(state.dtype))
        return bool(states) and self._native.dropout != "off"


def _made(native: Native) -> Any:
    model = native.model_of(FRAMEWORK)
    if model is None:
        known = ", ".join(each.framework for each in native.models)
        raise Unsupported(f"the model has code for {known} and none for keras")
    try:
        made = make_model(model.target, model.arguments)
    except HarnessError as error:
        raise Unsupported(str(error)) from error
    if not isinstance(made, keras.layers.Layer):
        raise Unsupported(f"{model.target} returned {type(made).__name__} and no keras.Model or keras.Layer")
    return made


def _in_layout(shape: Shape, *, first: bool) -> Shape:
    return (shape[-1], *shape[:-1]) if first else shape


@contextlib.contextmanager
def _global_value(name: str, value: Any) -> Iterator[None]:
    """One of Keras's own global values, exchanged for a while."""
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, value)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)


def _fresh_names() -> contextlib.AbstractContextManager[None]:
    """Layers are numbered as in a process that has made none: the task names arrays by such numbers."""
    return _global_value(_NAMES, defaultdict(int))


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """What the user's code draws follows this seed; Python's and NumPy's generators are restored."""
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    _seed_engine(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002


def _seed_engine(seed: int) -> None:
    """Seed the engine's own generator, from which the harness draws nothing."""
    match keras.backend.backend():
        case "torch":
            import torch

            torch.manual_seed(seed)
        case "tensorflow":
            import tensorflow as tf

            tf.random.set_seed(seed)
