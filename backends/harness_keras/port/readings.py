"""How a layer that is called is read: one function for each class, found by what its ``call`` really is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.recorder import Recorder

Tensor = Any


class Unreadable(Exception):
    """The layer is known, but not in this configuration; ``whole`` layers consist of nothing known either."""

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__()
        self.whole = whole


class Running(NamedTuple):
    """A layer that is being called with ``arguments``, by name; ``run`` calls it with changed ones."""

    recorder: Recorder
    layer: Any
    arguments: dict[str, Any]
    run: Callable[..., Any]

    @property
    def x(self) -> Tensor:
        """The first input."""
        return next(iter(self.arguments.values()))

    @property
    def first(self) -> str:
        """The name of the first argument."""
        return next(iter(self.arguments))

    @property
    def training(self) -> bool:
        """Whether the layer runs in training mode."""
        return bool(self.arguments.get("training"))

    @property
    def function(self) -> str:
        """What Keras calls the layer."""
        return f"keras.layers.{type(self.layer).__name__}"

    def whole(self, does: kinds.AnySemantics, parameters: Mapping[str, Stored] | None = None) -> Any:
        """Record the layer as one call of its first input."""
        return self.part(does, [self.x], lambda x: self.run(**{self.first: x}), parameters)

    def part(
        self,
        does: kinds.AnySemantics,
        inputs: Sequence[Tensor],
        compute: Callable[..., Any],
        parameters: Mapping[str, Stored] | None = None,
        function: str | None = None,
    ) -> Any:
        """Record one call of several that make up the layer."""
        return self.recorder.call(function or self.function, does, inputs, compute, parameters)

    def stored(self, variable: Any, **part: Any) -> Stored:
        """A role's parameter.

        Raises:
            Unreadable: what the layer uses is not a variable of the model as it is.
        """
        try:
            return Stored(self.recorder.parameter(variable), **part)
        except KeyError:
            raise Unreadable from None


Reading = Callable[[Running], Any]
_READINGS: dict[type, Reading] = {}


def reads(*classes: type | None) -> Callable[[Reading], Reading]:
    """Make a function the reading of these classes; None stands for one that this Keras lacks."""

    def register(reading: Reading) -> Reading:
        _READINGS.update({each: reading for each in classes if each is not None})
        return reading

    return register


def layer_class(name: str) -> type | None:
    """A class of ``keras.layers``, which older versions may lack."""
    return getattr(keras.layers, name, None)


def reading_of(layer: Any) -> Reading | None:
    """The reading of a layer, unless the user's own class computes something else."""
    for each in type(layer).__mro__:
        if each in _READINGS:
            return _READINGS[each]
        if "call" in vars(each) or "__call__" in vars(each):
            return None
    return None


def with_activation(running: Running, linear: Callable[[Running], Tensor]) -> Tensor:
    """A layer's linear part and its activation, as two calls with the value between them."""
    layer = running.layer
    activation = layer.activation
    if activation is None or activation is keras.activations.linear:
        return linear(running)
    # Past Keras's own attributes, which are locked once a layer is built.
    vars(layer)["activation"] = None
    try:
        between = linear(running)
    finally:
        vars(layer)["activation"] = activation
    if activation is keras.activations.mish:  # which Keras puts together of other functions
        mish = kinds.Activation(function="mish")
        return running.part(mish, [between], activation, function="keras.activations.mish")
    return activation(between)
