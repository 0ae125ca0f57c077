"""From a network to a Keras model, by the functional API."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from harness.layers import Native, PlacedLayer, Residual, Skip, Unembedding
from harness.network import Network
from harness_keras.layers import Maker, keras_name, spread
from harness_keras.layout import channels_axis, keras_shape

#: The type of tokens on every engine. JAX has no other one outside its mode of 64 bits.
INTEGERS = "int32"


class FunctionalNetwork:
    """Input, output and layers of a network; ``layers`` are those with weights, by their canonical paths.

    ``draws_from_engine`` says whether training may draw from the engine's own generator of random numbers.
    """

    def __init__(self, maker: Maker, network: Network, seed: int) -> None:
        self.layers: dict[str, Any] = {}
        self.draws_from_engine = False
        self._maker = maker
        self._seeds: Iterator[int] = itertools.count(seed)
        tokens = network.vocabulary() is not None
        self.input = keras.Input(keras_shape(network.input_shape), dtype=INTEGERS if tokens else None)
        places = network.placed()
        #: What the first layer makes of the input: of tokens, their embeddings.
        self.first = self._sequence(places[:1], self.input)
        if tokens:
            # A part of a model begins with the output of a layer that is called once only; a tied table is
            # called at the end again.
            self.first = keras.layers.Identity(name="embedded")(self.first)
        self.output = self._sequence(places[1:], self.first)

    def _sequence(self, places: Sequence[PlacedLayer], x: keras.KerasTensor) -> keras.KerasTensor:
        for place in places:
            x = self._apply(place, x)
        return x

    def _apply(self, place: PlacedLayer, x: keras.KerasTensor) -> keras.KerasTensor:
        name = keras_name(place.name)
        match place.layer:
            case Residual():
                branches = [self._sequence(branch, x) for branch in place.branches.values()]
                return keras.layers.Add(name=name)(branches)
            case Skip():
                axis = channels_axis(place.input_shape)
                body = self._sequence(place.branches["body"], x)
                return keras.layers.Concatenate(axis, name=name)([x, body])
            case Unembedding(_, embedding):
                return self.layers[embedding](x, reverse=True)
            case Native():
                # Other networks do not import what such models share with ``harness port``.
                from harness_keras.native import NativeLayer

                seed, xla = spread(next(self._seeds)), self._maker.xla
                native = NativeLayer(place, self._maker.penalty, seed, xla=xla, name=name)
                self.layers[place.name] = native
                self.draws_from_engine |= native.draws_from_engine
                return native(x)
        for layer in self._maker.layers(place, next(self._seeds)):
            x = layer(x)
            if layer.name == name:
                self.layers[place.name] = layer
        return x
